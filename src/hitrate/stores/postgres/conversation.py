"""A conversation with the server: what is asked depends on what was answered, and not on who waits for it.

It is a generator that yields calls, which are one transaction and one round trip, and is sent their results. Both faces
hold the same conversations.
"""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Generator, Sequence
from typing import TypeAlias, TypeVar

from hitrate.stores.postgres.wire import Call, Link, Result

T = TypeVar("T")

Conversation: TypeAlias = Generator[Sequence[Call], list[Result], T]

PAUSE: Sequence[Call] = ()
"""Yielded instead of calls: nothing is asked, and an event loop may serve others."""


def hold(conversation: Conversation[T], link: Link, deadline: float, *, prepare: bool) -> T:
    """Hold a conversation, waiting on this thread.

    Args:
        conversation: what is asked.
        link: the connection, which is nobody else's meanwhile.
        deadline: when to give up, in seconds of the monotonic clock.
        prepare: whether statements may be prepared.

    Raises:
        StoreError: the server refused, or did not answer in time.
        psycopg.Error: the connection broke.
    """
    try:
        calls = next(conversation)
        while True:
            results = link.run(link.exchange(calls, prepare=prepare), deadline) if calls else []
            calls = conversation.send(results)
    except StopIteration as done:
        value: T = done.value
        return value


async def ahold(conversation: Conversation[T], link: Link, deadline: float, *, prepare: bool) -> T:
    """Hold a conversation as ``hold`` does, waiting on the event loop."""
    try:
        calls = next(conversation)
        while True:
            if calls:
                results = await link.arun(link.exchange(calls, prepare=prepare), deadline)
            else:
                results = []
                await sleep(0)
            calls = conversation.send(results)
    except StopIteration as done:
        value: T = done.value
        return value
