"""A call that is made once: answered from the cache, by waiting for an equal call, or by its handler.

The handler runs at most once for a call, and its own exceptions are what the caller sees. Whatever else goes wrong, in
a key, the cache or what it holds, makes the handler run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

from langgraph.errors import GraphBubbleUp

from hitrate.base import FullKey
from hitrate.compute.cache import ComputingCache
from hitrate.compute.terms import Terms
from hitrate.failsafe import LoggedOnce
from hitrate.runs import BYPASS, REFRESH, current_mode
from hitrate.savings import Account


class StoredResult(NamedTuple):
    """What is stored of a result.

    Attributes:
        seconds: how long it took.
        input_tokens: that went to a model for it.
        output_tokens: that came back.
        content: the result, as plain content and messages.
    """

    seconds: float
    input_tokens: int
    output_tokens: int
    content: Any


class _HandlerFailedError(Exception):
    """The handler of the call that others wait for raised an exception."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(eq=False, repr=False)
class SparedCall:
    """One call of a model or tool that has a key.

    Args:
        cache: where results are.
        once: logs what goes wrong.
        full_key: of the call.
        terms: how results are kept, and a ``cache_if`` that leaves out None.
        handler: makes the call, or returns an awaitable of it.
        request: what the handler is given.
        keep: is given a result and how long it took; returns what is to be stored, None for nothing.
        renew: returns the result of the request from what was stored, the caller's own.
        account: where what is saved is noted.
        started: when the key began to be made, by ``perf_counter``.
    """

    cache: ComputingCache[Any]
    once: LoggedOnce
    full_key: FullKey
    terms: Terms
    handler: Callable[[Any], Any]
    request: Any
    keep: Callable[[Any, float], StoredResult | None]
    renew: Callable[[Any, Any], Any]
    account: Account
    started: float
    _seconds: float = field(default=0.0, init=False)  # how long the handler took
    _began: bool = field(default=False, init=False)
    _ended: bool = field(default=False, init=False)
    _result: Any = field(default=None, init=False)
    _error: BaseException | None = field(default=None, init=False)

    # Running, sync and async

    def run(self) -> Any:
        """Return the result."""
        mode = current_mode()
        if mode == BYPASS:
            return self.handler(self.request)
        computing = self.cache._computing
        ask = computing.recompute if mode == REFRESH else computing.one
        stored = failure = None
        try:
            stored = ask(self.full_key, self._compute, self.terms)
        except Exception as error:
            failure = error
        if self._is_answered(stored, failure):
            return self._answer()
        return self.handler(self.request)

    async def arun(self) -> Any:
        """Return the result; as ``run``."""
        mode = current_mode()
        if mode == BYPASS:
            return await self.handler(self.request)
        computing = self.cache._computing
        ask = computing.arecompute if mode == REFRESH else computing.aone
        stored = failure = None
        try:
            stored = await ask(self.full_key, self._acompute, self.terms)
        except Exception as error:
            failure = error
        if self._is_answered(stored, failure):
            return self._answer()
        return await self.handler(self.request)

    def _compute(self) -> list[Any] | None:
        started = self._begin()
        try:
            self._result = self.handler(self.request)
        except BaseException as error:
            self._note_failure(error)
            raise
        return self._end(started)

    async def _acompute(self) -> list[Any] | None:
        started = self._begin()
        try:
            self._result = await self.handler(self.request)
        except BaseException as error:
            self._note_failure(error)
            raise
        return self._end(started)

    # What both share

    def _begin(self) -> float:
        if self._began:
            raise self._error or RuntimeError("a handler is called once")
        self._began = True
        return perf_counter()

    def _note_failure(self, error: BaseException) -> None:
        """Note what the handler raised; raise what all who wait get, unless it is for this caller alone."""
        self._error = error
        if isinstance(error, Exception) and not isinstance(error, GraphBubbleUp):
            raise _HandlerFailedError(error) from None

    def _end(self, started: float) -> list[Any] | None:
        self._ended = True
        self._seconds = perf_counter() - started
        try:
            kept = self.keep(self._result, self._seconds)
        except Exception as error:
            self.once.log(self._what, f"its result cannot be looked at: {error!r}")
            return None
        return None if kept is None else list(kept)

    @property
    def _what(self) -> str:
        return " ".join(self.full_key[0])

    def _is_answered(self, stored: Any, failure: Exception | None) -> bool:
        """Tell whether there is an answer, or an exception that is one; if not, the handler is to run."""
        if self._began:
            self.account.miss(perf_counter() - self.started - self._seconds)
            if not self._ended:
                self._error = self._error or failure
            elif failure is not None:
                self.once.log(self._what, repr(failure))
            return True
        if type(failure) is _HandlerFailedError:
            self._error = failure.error
            return True
        if failure is not None and not isinstance(failure, GraphBubbleUp):
            self.once.log(self._what, repr(failure))
        if failure is not None or stored is None:
            return False
        try:
            kept = StoredResult(*stored)
            self._result = self.renew(kept.content, self.request)
            self.account.hit(float(kept.seconds), kept.input_tokens, kept.output_tokens, perf_counter() - self.started)
        except Exception as error:
            self.once.log(self._what, f"what was stored is unusable: {error!r}")
            return False
        return True

    def _answer(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result
