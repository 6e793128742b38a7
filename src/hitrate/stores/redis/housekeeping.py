"""Sweeping: removing from the server, in the background, what was cleared.

A clear leaves a mark on the server. A process that sees the mark, be it the one that cleared or one that writes later,
sweeps if no other process does. It looks through the server in short steps and rests between them for several times as
long, so that the server serves others nearly all of the time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from hitrate.errors import ClosedError, StoreError
from hitrate.failsafe import log
from hitrate.plans import Plan, carry_out
from hitrate.stores.keeper import Keeper
from hitrate.stores.redis import scripts
from hitrate.stores.redis.links import Request
from hitrate.stores.redis.nodes import Node
from hitrate.stores.redis.servers import Operation
from hitrate.stores.redis.surveying import look
from hitrate.stores.redis.wire import ScriptCall, command, refuse_error

_DELAY = 0.2  # clears often come several at a time
_REST = 4.0  # times as long as the step before
_LEASE_SECONDS = 30


class Sweeper:
    """Sweeps on a thread that ends when there is nothing left to sweep."""

    def __init__(self, operation: Callable[[], Operation]) -> None:
        self._operation = operation
        self._not_before = 0.0
        self.after_fork_in_child()

    def request(self) -> None:
        """See to it that what was cleared is removed."""
        if time.monotonic() >= self._not_before:
            self._keeper.request()

    def stop(self) -> None:
        """End the thread, if there is one, after its present step."""
        self._keeper.stop(1.0)

    def after_fork_in_child(self) -> None:
        """Start anew: the thread stayed with the parent."""
        self._keeper = Keeper(self._sweep, name="hitrate-sweeper", lingers=False)

    def _sweep(self) -> bool:
        """Remove all that was cleared; tell whether to look again, for what was cleared meanwhile."""
        if self._keeper.rest(_DELAY):
            return False
        op = self._operation()
        try:
            marks = carry_out(_marks(op))
            if not any(marks):
                return False
            if not carry_out(_take_lease(op)):
                self._not_before = time.monotonic() + _LEASE_SECONDS
                return False
            if self._sweep_all(op):
                carry_out(_unmark(op, marks))
            carry_out(op.reply(command(b"UNLINK", op.names.buckets[0].sweeper)))
            return True
        except (StoreError, ClosedError) as error:
            log.debug("what was cleared is removed later: %s", error)
            self._not_before = time.monotonic() + _LEASE_SECONDS
            return False

    def _sweep_all(self, op: Operation) -> bool:
        """Look through all servers; tell whether all of them were looked through."""
        for node in carry_out(op.servers.locate(op)):
            cursor = b"0"
            while True:
                begun = time.monotonic()
                cursor = carry_out(_step(op, node, cursor))
                if cursor == b"0":
                    break
                if self._keeper.rest((time.monotonic() - begun) * _REST):
                    return False
        return True


def _step(op: Operation, node: Node, cursor: bytes) -> Plan[bytes]:
    cursor, _, seen = yield from look(op, node, cursor)
    calls: dict[int, ScriptCall] = {}
    for each in seen:
        if not each.is_current:
            bucket = op.names.buckets[each.bucket]
            call = calls.setdefault(each.bucket, ScriptCall(each.bucket, [bucket.everything], []))
            call.keys.extend((each.token, each.name))
    if calls:
        yield from op.call(scripts.SWEEP, list(calls.values()))
    yield from op.reply(command(b"PEXPIRE", op.names.buckets[0].sweeper, b"%d" % (_LEASE_SECONDS * 1000)))
    return cursor


def _marks(op: Operation) -> Plan[list[bytes | None]]:
    requests = [
        Request(command(b"GET", bucket.sweeping), bucket=number) for number, bucket in enumerate(op.names.buckets)
    ]
    marks = []
    for (mark,) in (yield from op.replies(requests)):
        refuse_error(mark)
        marks.append(mark)
    return marks


def _unmark(op: Operation, marks: Sequence[bytes | None]) -> Plan[None]:
    """Remove the marks, except those that a clear renewed during the sweep."""
    calls = [
        ScriptCall(number, [op.names.buckets[number].sweeping], [mark])
        for number, mark in enumerate(marks)
        if mark is not None
    ]
    yield from op.call(scripts.UNMARK, calls)


def _take_lease(op: Operation) -> Plan[bool]:
    life = b"%d" % (_LEASE_SECONDS * 1000)
    mine = os.urandom(8).hex().encode()
    reply = yield from op.reply(command(b"SET", op.names.buckets[0].sweeper, mine, b"NX", b"PX", life))
    return reply is not None
