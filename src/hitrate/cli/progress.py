"""The progress of long work: a bar on a terminal if rich is installed, and nothing anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, TypeVar

T = TypeVar("T")

_QUIET_SECONDS = 0.5
"""Work that is done sooner shows no bar."""
_BETWEEN = 256
"""Items that are done between two looks at the clock."""


class Progress:
    """Counts what has been done of a total, None if nobody knows that, and shows it while its block runs."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what = what
        self._total = total
        self._bar: Any = None
        self._begins = time.monotonic() + _QUIET_SECONDS if sys.stderr.isatty() else float("inf")

    def show(self) -> None:
        """Show the bar now, for work that reports no progress until it is done."""
        if self._bar is None and self._begins < float("inf"):
            self._bar = _bar_of(self._what, self._total)
            self._begins = float("inf")

    def is_at(self, done: int) -> None:
        """Tell how much has been done."""
        if self._bar is None and time.monotonic() >= self._begins:
            self.show()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done)

    def along(self, items: Iterable[T], done: Callable[[], int] | None = None) -> Iterator[T]:
        """Yield items, and move on with them: by what ``done`` returns, or by their number."""
        for count, item in enumerate(items, 1):
            yield item
            if count % _BETWEEN == 0:
                self.is_at(count if done is None else done())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar_of(what: str, total: int | None) -> Any:
    """Return a bar of rich that is shown; None without rich."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        return None
    columns = [TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn()]
    if total is not None:
        columns.insert(2, TaskProgressColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(what, total=total)
    bar.start()
    return bar
