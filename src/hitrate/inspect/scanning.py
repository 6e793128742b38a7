"""The list of entries that the pages are made of: read from the cache in the background, when somebody looks.

While a new list is made the one before is shown. How long a list is used depends on what it costs: of a small cache
each page has a new one, and of a large one the reading of lists never takes more than a fraction of the time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice
from typing import NoReturn

from hitrate.errors import HitrateError, StoreError, words_of
from hitrate.inspect.counts import Cache
from hitrate.inspect.entry_list import EntryList, Selection
from hitrate.listing import Listing

_AT_ONCE = 500
_PAUSE = 0.0005  # seconds after each step, in which those who wait for the interpreter get it
_PATIENCE = 0.1  # seconds that a page waits for a new list, if it may be there by then
_FRESH = 1.0
_SHARE = 10  # a list is used for so many times as long as it took to make


class Index:
    """The latest list of a cache's entries.

    Args:
        cache: the cache.
        clock: returns the seconds since the epoch.

    Attributes:
        latest: the list; None before the first is there.
        failure: why the latest could not be made; empty if it could.
    """

    def __init__(self, cache: Cache, clock: Callable[[], float]) -> None:
        self.latest: EntryList | None = None
        self.failure = ""
        self._cache = cache
        self._clock = clock
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._coming: EntryList | None = None
        self._again = False  # a list was asked for that begins later than `_coming`
        self._removed: list[tuple[Selection, str | None, float | None]] = []  # since `_coming` began
        self._stale_from = 0.0  # by time.monotonic()
        self._took = 0.0

    def look(self, *, now: bool = False) -> EntryList | None:
        """Return the latest list, and have a newer one made if it is old, as it always is with ``now``."""
        if now or self.latest is None or time.monotonic() >= self._stale_from:
            thread = self.start(again=now)
            if self.latest is None or self._took < 2 * _PATIENCE:
                thread.join(_PATIENCE)
        return self.latest

    def start(self, *, again: bool = False) -> threading.Thread:
        """Have a list be made, and return the thread that does; there is one at a time.

        Args:
            again: whether another follows if one is being made already: it may have read what has changed since.
        """
        with self._lock:
            if self._coming is None or self._thread is None or not self._thread.is_alive():
                coming = EntryList()
                self._thread = threading.Thread(target=self._scan, args=(coming,), name="hitrate-index", daemon=True)
                self._thread.start()
                self._coming, self._again, self._removed = coming, False, []
            elif again:
                self._again = True
            return self._thread

    def forget(self, selection: Selection, key: str | None, *, expired: bool) -> None:
        """Leave out of the list what was removed from the cache: one key or all of them, or only what has expired."""
        until = self._clock() if expired else None
        with self._lock:
            if self.latest is not None:
                self.latest.forget(selection, key, until)
            if self._coming is not None:  # it may have read them before they were removed
                self._removed.append((selection, key, until))
            self._stale_from = 0.0  # a new list is made soon: the cache may have had entries that the list had not

    @property
    def progress(self) -> int | None:
        """How many entries of the list that is being made have been read; None if none is."""
        coming = self._coming
        return None if coming is None else coming.entries

    def _scan(self, coming: EntryList | None) -> None:
        while coming is not None:
            began = time.monotonic()
            failure = "the entries could not be read"
            try:
                self._read(coming)
                failure = ""
            except (HitrateError, OSError, NotImplementedError) as error:
                failure = words_of(error) or type(error).__name__
            finally:
                following = self._end(coming, failure, time.monotonic() - began)
            coming = following

    def _read(self, coming: EntryList) -> None:
        entries = Listing(
            self._cache._encode_prefix(()), self._cache._open_store, self._cache._codec.key_decoder(), _fail
        ).entries()
        while chunk := list(islice(entries, _AT_ONCE)):
            coming.add(chunk)
            time.sleep(_PAUSE)
        coming.finish(self._clock())

    def _end(self, coming: EntryList, failure: str, took: float) -> EntryList | None:
        """Show a list that was read, without what was removed meanwhile; return the next that is to be read."""
        with self._lock:
            if not failure:
                for removal in self._removed:
                    coming.forget(*removal)
                self.latest = coming
            self.failure = failure
            self._took = took
            self._stale_from = 0.0 if self._removed else time.monotonic() + max(_FRESH, _SHARE * took)
            self._coming = EntryList() if self._again else None
            self._again, self._removed = False, []
            return self._coming


def _fail(what: str, error: StoreError) -> NoReturn:
    raise error
