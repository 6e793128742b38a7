"""Writes, without a script: nothing is counted on the server.

Entries are stored under the tokens that this process last saw, and the same round trip brings the current ones. Should
they differ, a clear came between, and the entries are stored again under those. A token is random and never comes back
once it is gone: if it is current after the entries were stored, it was so when they were.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from hitrate.errors import StoreError
from hitrate.plans import Plan
from hitrate.stores.base import Changes
from hitrate.stores.redis import scripts
from hitrate.stores.redis.batches import Batch, Group, batches_for
from hitrate.stores.redis.commands import WriteCommands
from hitrate.stores.redis.links import Request
from hitrate.stores.redis.servers import Operation
from hitrate.stores.redis.wire import ScriptCall, any_error, is_error, refuse_error

ROUNDS = 10
"""How often something is stored anew because it was cleared meanwhile."""

_NO_COMMAND = ("ERR unknown command", "ERR unsupported command", "NOPERM")
"""How the errors begin by which a server says that it lacks a command, or that this user may not use it."""


def write(op: Operation, changes: Changes) -> Plan[int]:
    """Apply changes; return how many keys were removed."""
    batches = list(batches_for(op.names, changes, op.clock.now()))
    removed = rounds = 0
    while batches:
        if rounds == ROUNDS:
            raise StoreError("the cache was cleared again and again while this was written")
        counted, batches = yield from _write(op, batches)
        removed += counted
        rounds += 1
    return removed


def _write(op: Operation, batches: Sequence[Batch]) -> Plan[tuple[int, list[Batch]]]:
    """Write batches; return how many entries were removed, and what is to be written again under other tokens."""
    unknown = [
        (batch, groups)
        for batch in batches
        if (groups := [each for each in batch.groups if each.stored and not each.take_known_tokens(batch.bucket)])
    ]
    if unknown:
        yield from _keep_tokens(op, unknown)
    had_msetex = op.servers.msetex
    removed = 0
    stale = []
    for batch, result in zip(batches, (yield from _exchange(op, batches)), strict=True):
        if any_error([result], "NOSCRIPT"):  # the server was started anew, or is another
            stale.append(batch._replace(whole=True))
            continue
        if had_msetex and any_error([result], *_NO_COMMAND):  # nothing of this batch was done
            op.servers.msetex = False
            stale.append(batch)
            continue
        for each in result:
            refuse_error(each)
        sweeping, _, everything, *tokens = result[-1]
        if sweeping is not None:
            op.sweep()
        if any(group.removed for group in batch.groups):
            removed += result[-2]
        outdated = [
            group
            for group, token in zip(batch.groups, tokens, strict=True)
            if group.stored and group.tokens != (everything or b"") + (token or b"")
        ]
        for group in outdated:
            group.space.known[batch.bucket] = None
        if outdated:
            stale.append(batch.without_removals())
    return removed, stale


def _keep_tokens(op: Operation, wanted: Sequence[tuple[Batch, list[Group]]]) -> Plan[None]:
    """Ask for the current tokens of namespaces, which are made if they are not there."""
    calls = []
    for batch, groups in wanted:
        bucket = op.names.buckets[batch.bucket]
        keys, arguments = [bucket.everything, bucket.register], [os.urandom(8 * (1 + len(groups)))]
        for group in groups:
            keys.append(group.space.tokens[batch.bucket])
            arguments += (group.space.name, b"%d" % group.longest())
        calls.append(ScriptCall(batch.bucket, keys, arguments))
    results = yield from op.call(scripts.KEEP, calls)
    for (batch, groups), (everything, *kept) in zip(wanted, results, strict=True):
        for group, token, left in zip(groups, kept[::2], kept[1::2], strict=True):
            group.tokens = everything + token
            group.space.note(batch.bucket, group.tokens, left)
    op.register.entered([batch.bucket for batch, groups in wanted for _ in groups])
    yield from op.register.tidy(op)


def _exchange(op: Operation, batches: Sequence[Batch]) -> Plan[list[list[Any]]]:
    """Send the commands of batches; return the results of each, of a transaction those of its parts."""
    clock = op.clock.argument()
    requests = []
    for batch in batches:
        commands = WriteCommands(op.names.buckets[batch.bucket], batch, clock, msetex=op.servers.msetex)
        requests.append(Request(commands, commands.replies, commands.work, batch.bucket))
    results = []
    for replies in (yield from op.replies(requests)):
        if len(replies) > 2 and type(replies[-1]) is not list:
            reason = any_error([replies])  # what one part was refused for
            if op.servers.msetex and is_error(reason, *_NO_COMMAND):
                results.append([reason])
                continue
            refuse_error(reason)
        results.append(replies[-1] if len(replies) > 2 else replies)
    return results
