"""A cache without limits: nothing is counted on the server, and a write is plain commands.

Entries are stored under the tokens that this process last saw, and the same round trip brings the current ones. Should
they differ, a clear came between, and the entries are stored again under those. A token is random and never comes back
once it is gone: if it is current after the entries were stored, it was so when they were.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from typing import Any

from hitrate.keys import EncodedKey
from hitrate.stores.redis import scripts
from hitrate.stores.redis.holding.base import Holding
from hitrate.stores.redis.scripts import Script
from hitrate.stores.redis.servers import Steps, any_error
from hitrate.stores.redis.surveying import count
from hitrate.stores.redis.wire import Request, ScriptCall, is_error, refuse_error
from hitrate.stores.redis.writing import Batch, Group, WriteCommands, script_arguments

_NO_COMMAND = ("ERR unknown command", "ERR unsupported command", "NOPERM")
"""How a server says that it lacks a command, or that this user may not use it."""


class Unbounded(Holding):
    """Entries are held without limits."""

    _msetex = True
    """Whether the server is taken to have the command MSETEX: until it refuses it."""

    def _write(self, batches: Sequence[Batch]) -> Steps[tuple[int, list[Batch]]]:
        unknown = [
            (batch, [group for group in batch.groups if group.stored and not group.take_known_tokens(batch.bucket)])
            for batch in batches
        ]
        if any(groups for _, groups in unknown):
            yield from self._keep_tokens([(batch, groups) for batch, groups in unknown if groups])
        results = yield from self._exchange(batches, whole=False)
        lacking = [place for place, result in enumerate(results) if any_error([result], "NOSCRIPT")]
        if lacking:  # the server was started anew, or is another
            again = yield from self._exchange([batches[place] for place in lacking], whole=True)
            for place, result in zip(lacking, again, strict=True):
                results[place] = result
        removed = 0
        stale = []
        had_msetex = self._msetex
        for batch, result in zip(batches, results, strict=True):
            if had_msetex and any_error([result], *_NO_COMMAND):  # nothing of this batch was done
                self._msetex = False
                stale.append(batch)
                continue
            for each in result:
                refuse_error(each)
            sweeping, _, everything, *tokens = result[-1]
            if sweeping is not None:
                self._sweep()
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

    def _keep_tokens(self, wanted: Sequence[tuple[Batch, list[Group]]]) -> Steps[None]:
        """Ask for the current tokens of namespaces, which are made if they are not there."""
        calls = []
        for batch, groups in wanted:
            bucket = self._names.buckets[batch.bucket]
            keys, arguments = [bucket.everything, bucket.register], [os.urandom(8 * (1 + len(groups)))]
            for group in groups:
                keys.append(group.space.tokens[batch.bucket])
                arguments += (group.space.name, b"%d" % group.longest())
            calls.append(ScriptCall(batch.bucket, keys, arguments))
        results = yield from self._servers.call(scripts.KEEP, calls)
        now = time.monotonic()
        for (batch, groups), (everything, *kept) in zip(wanted, results, strict=True):
            for group, token, left in zip(groups, kept[::2], kept[1::2], strict=True):
                group.tokens = everything + token
                group.space.known[batch.bucket] = group.tokens, now + left / 1000 if left >= 0 else math.inf
        yield from self._register.entered([batch.bucket for batch, groups in wanted for _ in groups])

    def _exchange(self, batches: Sequence[Batch], *, whole: bool) -> Steps[list[list[Any]]]:
        """Send the commands of batches; return the results of each, of a transaction those of its parts."""
        clock = self._clock_argument()
        requests = []
        for batch in batches:
            commands = WriteCommands(self._names.buckets[batch.bucket], batch, clock, whole=whole, msetex=self._msetex)
            requests.append(Request(batch.bucket, commands, commands.replies, commands.work))
        results = []
        for replies in (yield from self._servers.replies(requests)):
            if len(replies) > 2 and type(replies[-1]) is not list:
                reason = any_error([replies])  # what one part was refused for
                if self._msetex and is_error(reason, *_NO_COMMAND):
                    results.append([reason])
                    continue
                refuse_error(reason)
            results.append(replies[-1] if len(replies) > 2 else replies)
        return results

    def note_expired(self, keys: Sequence[EncodedKey]) -> Steps[None]:
        by_bucket: dict[int, list[bytes]] = {}
        for key in keys:
            number, name = self._entry_name(key)
            by_bucket.setdefault(number, []).append(name)
        calls = [ScriptCall(number, names, [self._clock_argument()]) for number, names in by_bucket.items()]
        for removed in (yield from self._servers.call(scripts.EXPIRE, calls)):
            self.expirations += removed

    def note_hits(self, keys: Sequence[EncodedKey]) -> Steps[None]:
        return
        yield []

    def usage(self) -> Steps[tuple[int, int]]:
        return (yield from count(self._servers, self._names, self._clock))

    def _leasing(self) -> tuple[Script, list[bytes]]:
        return scripts.LEASE, []

    def _settle(self, batches: Sequence[Batch], token: bytes) -> Steps[tuple[list[bytes], list[Batch]]]:
        calls = []
        for batch in batches:
            for group in batch.groups:
                known = group.space.known[batch.bucket]
                group.tokens = b"" if known is None else known[0]
            bucket = self._names.buckets[batch.bucket]
            keys, arguments = script_arguments(bucket, batch, settles=True)
            calls.append(ScriptCall(batch.bucket, [bucket.everything, *keys], [token, *arguments]))
        lost: list[bytes] = []
        again = []
        for batch, result in zip(batches, (yield from self._call(scripts.SETTLE, calls)), strict=True):
            outdated = []
            for group, each in zip(batch.groups, result, strict=True):
                if isinstance(each, bytes):  # the current tokens
                    group.space.known[batch.bucket] = each, 0.0
                    outdated.append(group)
                elif each:
                    names = group.names()
                    lost += [names[place - 1] for place in each]
            if outdated:
                again.append(batch._replace(groups=outdated))
        return lost, again

    def _clearing(self) -> Script:
        return scripts.CLEAR
