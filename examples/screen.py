"""What the demo shows: a bar and a table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
Row = Sequence[str]


def progress(steps: Iterable[T], title: str, total: int) -> Iterator[T]:
    """Pass the steps on while showing how many of them there have been."""
    if sys.stdout.isatty():
        from rich.progress import track

        yield from track(steps, title, total)
        return
    print(f"{title} ...", flush=True)
    shown = 0
    for number, step in enumerate(steps, 1):
        yield step
        tenth = 10 * number // total
        if tenth > shown:
            shown = tenth
            print(f"{title}: {number} of {total}", flush=True)


def table(title: str, head: Row, rows: Sequence[Row]) -> None:
    """Show a table; all columns but the first are numbers."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        shown = Table(title=title, title_justify="left", title_style="bold")
        for number, name in enumerate(head):
            shown.add_column(name, justify="right" if number else "left")
        for row in rows:
            shown.add_row(*row)
        Console().print(shown)
        return
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    print(f"\n{title}\n")
    for row in (head, ["-" * width for width in widths], *rows):
        cells = [
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    print()


def say(text: str = "") -> None:
    """Show a line of text."""
    print(text, flush=True)
