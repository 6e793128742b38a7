"""The nodes of a cluster: which of them holds a bucket, and what to do when that changes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from hitrate.errors import StoreError
from hitrate.plans import Plan
from hitrate.stores.redis.clients import Target
from hitrate.stores.redis.links import Request
from hitrate.stores.redis.loop_links import Answer
from hitrate.stores.redis.names import Bucket
from hitrate.stores.redis.nodes import Node
from hitrate.stores.redis.servers import Operation, Servers, divided, joined
from hitrate.stores.redis.wire import any_error, command, refuse_error

_ROUNDS = 5
_SECONDS_BETWEEN_MAPS = 0.25
_MOVES = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY")
_ASKING = command(b"ASKING")


class Cluster(Servers):
    """The nodes of a cluster, of which the target names some."""

    def __init__(self, target: Target, buckets: Sequence[Bucket], timeout: float) -> None:
        self._target = target
        self._buckets = buckets
        self._timeout = timeout
        self._known: dict[tuple[str, int], Node] = {}
        self.homes: list[Node] = []
        self._suspects: set[Node] = set()
        self._next_map = 0.0
        self._stale = True

    @property
    def nodes(self) -> list[Node]:
        return list(self._known.values())

    def route(self, op: Operation, requests: Sequence[Request]) -> Plan[list[Answer]]:
        answers: list[Answer] = [StoreError("not tried")] * len(requests)
        yield from self._read_map_if_stale(op)
        left: dict[int, Node] = {place: self.homes[request.bucket] for place, request in enumerate(requests)}
        asking: set[int] = set()
        for _ in range(_ROUNDS):
            by_node: dict[Node, list[int]] = {}
            for place, node in left.items():
                by_node.setdefault(node, []).append(place)
            sent = {
                node: [each for place in places for each in _with_asking(requests[place], place in asking)]
                for node, places in by_node.items()
            }
            taken = yield op, "exchange", [(node, joined(its)) for node, its in sent.items()]
            for (node, places), answer in zip(by_node.items(), taken, strict=True):
                if isinstance(answer, StoreError):
                    self._suspects.add(node)
                    self._stale = True  # another node may take its place
                own = iter(divided(answer, sent[node]))
                for place in places:
                    if place in asking:
                        next(own)
                    answers[place] = next(own)
            left, asking = self._moved(requests, answers, list(left))
            if not left:
                break
            if self._stale:
                yield from self._read_map_if_stale(op)
                for place in left.keys() - asking:
                    left[place] = self.homes[requests[place].bucket]
        return answers

    def locate(self, op: Operation) -> Plan[list[Node]]:
        yield from self._read_map_if_stale(op)
        return list(dict.fromkeys(self.homes))

    def _moved(
        self, requests: Sequence[Request], answers: Sequence[Answer], places: list[int]
    ) -> tuple[dict[int, Node], set[int]]:
        """Return the requests to send again, with their nodes, and which of them need an ASKING before."""
        left: dict[int, Node] = {}
        asking: set[int] = set()
        for place in places:
            moved = any_error([answers[place]], *_MOVES)
            if moved is None:
                continue
            words = str(moved).split(" ")
            left[place] = self.homes[requests[place].bucket]
            if words[0] in ("MOVED", "ASK") and len(words) == 3:
                host, _, port = words[2].rpartition(":")
                left[place] = self._node(host or self._address_of(left[place])[0], int(port))
                if words[0] == "ASK":
                    asking.add(place)
                    continue
                self.homes[requests[place].bucket] = left[place]
            else:
                self._stale = True
        return left, asking

    def _node(self, host: str, port: int) -> Node:
        address = self._target.remap((host, port)) if self._target.remap else (host, port)
        node = self._known.get(address)
        if node is None:
            connect_to = self._target.connect_to
            assert connect_to is not None
            node = Node(
                f"the Redis node at {address[0]}:{address[1]}",
                lambda: connect_to(*address),
                self._target.errors,
                self._timeout,
            )
            node = self._known.setdefault(address, node)
        return node

    def _address_of(self, node: Node) -> tuple[str, int]:
        return next(address for address, known in self._known.items() if known is node)

    def _read_map_if_stale(self, op: Operation) -> Plan[None]:
        """Ask one node after the other where the slots are, until one tells."""
        if not self._stale or (self.homes and time.monotonic() < self._next_map):
            return
        self._next_map = time.monotonic() + _SECONDS_BETWEEN_MAPS
        reason = f"{self._target.name} has no node that answers"
        candidates = dict.fromkeys([*self.homes, *(self._node(*seed) for seed in self._target.seeds), *self.nodes])
        for node in sorted(candidates, key=lambda node: (not node.breaker.closed, node in self._suspects)):
            (answer,) = yield op, "exchange", [(node, Request(command(b"CLUSTER", b"SLOTS")))]
            if isinstance(answer, StoreError):
                reason = str(answer)
                continue
            try:
                refuse_error(answer[0])
                homes = self._homes_in(answer[0], node)
            except (StoreError, ValueError, TypeError, IndexError, AttributeError) as error:
                reason = f"{node.name} does not tell where the slots are: {error}"
                continue
            self.homes = homes
            self._stale = False
            self._suspects.clear()
            return
        if not self.homes:
            raise StoreError(reason)

    def _homes_in(self, slots: Any, asked: Node) -> list[Node]:
        """Return the node of each bucket from the reply to CLUSTER SLOTS."""
        homes: list[Node] = []
        for bucket in self._buckets:
            for first, last, (host, port, *_), *_ in slots:
                if first <= bucket.slot <= last:
                    homes.append(self._node(host.decode() if host else self._address_of(asked)[0], port))
                    break
            else:
                raise ValueError(f"no node holds slot {bucket.slot}")
        return homes


def _with_asking(request: Request, asking: bool) -> list[Request]:
    """Return a request with the command ASKING before it, so that a node to which the slot is moving answers it."""
    return [Request(_ASKING), request] if asking else [request]
