"""The counters that outlive processes: one hash, in the first bucket, with a field for each counter of a namespace.

A server that evicts (``maxmemory-policy allkeys-*``) may evict it like any other key; then counting begins anew.
"""

from __future__ import annotations

from typing import Any

from hitrate.keys import decode_text, encode_text
from hitrate.plans import Plan
from hitrate.stores.base import Amounts
from hitrate.stores.lifetime import names_new, within_bounds
from hitrate.stores.redis.links import Request
from hitrate.stores.redis.servers import Operation
from hitrate.stores.redis.wire import command, refuse_error

_BUCKET = 0
_LENGTH_BYTES = 4


class LifetimeCounts:
    """The counters of a cache."""

    def __init__(self) -> None:
        self._known: frozenset[bytes] = frozenset()

    def add(self, op: Operation, amounts: Amounts) -> Plan[None]:
        """Add to the counters, in one transaction of the server."""
        if names_new(amounts, self._known):
            self._known = frozenset(name for name, _ in (yield from self.read(op)))
        name, kept = op.names.buckets[_BUCKET].counts, within_bounds(amounts, self._known)
        commands = [
            command(b"HINCRBYFLOAT", name, _field(*counter), repr(float(amount)).encode())
            for counter, amount in kept.items()
        ]
        packed = b"".join([command(b"MULTI"), *commands, command(b"EXEC")])
        request = Request(packed, len(commands) + 2, len(commands), _BUCKET)
        (replies,) = yield from op.replies([request])
        done: Any = replies[-1]
        for reply in (*replies, *(done if isinstance(done, list) else ())):
            refuse_error(reply)
        self._known |= {name for name, _ in kept}

    def read(self, op: Operation) -> Plan[dict[tuple[bytes, str], float]]:
        """Return the counters."""
        fields = yield from op.reply(command(b"HGETALL", op.names.buckets[_BUCKET].counts), _BUCKET)
        found = {}
        for field, amount in zip(fields[::2], fields[1::2], strict=True):
            try:
                found[_counter(field)] = float(amount)
            except ValueError:  # written by hand
                continue
        return found


def _field(name: bytes, counter: str) -> bytes:
    return len(name).to_bytes(_LENGTH_BYTES, "big") + name + encode_text(counter)


def _counter(field: bytes) -> tuple[bytes, str]:
    end = _LENGTH_BYTES + int.from_bytes(field[:_LENGTH_BYTES], "big")
    if end > len(field):
        raise ValueError("a field is shorter than the name in it")
    return field[_LENGTH_BYTES:end], decode_text(field[end:])
