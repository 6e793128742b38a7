"""Where requests go: to the only server, or in a cluster to the node that holds a bucket's slot."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from hitrate.breaker import BreakerState
from hitrate.errors import StoreError
from hitrate.plans import Plan
from hitrate.stores.redis.clients import Target
from hitrate.stores.redis.links import Request
from hitrate.stores.redis.loop_links import Answer
from hitrate.stores.redis.nodes import Node
from hitrate.stores.redis.operation import Operation
from hitrate.stores.redis.wire import any_error


class Servers(ABC):
    """One server or several.

    Attributes:
        msetex: whether they are taken to have the command MSETEX: until one refuses it.
    """

    msetex = True

    @property
    @abstractmethod
    def nodes(self) -> list[Node]:
        """All servers that have been used."""

    @property
    @abstractmethod
    def state(self) -> BreakerState:
        """The state of the circuit breaker, of several the worst."""

    @abstractmethod
    def route(self, op: Operation, requests: Sequence[Request]) -> Plan[list[Answer]]:
        """Send requests to where their buckets are, in one round trip; return the answer to each."""

    @abstractmethod
    def locate(self, op: Operation) -> Plan[list[Node]]:
        """Return the servers that hold the buckets."""


class OneServer(Servers):
    """The only server, or whatever a Sentinel takes for it.

    Args:
        target: where it is.
        timeout: seconds that a call may take.
    """

    def __init__(self, target: Target, timeout: float) -> None:
        assert target.connect is not None
        self.node = Node(target.name, target.connect, target.errors, timeout)

    @property
    def nodes(self) -> list[Node]:
        return [self.node]

    @property
    def state(self) -> BreakerState:
        return self.node.breaker.state

    def route(self, op: Operation, requests: Sequence[Request]) -> Plan[list[Answer]]:
        sends = [(self.node, joined(requests))]
        (answer,) = yield op, "exchange", sends
        if any_error([answer], "READONLY"):
            # It was the primary until now. A new connection asks the Sentinel anew.
            self.node.renew()
            (answer,) = yield op, "exchange", sends
        return divided(answer, requests)

    def locate(self, op: Operation) -> Plan[list[Node]]:
        return [self.node]
        yield ()


def joined(requests: Sequence[Request]) -> Request:
    """Return several requests to a server as one."""
    if len(requests) == 1:
        return requests[0]
    return Request(
        b"".join([request.whole() for request in requests]),
        sum(request.replies for request in requests),
        sum(request.work for request in requests),
        undo=[undo for request in requests for undo in request.undo],
    )


def divided(answer: Answer, requests: Sequence[Request]) -> list[Answer]:
    """Return the answer to each of several requests that were sent together."""
    if isinstance(answer, StoreError) or len(requests) == 1:
        return [answer] * len(requests)
    answers: list[Answer] = []
    start = 0
    for request in requests:
        answers.append(answer[start : start + request.replies])
        start += request.replies
    return answers
