"""The register on the server: which namespaces have tokens, in order, so that those under a prefix can be cleared.

Each bucket has a register. When a process asks for the tokens of a namespace, the same step of the server enters the
namespace, so that each namespace that can have entries is in the register. The register also has the token of all
entries; where that is missing, the server has lost the register, as it may when it is out of memory.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from hitrate.keys import after_all_under
from hitrate.plans import Plan
from hitrate.stores.redis import scripts
from hitrate.stores.redis.names import digest_of
from hitrate.stores.redis.servers import Operation
from hitrate.stores.redis.wire import ScriptCall

PAGE = 250
"""Namespaces that one step of the server returns, or clears."""

_TIDY_EVERY = 64
_LOOKED_AT = 4  # for each that was entered: at most a fourth of a register is of namespaces that have expired

_NAMESPACE = b"n"


class Register:
    """The registers of a cache."""

    def __init__(self) -> None:
        self._due = random.randrange(_TIDY_EVERY)  # so that processes that end soon do their part, too
        self._bucket = 0

    def pages(
        self, op: Operation, prefix: bytes, after: Mapping[int, bytes | None]
    ) -> Plan[dict[int, list[bytes] | None]]:
        """Return the next namespaces under a prefix, a page at most of each bucket; None for a register that was lost.

        Args:
            prefix: what their encodings begin with; not empty.
            after: the buckets, each with the namespace that was the last of the page before, None for the first page.
        """
        last = b"(" + after_all_under(_NAMESPACE + prefix)
        calls = []
        for number, name in after.items():
            bucket = op.names.buckets[number]
            first = b"[" + _NAMESPACE + prefix if name is None else b"(" + _NAMESPACE + name
            calls.append(ScriptCall(number, [bucket.everything, bucket.register], [first, last, b"%d" % PAGE]))
        found = yield from op.call(scripts.PAGE, calls)
        return {
            number: None if page is None else [member[1:] for member in page]
            for number, page in zip(after, found, strict=True)
        }

    def entered(self, numbers: Sequence[int]) -> None:
        """Note in which buckets namespaces were entered: the number of the bucket, for each of them."""
        if numbers:
            self._due += len(numbers)
            self._bucket = random.choice(numbers)

    def tidy(self, op: Operation) -> Plan[None]:
        """Remove some expired namespaces from the register, if many were entered."""
        if self._due < _TIDY_EVERY:
            return
        looked_at = min(self._due * _LOOKED_AT, PAGE)
        self._due -= looked_at // _LOOKED_AT
        number = self._bucket
        bucket = op.names.buckets[number]
        glance = ScriptCall(number, [bucket.register], [b"%d" % random.getrandbits(31), b"%d" % looked_at])
        (members,) = yield from op.call(scripts.GLANCE, [glance])
        names = [member[1:] for member in members if member[:1] == _NAMESPACE]
        tokens = [bucket.namespace(digest_of(name)) for name in names]
        yield from op.call(scripts.TIDY, [ScriptCall(number, [bucket.register, *tokens], names)])
