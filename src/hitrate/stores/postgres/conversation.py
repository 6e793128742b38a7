"""A conversation with the server: what is asked depends on what was answered, and not on who waits for it.

It is a generator that yields calls, which are one transaction and one round trip, and is sent their results.
``Link.run`` and ``Link.arun`` carry it through.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeAlias, TypeVar

from hitrate.stores.postgres.wire import NOTHING, Link, Query, Result, Waits

T = TypeVar("T")

Conversation: TypeAlias = Generator[Sequence[Query], list[Result], T]

PAUSE: Sequence[Query] = ()
"""Yielded instead of calls: nothing is asked, and an event loop may serve others."""


def on(link: Link, conversation: Conversation[T], *, prepare: bool) -> Waits[T]:
    """Yield what a conversation on a connection waits for; return what it comes to.

    Args:
        link: the connection, which is nobody else's meanwhile.
        conversation: what is asked.
        prepare: whether statements may be prepared.

    Raises:
        StoreError: the server refused.
        psycopg.Error: the connection broke.
    """
    try:
        calls = next(conversation)
        while True:
            results: list[Result] = []
            if calls:
                results = yield from link.exchange(calls, prepare=prepare)
            else:
                yield NOTHING
            calls = conversation.send(results)
    except StopIteration as done:
        value: T = done.value
        return value
