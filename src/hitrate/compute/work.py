"""The function that computes values, as a flight calls it: on this thread or in this task."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import CoroutineType
from typing import Any

from hitrate.base import FullKey
from hitrate.compute.control_flow import watched_answers
from hitrate.compute.flight import Flight, led

Computed = Mapping[FullKey, Any]


class Work:
    """A function that computes the values of keys, called in the context of their flights.

    Args:
        function: takes the keys and returns a value for each, or an awaitable of that.

    Attributes:
        took_answer: whether it may have taken a person's answer, which is for this run alone.
    """

    def __init__(self, function: Callable[[list[FullKey]], Any]) -> None:
        self._function = function
        self.took_answer = False

    def run(self, flights: Sequence[Flight]) -> Computed | BaseException:
        """Compute on this thread; return the values, or what was raised."""
        before = led.set((*led.get(), *flights))
        answers = watched_answers()
        try:
            computed: Computed = self._function([flight.key for flight in flights])
        except BaseException as error:
            return error
        finally:
            led.reset(before)
            if answers is not None:
                self.took_answer = answers.may_be_taken()
        return computed

    async def arun(self, flights: Sequence[Flight]) -> Computed | BaseException:
        """Compute in this task; return the values, or what was raised."""
        before = led.set((*led.get(), *flights))
        computed: Any = None
        answers = watched_answers()
        try:
            computed = self._function([flight.key for flight in flights])
            if inspect.isawaitable(computed):
                computed = await computed
        except GeneratorExit:  # the loop was closed: nothing can be awaited any more
            raise
        except BaseException as error:
            close_unawaited(computed)
            return error
        finally:
            if answers is not None:
                self.took_answer = answers.may_be_taken()
            try:
                led.reset(before)
            except ValueError:  # the loop was closed, and the coroutine is collected in another context
                pass
        return computed  # type: ignore[no-any-return]


def close_unawaited(made: Any) -> None:
    """Close a coroutine if an interrupt came before its await; after the await it is closed already.

    Else Python would warn, wherever the collector finds it, that it was never awaited.
    """
    if isinstance(made, CoroutineType):
        made.close()
