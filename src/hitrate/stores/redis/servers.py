"""Operations on the servers: plans (``plans.py``) whose calls are round trips, for threads and for event loops.

Requests go to the only server, or in a cluster to the node that holds a bucket's slot.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from hitrate.breaker import BreakerState
from hitrate.errors import StoreError
from hitrate.plans import Plan
from hitrate.stores.redis.clients import Target
from hitrate.stores.redis.links import Request, Undo
from hitrate.stores.redis.loop_links import Answer
from hitrate.stores.redis.names import Names
from hitrate.stores.redis.nodes import Node
from hitrate.stores.redis.scripts import Script
from hitrate.stores.redis.wire import ScriptCall, any_error, refuse_error, script_call

if TYPE_CHECKING:
    from hitrate.stores.redis.expiry import ExpiryClock
    from hitrate.stores.redis.register import Register

T = TypeVar("T")
Send = tuple[Node, Request]


@dataclass(slots=True, eq=False)
class Operation:
    """What an operation of a cache needs: its servers and names, and the time that it has.

    Args:
        servers: where requests go.
        names: what is called how there.
        register: which namespaces there are.
        clock: what expiries are made from.
        sweep: called when there is something to sweep.
        began: when it began, by ``time.monotonic``, if all of it is to be done in the time that a call may take; None
            if each round trip has that time, as where a server is looked through.
    """

    servers: Servers
    names: Names
    register: Register
    clock: ExpiryClock
    sweep: Callable[[], None]
    began: float | None
    _since: float | None = field(default=None, init=False)  # the first round trip has all of the time
    _undoable: list[tuple[Node, Undo]] = field(default_factory=list, init=False)

    def exchange(self, sends: Sequence[Send]) -> list[Answer]:
        """Send to each server and return the answers: one round trip for all of them."""
        since, self._since = self._since, self.began
        if len(sends) == 1:
            ((node, request),) = sends
            return [_answer(node.call, request, since)]
        started = [_answer(node.start, request, since) for node, request in sends]
        return [
            sent if isinstance(sent, StoreError) else _answer(node.finish, request, sent)
            for (node, request), sent in zip(sends, started, strict=True)
        ]

    async def aexchange(self, sends: Sequence[Send]) -> list[Answer]:
        """Do ``exchange`` without blocking the event loop."""
        since, self._since = self._since, self.began
        futures = [node.loop_link().send(request, since) for node, request in sends]
        self._undoable += [(node, request.undo) for node, request in sends if request.undo]
        try:
            return [await future for future in futures]
        except asyncio.CancelledError:
            for node, undo in self._undoable:
                node.loop_link().undo(undo)
            raise

    def replies(self, requests: Sequence[Request]) -> Plan[list[list[Any]]]:
        """Return the replies to each of several requests, which go to where their buckets are.

        Raises:
            StoreError: one of them failed; the others were made.
        """
        answers = yield from self.servers.route(self, requests)
        return [_replies_in(answer) for answer in answers]

    def reply(self, asked: bytes, bucket: int = 0) -> Plan[Any]:
        """Return the reply to one command.

        Raises:
            StoreError: it failed, or was refused.
        """
        ((reply,),) = yield from self.replies([Request(asked, bucket=bucket)])
        refuse_error(reply)
        return reply

    def call(self, script: Script, calls: Sequence[ScriptCall]) -> Plan[list[Any]]:
        """Call a script for each bucket; return its results.

        Raises:
            StoreError: one of the calls failed, or was refused; the others were made.
        """
        requests = [_script_request(script, call, whole=False) for call in calls]
        answers = yield from self.servers.route(self, requests)
        # A server that was started anew, or is another, does not know it.
        unknown = [place for place, answer in enumerate(answers) if any_error([answer], "NOSCRIPT")]
        if unknown:
            requests = [_script_request(script, calls[place], whole=True) for place in unknown]
            again = yield from self.servers.route(self, requests)
            for place, answer in zip(unknown, again, strict=True):
                answers[place] = answer
        results = [_replies_in(answer)[0] for answer in answers]
        for result in results:
            refuse_error(result)
        return results

    def ask(self, node: Node, asked: bytes, replies: int, work: int) -> Plan[list[Any]]:
        """Return one server's replies to commands.

        Raises:
            StoreError: it did not answer, or refused the only command.
        """
        (answer,) = yield self, "exchange", [(node, Request(asked, replies, work))]
        received = _replies_in(answer)
        if replies == 1:
            refuse_error(received[0])
        return received


class Servers(ABC):
    """One server or several.

    Attributes:
        homes: the server of each bucket; empty until that is known.
        msetex: whether they are taken to have the command MSETEX: until one refuses it.
    """

    homes: Sequence[Node] = ()
    msetex = True

    @property
    @abstractmethod
    def nodes(self) -> list[Node]:
        """All servers that have been used."""

    @property
    def state(self) -> BreakerState:
        """The state of the circuit breaker, of several the worst."""
        states = {node.breaker.state for node in self.homes or self.nodes}
        return "open" if "open" in states else "half-open" if "half-open" in states else "closed"

    @abstractmethod
    def route(self, op: Operation, requests: Sequence[Request]) -> Plan[list[Answer]]:
        """Send requests to where their buckets are, in one round trip; return the answer to each."""

    @abstractmethod
    def locate(self, op: Operation) -> Plan[list[Node]]:
        """Return the servers that hold the buckets."""


class OneServer(Servers):
    """The only server, or whatever a Sentinel takes for it."""

    def __init__(self, target: Target, timeout: float) -> None:
        assert target.connect is not None
        self.node = Node(target.name, target.connect, target.errors, timeout)

    @property
    def nodes(self) -> list[Node]:
        return [self.node]

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


def _answer(do: Callable[..., T], *arguments: Any) -> T | StoreError:
    try:
        return do(*arguments)
    except StoreError as error:
        return error


def _replies_in(answer: Answer) -> list[Any]:
    if isinstance(answer, StoreError):
        raise answer
    return answer


def _script_request(script: Script, call: ScriptCall, *, whole: bool) -> Request:
    packed = script_call(script, call.keys, call.arguments, whole=whole)
    return Request(packed, 1, len(call.keys), call.bucket, call.undo)
