"""Listing what lies on the servers: namespaces from the register, keys from the values, in short steps.

A name on the server has digests; a value has its key in full and the digest of its namespace, which the register
knows. Entries are looked for among all that is there, by SCAN, which comes by each key that is there all the time, by
some more than once, in no order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hitrate.failsafe import log
from hitrate.plans import Plan
from hitrate.stores.base import Listed, Page
from hitrate.stores.redis.format import HEADER_LENGTH, header_of, key_in
from hitrate.stores.redis.names import digest_of
from hitrate.stores.redis.nodes import Node
from hitrate.stores.redis.register import PAGE
from hitrate.stores.redis.servers import Operation
from hitrate.stores.redis.surveying import SurveyedEntry, look
from hitrate.stores.redis.wire import command

_USUAL_KEY = 192
"""Bytes of a key that are read along with the header; longer ones are asked for once more."""


@dataclass
class Place:
    """How far a listing has come.

    Attributes:
        namespaces: by their digests the namespaces to list.
        nodes: the servers that are still to be looked through, the next one last.
        cursor: of SCAN, on that server.
        listed: the names that were come by.
    """

    namespaces: dict[bytes, bytes]
    nodes: list[Node]
    cursor: bytes = b"0"
    listed: set[bytes] = field(default_factory=set)


def page(op: Operation, under: bytes, after: Place | None) -> Plan[Page]:
    """Return a page of the namespaces whose encoding begins with ``under``; as ``Store.list_page``."""
    place = after or (yield from _begin(op, under))
    if not place.nodes:
        return Page((), None)
    node = place.nodes[-1]
    place.cursor, _, seen = yield from look(op, node, place.cursor, HEADER_LENGTH + _USUAL_KEY)
    if place.cursor == b"0":
        place.nodes.pop()
    entries = yield from _listed(op, node, place, seen)
    return Page(entries, place if place.nodes else None)


def _begin(op: Operation, under: bytes) -> Plan[Place]:
    """Read which namespaces there are."""
    namespaces = {space.digest: name for name, space in op.names.copy().items() if name.startswith(under)}
    after: dict[int, bytes | None] = dict.fromkeys(range(len(op.names.buckets)))
    while after:
        pages = yield from op.register.pages(op, under, after)
        after = {number: page[-1] for number, page in pages.items() if page and len(page) == PAGE}
        if None in pages.values():
            log.warning("Redis lost which namespaces there are: only those that this process used are listed")
        namespaces |= {digest_of(name): name for page in pages.values() for name in page or ()}
    return Place(namespaces, (yield from op.servers.locate(op)) if namespaces else [])


def _listed(op: Operation, node: Node, place: Place, seen: list[SurveyedEntry]) -> Plan[list[Listed]]:
    own_clock = op.clock.own
    now = None if own_clock is None else own_clock()
    wanted = [
        each
        for each in seen
        if each.is_current
        and each.name not in place.listed
        and each.header.namespace in place.namespaces
        and (now is None or each.header.expiry > now)
    ]
    beginnings = [each.beginning for each in wanted]
    ends = [HEADER_LENGTH + each.header.key_length for each in wanted]
    cut = [number for number, beginning in enumerate(beginnings) if len(beginning) < ends[number]]
    if cut:
        asked = [command(b"GETRANGE", wanted[number].name, b"0", b"%d" % (ends[number] - 1)) for number in cut]
        replies = yield from op.ask(node, b"".join(asked), len(cut), len(cut))
        for number, reply in zip(cut, replies, strict=True):
            beginnings[number] = reply
    entries = []
    for each, beginning in zip(wanted, beginnings, strict=True):
        header = header_of(beginning)
        key = None if header is None else key_in(beginning, header)
        if header is not None and key is not None:  # else it has gone, or was written anew, since it was looked at
            place.listed.add(each.name)
            name = place.namespaces[each.header.namespace]
            expiry = None if each.header.expiry == math.inf else each.header.expiry
            seconds = header.seconds if 0.0 < header.seconds < 1e9 else 0.0
            entries.append(Listed(name, key, each.size, None, expiry, seconds))
    return entries
