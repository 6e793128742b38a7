"""Where requests go: to the only server, or in a cluster to the node that holds a bucket's slot.

What is to be done is decided by generators that yield what to send and are sent the answers, so that it is written once
for both faces.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import Any, TypeVar

from hitrate.breaker import BreakerState
from hitrate.errors import StoreError
from hitrate.stores.redis.clients import Target
from hitrate.stores.redis.loop_links import Answer
from hitrate.stores.redis.nodes import Node, Send, whole
from hitrate.stores.redis.scripts import Script
from hitrate.stores.redis.wire import Request, ScriptCall, is_error, refuse_error, script_call

T = TypeVar("T")
Steps = Generator[Sequence[Send], Sequence[Answer], T]
"""What is to be done: yields what to send, is sent the answers, returns the result."""


class Servers(ABC):
    """One server or several."""

    @property
    @abstractmethod
    def nodes(self) -> list[Node]:
        """All servers that have been used."""

    @property
    @abstractmethod
    def state(self) -> BreakerState:
        """The state of the circuit breaker, of several the worst."""

    @abstractmethod
    def route(self, requests: Sequence[Request]) -> Steps[list[Answer]]:
        """Send requests to where their buckets are, in one round trip; return the answer to each."""

    @abstractmethod
    def locate(self) -> Steps[list[Node]]:
        """Return the servers that hold the buckets."""

    def replies(self, requests: Sequence[Request]) -> Steps[list[list[Any]]]:
        """Return the replies to each of several requests.

        Raises:
            StoreError: one of them failed; the others were made.
        """
        answers = yield from self.route(requests)
        return [replies_in(answer) for answer in answers]

    def call(self, script: Script, calls: Sequence[ScriptCall]) -> Steps[list[Any]]:
        """Call a script for each bucket; return its results.

        Raises:
            StoreError: one of the calls failed, or was refused; the others were made.
        """
        requests = [_script_request(script, call, whole=False) for call in calls]
        answers = yield from self.route(requests)
        # A server that was started anew, or is another, does not know it.
        unknown = [place for place, answer in enumerate(answers) if any_error([answer], "NOSCRIPT")]
        if unknown:
            again = yield from self.route([_script_request(script, calls[place], whole=True) for place in unknown])
            for place, answer in zip(unknown, again, strict=True):
                answers[place] = answer
        results = [replies_in(answer)[0] for answer in answers]
        for result in results:
            refuse_error(result)
        return results


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

    def route(self, requests: Sequence[Request]) -> Steps[list[Answer]]:
        send = joined(self.node, requests)
        (answer,) = yield [send]
        if any_error([answer], "READONLY"):
            # It was the primary until now. A new connection asks the Sentinel anew.
            self.node.renew()
            (answer,) = yield [send]
        return divided(answer, requests)

    def locate(self) -> Steps[list[Node]]:
        return [self.node]
        yield []


def joined(node: Node, requests: Sequence[Request]) -> Send:
    """Return what sends several requests to a server together."""
    if len(requests) == 1:
        return Send(node, *requests[0][1:])
    return Send(
        node,
        b"".join([whole(request.packed) for request in requests]),
        sum(request.replies for request in requests),
        sum(request.work for request in requests),
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


def replies_in(answer: Answer) -> list[Any]:
    """Return the replies of an answer.

    Raises:
        StoreError: there are none.
    """
    if isinstance(answer, StoreError):
        raise answer
    return answer


def any_error(answers: Sequence[Answer], *kinds: str) -> Any:
    """Return the first reply that is an error of one of these kinds; None if there is none."""
    for answer in answers:
        if not isinstance(answer, StoreError):
            for reply in answer:
                if is_error(reply, *kinds):
                    return reply
    return None


def _script_request(script: Script, call: ScriptCall, *, whole: bool) -> Request:
    return Request(call.bucket, script_call(script, call.keys, call.arguments, whole=whole), 1, len(call.keys))
