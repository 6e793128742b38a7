"""Clearing: tokens are taken away, and what carries them is of the past at once; housekeeping removes it by and by.

A server that is out of memory clears too. All that it may refuse is the mark that there is something to sweep.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from hitrate.failsafe import log
from hitrate.stores.redis import scripts
from hitrate.stores.redis.names import Names, digest_of
from hitrate.stores.redis.register import PAGE, Register
from hitrate.stores.redis.servers import Servers, Steps
from hitrate.stores.redis.wire import Request, ScriptCall, command, packed, refuse_error


class Clearer:
    """Clears namespaces.

    Args:
        servers: where the entries are.
        names: the names of the cache.
        register: of the namespaces.
        sweep: called when there is something to sweep.
    """

    def __init__(self, servers: Servers, names: Names, register: Register, sweep: Callable[[], None]) -> None:
        self._servers = servers
        self._names = names
        self._register = register
        self._sweep = sweep

    def clear(self, namespaces: Sequence[bytes] | None) -> Steps[None]:
        """Clear namespaces, or all for None."""
        if namespaces is None:
            yield from self._clear_buckets(range(len(self._names.buckets)))
            self._sweep()
        else:
            names = {digest_of(name): name for name in namespaces}
            yield from self._clear_namespaces(
                [
                    (number, {bucket.namespace(digest): name for digest, name in names.items()})
                    for number, bucket in enumerate(self._names.buckets)
                ]
            )
            yield from self._mark()

    def clear_under(self, prefix: bytes) -> Steps[None]:
        """Clear the namespaces whose encoding begins with a prefix, a page of the register after the other."""
        after: dict[int, bytes | None] = dict.fromkeys(range(len(self._names.buckets)))
        cleared = False
        while after:
            pages = yield from self._register.pages(prefix, after)
            after = {number: page[-1] for number, page in pages.items() if page and len(page) == PAGE}
            lost = [number for number, page in pages.items() if page is None]
            if lost:
                log.warning("Redis lost which namespaces there are: more is cleared than what is under the prefix")
                yield from self._clear_buckets(lost)
            tokens = [
                (number, {self._names.buckets[number].namespace(digest_of(name)): name for name in page})
                for number, page in pages.items()
                if page
            ]
            if tokens:
                yield from self._clear_namespaces(tokens)
            cleared = cleared or bool(lost or tokens)
        if cleared:
            yield from self._mark()

    def _clear_buckets(self, numbers: Iterable[int]) -> Steps[None]:
        """Clear all that is in some buckets, and leave a mark there."""
        requests = []
        mark = _new_mark()
        for number in numbers:
            bucket = self._names.buckets[number]
            names = [bucket.everything, bucket.register, *bucket.books]
            marking = command(b"SET", bucket.sweeping, mark)
            requests.append(Request(number, packed([b"UNLINK", *names]) + marking, 2))
        for replies in (yield from self._servers.replies(requests)):
            refuse_error(replies[0])

    def _clear_namespaces(self, tokens: Sequence[tuple[int, dict[bytes, bytes]]]) -> Steps[None]:
        """Clear namespaces.

        Args:
            tokens: numbers of buckets, each with the names of tokens and the encodings of their namespaces.
        """
        calls = []
        for number, names in tokens:
            bucket = self._names.buckets[number]
            items = list(names.items())
            for start in range(0, len(items), PAGE):
                page = items[start : start + PAGE]
                keys = [bucket.register, *(token for token, _ in page)]
                calls.append(ScriptCall(number, keys, [name for _, name in page]))
        yield from self._servers.call(scripts.CLEAR, calls)

    def _mark(self) -> Steps[None]:
        """Leave marks that there is something to sweep, and have it swept."""
        mark = _new_mark()
        yield from self._servers.replies(
            [
                Request(number, command(b"SET", bucket.sweeping, mark))
                for number, bucket in enumerate(self._names.buckets)
            ]
        )
        self._sweep()


def _new_mark() -> bytes:
    return os.urandom(8).hex().encode()
