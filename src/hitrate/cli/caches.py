"""Opening the cache that a command is given: for reading without a write to it, or for changing what is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from hitrate.cli.exits import MISUSE, Failure, failures_told
from hitrate.compute.cache import ComputingCache
from hitrate.errors import StoreError

Cache = ComputingCache[Any]

_OF_A_FILE = re.compile(r"sqlite:")
_OF_A_DATABASE = re.compile(r"postgres(?:ql)?:")
_GIVEN_BOUND = re.compile(r"[?&]max_bytes=")


@contextmanager
def reading(url: str) -> Iterator[Cache]:
    """Open a cache for reading; of tiers the farthest, which has all entries. Nothing is written, no file is made."""
    from hitrate.opening import urls_of

    url = urls_of(url)[-1]
    options = {"read_only": True} if _OF_A_FILE.match(url) else _without_limit(url)
    with failures_told(), _opened(url, **options) as cache:
        store = cache._open_store()
        store.make_nothing()
        # A file is opened at once, a server when it is first asked: one that is down is told by every command.
        if _OF_A_DATABASE.match(url):
            store.usage()
        elif not _OF_A_FILE.match(url):
            store.get(cache._encode_keys([((), "")]))
        yield cache


@contextmanager
def changing(url: str, *, make: bool = False) -> Iterator[Cache]:
    """Open a cache to change what is in it; with ``make`` a file or tables that are not there are made."""
    if not make:
        with reading(url):  # it raises for what is no cache of ours, and makes no file
            pass
    with failures_told(), _opened(url, **_without_limit(url)) as cache:
        yield cache


def _without_limit(url: str) -> dict[str, Any]:
    """Return the options of a cache that evicts nothing, unless its URL says otherwise: the program's limit is unknown.

    In a URL of several tiers, a tier's own option goes before the option given for all.
    """
    from hitrate.opening import urls_of

    urls = urls_of(url)
    has_limit = any(_OF_A_FILE.match(each) or _OF_A_DATABASE.match(each) for each in urls)
    return {"max_bytes": None} if has_limit and (len(urls) > 1 or not _GIVEN_BOUND.search(url)) else {}


@contextmanager
def _opened(url: str, **options: Any) -> Iterator[Cache]:
    from hitrate.open_cache import without_hint_for_graphs
    from hitrate.opening import open, urls_of

    if urls_of(url)[-1].startswith("memory:"):
        raise Failure("memory: is a cache within the process of its program; a command cannot look into it", MISUSE)
    try:
        cache = open(url, on_error="raise", **options)
    except (ValueError, TypeError) as error:
        if isinstance(error.__cause__, StoreError):  # a file that is another program's
            raise Failure(str(error)) from error
        raise click.UsageError(str(error)) from error
    without_hint_for_graphs(type(cache))  # no graph is run here, and what graphs stored is looked at all the same
    with cache:
        yield cache


def named(cache: Cache) -> str:
    """Return what and where a cache is, without how it was opened."""
    return repr(cache).replace(", read_only=True", "")


def count_of(cache: Cache) -> int | None:
    """Return how many entries a cache holds; None if it is damaged so that they cannot be counted."""
    try:
        return cache.stats().entries
    except StoreError:
        return None
