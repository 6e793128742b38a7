"""The terms on which a value is computed and kept: checked once, used for each call."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from hitrate.callables import refuse_coroutine_function
from hitrate.entry import expiry_of, number_of, seconds_of
from hitrate.stats import Counts


class Terms(NamedTuple):
    """How long values are kept, who may compute them, and what becomes of old ones.

    Attributes:
        ttl: seconds that a value is fresh; None for ever, or for the cache's ``default_ttl``.
        lease: seconds that a computation may take before another process does it too; None if other processes may
            compute the same at any time.
        stale: seconds after its expiry that an old value is served while it is refreshed.
        early: how eagerly a value is refreshed before it expires (XFetch's beta); 0.0 for never.
        cache_if: tells by the value whether it is stored; None for always.
        cache_errors: the exceptions that are stored.
        error_ttl: seconds that they are.
        chance: returns a random number from 0.0 up to 1.0.
        counts: the counts of a cached function's calls; None for other calls.
    """

    ttl: float | None = None
    lease: float | None = None
    stale: float = 0.0
    early: float = 0.0
    cache_if: Callable[[Any], bool] | None = None
    cache_errors: tuple[type[Exception], ...] = ()
    error_ttl: float | None = None
    chance: Callable[[], float] = random.random
    counts: Counts | None = None

    @property
    def looks_closer(self) -> bool:
        """True if a plain read is not enough: the age of the value matters, or it may be an exception."""
        return bool(self.stale or self.early or self.cache_errors)


PLAIN = Terms()


def agreed(
    *,
    ttl: Any = None,
    lease: Any = None,
    stale: Any = None,
    early: Any = None,
    cache_if: Any = None,
    cache_errors: Any = (),
    error_ttl: Any = None,
) -> Terms:
    """Return the terms of checked options.

    Raises:
        TypeError: one is of the wrong type.
        ValueError: one is out of its range, or they do not go together.
    """
    expiry_of(ttl, 0.0)
    if cache_if is not None and not callable(cache_if):
        raise TypeError(f"cache_if tells by the value whether to store it; {cache_if!r} cannot be called")
    refuse_coroutine_function("cache_if", cache_if)
    kinds = (cache_errors,) if isinstance(cache_errors, type) else tuple(cache_errors)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(f"cache_errors is a tuple of subclasses of Exception, and holds {kind!r}")
    if kinds and error_ttl is None:
        raise ValueError("cache_errors needs an error_ttl, the seconds that an exception is raised from the cache")
    if error_ttl is not None and not kinds:
        raise ValueError("error_ttl is for the exceptions named in cache_errors, and there are none")
    return Terms(
        ttl=None if ttl is None else seconds_of("a TTL", ttl),
        lease=None if lease is None else _seconds("lease", lease, above=0.0),
        stale=0.0 if stale is None else _seconds("stale", stale),
        early=0.0 if early is None else _eagerness(early),
        cache_if=cache_if,
        cache_errors=kinds,
        error_ttl=None if error_ttl is None else _seconds("error_ttl", error_ttl),
    )


def _seconds(name: str, value: Any, *, above: float | None = None) -> float:
    return _finite(name, value, seconds_of(name, value), "a number of seconds", above=above)


def _eagerness(value: Any) -> float:
    number = number_of(value)
    if number is None:
        raise TypeError(f"early is a number or None, not {value!r} of type {type(value).__name__}")
    return _finite("early", value, number, "a number")


def _finite(name: str, value: Any, number: float, unit: str, *, above: float | None = None) -> float:
    try:
        number = float(number)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and (number >= 0.0 if above is None else number > above)):
        raise ValueError(f"{name} is {unit}, {'0 or more' if above is None else 'above 0'} and finite, not {value!r}")
    return number


def refresh_is_due(now: float, fresh_until: float | None, seconds: float, beta: float, chance: float) -> bool:
    """Tell whether a value that is still fresh is to be refreshed now.

    The closer its expiry and the longer it takes to compute, the likelier: one of many callers is early enough for the
    others never to find it expired. This is XFetch (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache
    Stampede Prevention, VLDB 2015).

    Args:
        now: seconds since the epoch.
        fresh_until: when it expires, None for never.
        seconds: how long it took to compute.
        beta: how eager to be; 1.0 is the paper's choice, more is earlier.
        chance: a random number from 0.0 up to 1.0.
    """
    if fresh_until is None or not beta:
        return False
    return now - seconds * beta * math.log(1.0 - chance) >= fresh_until
