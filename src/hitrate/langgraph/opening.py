"""A cache for graphs from a URL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hitrate.langgraph.base import GraphCache
from hitrate.opening import open_from


def open(url: str | Sequence[str], **options: Any) -> GraphCache[Any]:
    """Return the cache for graphs that a URL names: ``graph.compile(cache=hitrate.langgraph.open(url))``.

    Args:
        url: one URL, or a sequence of them; as in ``hitrate.open``.
        options: further arguments of the cache.

    Raises:
        TypeError: the URL is no str, or no cache has such an option.
        ValueError: the URL names no cache, or an option in it is not of its type.
        ModuleNotFoundError: the extra that the cache needs is not installed; the message names it.
    """
    import hitrate.langgraph

    cache = open_from(hitrate.langgraph, url, options)
    assert isinstance(cache, GraphCache)
    return cache
