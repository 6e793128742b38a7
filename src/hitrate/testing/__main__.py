"""``python -m hitrate.testing module:Class``: which promises a cache keeps, and which it does not."""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from hitrate.testing.requirements import missing
from hitrate.testing.subject import Subject, UnusableError
from hitrate.testing.verdicts import TrialOutcome, Verdict

ALL_HOLD, SOME_DO_NOT, CANNOT_TRY = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Try a cache and print the report.

    Returns:
        0 if every promise holds, 1 if one does not, 2 if nothing could be tried.
    """
    given = _parser().parse_args(arguments)
    if needed := missing():
        return _complain(needed)
    from hitrate.testing.report import Report
    from hitrate.testing.trials import try_out

    subject = Subject(given.target, dict(given.option), given.contract)
    progress = _Progress()
    try:
        outcomes = try_out(subject, seconds=given.seconds, seen=progress.seen)
    except UnusableError as error:
        return _complain(str(error))
    finally:
        progress.wipe()
    report = Report.of(outcomes)
    _print([(given.target, None), ("", None), *report.lines(every_case=given.every_case)])
    return SOME_DO_NOT if report.count(Verdict.BROKEN) else ALL_HOLD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m hitrate.testing", description="Print which promises a cache keeps.")
    parser.add_argument("target", metavar="module:Class", help="a cache class, or a function that makes a new cache")
    parser.add_argument(
        "--option",
        metavar="name=value",
        action="append",
        default=[],
        type=_option,
        help="pass an argument to it, as a Python literal or else as text; may be repeated",
    )
    parser.add_argument(
        "--contract",
        choices=["auto", "documented", "full"],
        default="auto",
        help="what to try: the documented methods, or all promises of hitrate; auto: all if it takes a clock",
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each test may take (60)")
    parser.add_argument("--every-case", action="store_true", help="give a reason for each case that fails")
    return parser


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value


class _Progress:
    """How many tests have run, on a terminal only."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._count = 0

    def seen(self, _: TrialOutcome) -> None:
        self._count += 1
        if self._shown:
            print(f"\r{self._count} tests", end="", file=sys.stderr, flush=True)

    def wipe(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _print(lines: Iterable[tuple[str, Verdict | None]]) -> None:
    """Print the lines, in colour if rich is installed and this is a terminal."""
    try:
        from rich.console import Console
        from rich.text import Text
    except ModuleNotFoundError:
        for line, _ in lines:
            print(line)
        return
    colours = {Verdict.HOLDS: "green", Verdict.BROKEN: "red", Verdict.NOT_TRIED: "yellow", Verdict.NOT_OFFERED: "cyan"}
    console = Console(highlight=False, soft_wrap=True)
    for line, verdict in lines:
        console.print(Text(line, style=colours[verdict] if verdict else ""))


def _complain(message: str) -> int:
    print(f"python -m hitrate.testing: {message}", file=sys.stderr)
    return CANNOT_TRY


if __name__ == "__main__":
    sys.exit(main())
