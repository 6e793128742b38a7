"""What is going on, on a terminal as a line that moves, elsewhere as plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_DETAIL_SECONDS = 15.0


class Progress:
    """Plain lines: what is measured, what came out, and a word in between where that takes long."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._next_detail = 0.0
        self._started = time.monotonic()

    def begin(self, title: str) -> None:
        """Say which experiment is running."""
        self._next_detail = time.monotonic() + _DETAIL_SECONDS
        print(f"[{self._done + 1}/{self._total}] {title} ...", flush=True)

    def detail(self, text: str) -> None:
        """Say how far the experiment is, from time to time."""
        if time.monotonic() >= self._next_detail:
            self._next_detail = time.monotonic() + _DETAIL_SECONDS
            print(f"    {text}", flush=True)

    def end(self, summary: str) -> None:
        """Say what came out of it."""
        self._done += 1
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        print(f"    {summary}  ({minutes}:{seconds:02} so far)", flush=True)


class _Bar(Progress):
    """A bar with the time gone by, what came out scrolling above it."""

    def __init__(self, total: int, bar: object, task: object) -> None:
        super().__init__(total)
        self._bar = bar
        self._task = task
        self._title = ""

    def begin(self, title: str) -> None:
        self._title = title
        self._bar.update(self._task, description=title)  # type: ignore[attr-defined]

    def detail(self, text: str) -> None:
        self._bar.update(self._task, description=f"{self._title} [dim]{text}[/dim]")  # type: ignore[attr-defined]

    def end(self, summary: str) -> None:
        self._bar.console.print(summary)  # type: ignore[attr-defined]
        self._bar.advance(self._task)  # type: ignore[attr-defined]


@contextmanager
def progress(total: int) -> Iterator[Progress]:
    """Show progress through so many experiments; plain without a terminal, or without rich."""
    if sys.stdout.isatty():
        try:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar
        except ImportError:
            pass
        else:
            columns = (MofNCompleteColumn(), BarColumn(20), TimeElapsedColumn(), TextColumn("{task.description}"))
            with Bar(*columns) as bar:
                yield _Bar(total, bar, bar.add_task("", total=total))
            return
    yield Progress(total)
