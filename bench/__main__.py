"""``python -m bench [--quick] [--list] [CELL...]``, ``python -m bench --growth [ROWS...]``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bench.cells import choose
from bench.environment import describe
from bench.progress import progress
from bench.runner import ROOT, BenchError, Options, experiments, run


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the report; return the exit code."""
    options = _parser().parse_args(arguments)
    if options.growth is not None:
        from bench.growth import SIZES
        from bench.growth import run as run_growth

        run_growth(options.growth or SIZES, options.out, options.folder, plot=not options.no_plot)
        return 0
    try:
        cells = choose(options.cells)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if options.list:
        for cell in cells:
            print(f"{cell.name:28} {cell.title}")
        return 0
    how = Options(options.quick, options.seed, options.allow_missing, options.folder)
    results = _earlier(options.out)
    results["environment"] = describe(options.folder)
    groups = list(experiments(cells))
    from bench.report import line

    with progress(len(groups)) as shown:
        for group in groups:
            shown.begin(group[0].title if len(group) == 1 else f"{group[0].title} and {len(group) - 1} more")
            try:
                measured = run(group, how, shown.detail)
            except BenchError as error:
                print(error, file=sys.stderr)
                return 1
            results["cells"].update(measured)
            # Written after each, so that what was measured is not lost with what was not.
            _write(options.out, results)
            shown.end("\n    ".join(line(name, cell) for name, cell in measured.items()))
    if not options.no_plot:
        from bench.plot import draw, draw_early
        from bench.plot_sections import draw_eviction, draw_tails, draw_worth

        draw(results, options.out / "results.svg")
        draw_early(results, options.out / "early.svg")
        draw_tails(results, options.out / "tails.svg")
        draw_eviction(results, options.out / "eviction.svg")
        draw_worth(results, options.out / "worth.svg")
    print(f"written: {options.out / 'results.md'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure hitrate against other caches.")
    parser.add_argument(
        "cells", nargs="*", metavar="CELL", help="only the cell of this name, or all with this in their name or title"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds, a tenth of the entries where there are many"
    )
    parser.add_argument("--list", action="store_true", help="show the cells and measure nothing")
    parser.add_argument(
        "--growth",
        nargs="*",
        type=int,
        metavar="ROWS",
        help="measure files of so many rows instead (default: 10^5, 10^6 and 10^7), and write growth.md",
    )
    parser.add_argument("--seed", type=int, default=1, help="decides keys, values and turns (default: 1)")
    parser.add_argument("--allow-missing", action="store_true", help="leave out contenders that are not installed")
    parser.add_argument("--no-plot", action="store_true", help="write no results.svg")
    parser.add_argument("--folder", help="where the caches' files are put (default: the system's temporary folder)")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs" / "bench", help="where the report is put (default: docs/bench)"
    )
    return parser


def _earlier(out: Path) -> dict[str, Any]:
    """Return the results that are there, into which those of a partial run are merged."""
    path = out / "results.json"
    results: dict[str, Any] = {"environment": {}, "cells": {}}
    if path.exists():
        results = json.loads(path.read_text(encoding="utf-8"))
    return results


def _write(out: Path, results: dict[str, Any]) -> None:
    from bench.report import markdown

    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1, ensure_ascii=False)
    (out / "results.json").write_text(text + "\n", encoding="utf-8")
    (out / "results.md").write_text(markdown(results), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
