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

_OF_A_FILE = re.compile(r"(?:^|\+)sqlite:")
_OF_MEMORY_ALONE = re.compile(r"memory:(?![^?]*\+)")
_GIVEN_BOUND = re.compile(r"[?&]max_bytes=")


@contextmanager
def reading(url: str) -> Iterator[Cache]:
    """Open a cache to look into; a file is not written to, and not made."""
    options = {"read_only": True} if _OF_A_FILE.search(url) else {}
    with failures_told(), _opened(url, **options) as cache:
        yield cache


@contextmanager
def changing(url: str, *, make: bool = False) -> Iterator[Cache]:
    """Open a cache to change what is in it.

    Args:
        url: the cache.
        make: whether a file that is not there is made.
    """
    options: dict[str, Any] = {}
    if _OF_A_FILE.search(url):
        if not make:
            with reading(url):  # which raises for what is no cache of ours, and makes nothing
                pass
        if not _GIVEN_BOUND.search(url):
            options["max_bytes"] = None  # the program's limit is not known here: nothing is evicted by another one
    with failures_told(), _opened(url, **options) as cache:
        yield cache


@contextmanager
def _opened(url: str, **options: Any) -> Iterator[Cache]:
    from hitrate.open_cache import without_hint_for_graphs
    from hitrate.opening import open

    if _OF_MEMORY_ALONE.match(url):
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
