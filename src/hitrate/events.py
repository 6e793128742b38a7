"""Events: a cache calls a hook for hits, misses and their reasons, for what was stored and for what was refused.

A cache without a hook runs none of this code: setting a hook replaces the methods of that one object by methods that
call the hook, and removing the hook removes these.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from functools import wraps
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from hitrate.base import FullKey, Namespace
from hitrate.callables import refuse_coroutine, refuse_coroutine_function
from hitrate.errors import ClosedError, StoreError
from hitrate.failsafe import log
from hitrate.plans import Plan, acarry_out, carry_out

if TYPE_CHECKING:
    from hitrate.cache import Cache
    from hitrate.entry import Entry

T = TypeVar("T")

Operation = Literal["get", "set", "delete", "clear", "clear_under", "compute"]
Result = Literal["hit", "miss", "stored", "refused", "failed", "removed", "cleared"]
Why = Literal["", "never there", "expired", "evicted", "removed", "gone", "refused", "damaged", "failed", "too large"]

_REMEMBERED = 8192
"""Keys, the latest ones, of which it is remembered why a read of them will miss, or when their entry expires."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a cache did with one key, or with a namespace.

    Attributes:
        operation: ``"get"`` for each lookup, also those of ``get_or_compute``, cached functions and graphs; ``"set"``,
            ``"delete"``, ``"clear"``, ``"clear_under"``; ``"compute"`` for what was computed and is to be stored.
        namespace: the namespace; None where everything is cleared.
        key: the key; None where namespaces are cleared.
        result: ``"hit"`` or ``"miss"``; ``"stored"``; ``"refused"`` for a value that cannot be stored; ``"failed"`` for
            what the backend did not take; ``"removed"``, whether there was something or not; ``"cleared"``.
        seconds: that the call took, for all its keys together; of ``"compute"`` those that computing took.
        why: of a miss, as far as this process knows: ``"never there"``; ``"expired"``; ``"evicted"`` for room, which
            caches in memory know, and on SQLite the process that did it; ``"removed"`` by this process; ``"gone"`` if
            this process saw it and another, or the backend, removed it; ``"refused"`` when it was to be stored;
            ``"damaged"``; ``"failed"`` if the backend could not be asked. Of what was refused ``"too large"``, or empty
            if it cannot be kept exactly. Else empty.
        detail: the error, where there is one; else empty.
        tier: in a ``TieredCache`` the place of the tier that a hit came from, 0 for the nearest; else None.
    """

    operation: Operation
    namespace: Namespace | None
    key: str | None
    result: Result
    seconds: float
    why: Why = ""
    detail: str = ""
    tier: int | None = None


Hook = Callable[[Event], object]


@dataclass(slots=True, eq=False)
class Notes:
    """What became known within one call.

    Attributes:
        problems: the errors of entries that could not be restored, and of values that could not be stored, by full key.
        failure: how the backend failed.
        tiers: the places of the tiers in which encoded keys were found.
        kept: the full keys that a graph's cache stores of those that it was given; None for all.
    """

    problems: dict[FullKey, Exception] = field(default_factory=dict)
    failure: Exception | None = None
    tiers: dict[Any, int] = field(default_factory=dict)
    kept: Collection[FullKey] | None = None


noting: ContextVar[Notes | None] = ContextVar("hitrate_notes", default=None)


class Watch:
    """Tells a hook what a cache does; what the hook raises is logged once."""

    def __init__(self, cache: Cache[Any], hook: Hook) -> None:
        self.hook = hook
        self._cache = cache
        self._of_tiers = hasattr(cache, "tiers")
        self._is_logged = False
        # By encoded key: why a read of it will miss from now on or, if it is stored, when it expires.
        self._fates: OrderedDict[Any, Why | float] = OrderedDict()

    def tell(self, *told: Any, **more: Any) -> None:
        """Call the hook with an event."""
        try:
            refuse_coroutine("events", self.hook(Event(*told, **more)))
        except Exception:
            if not self._is_logged:
                self._is_logged = True
                log.warning("%s.events: the hook failed (logged once)", type(self._cache).__name__, exc_info=True)

    # Why keys are missing

    def left(self, name: Any, key: Any, why: Why) -> None:
        """Note why an entry left, or was not taken; the store calls this."""
        self._note([(name, key)], why)

    def _note(self, encoded: Iterable[Any], fate: Why | float) -> None:
        fates = self._fates
        for each in encoded:
            fates[each] = fate
            fates.move_to_end(each)
        while len(fates) > _REMEMBERED:
            try:
                fates.popitem(last=False)
            except KeyError:  # another thread was faster
                break

    def _note_cleared(self, concerned: Callable[[Any], bool]) -> None:
        self._note([each for each in list(self._fates) if concerned(each[0])], "removed")

    def _reason(self, encoded: Any, expired: bool) -> Why:
        fate = self._fates.get(encoded)
        if isinstance(fate, str):
            return fate
        if expired or (fate is not None and fate <= self._cache._clock()):
            return "expired"
        return "never there" if fate is None else "gone"

    # Calls

    def called(
        self, method: str, given: Any, result: Any, notes: Notes, seconds: float, error: Exception | None
    ) -> Plan[None]:
        """Tell of a call of a method, by its argument, its result or what it raised, as a plan.

        Of a ``set`` a value that cannot be stored is told; a call with wrong arguments never is.
        """
        if method == "set" and (error is None or notes.problems or isinstance(error, StoreError)):
            self.wrote(given, notes, seconds, error)
        elif error is not None:
            return
        elif method == "get":
            yield from self.read(given, result, notes, seconds)
        elif method == "delete":
            self.deleted(given, notes, seconds)
        elif method == "clear":
            self.cleared(given, notes, seconds)
        elif method == "clear_under":
            self.cleared_under(given, notes, seconds)

    def read(self, keys: Sequence[FullKey], found: Collection[FullKey], notes: Notes, seconds: float) -> Plan[None]:
        """Tell of a read, as a plan: the store is asked whether the keys that were missed had expired."""
        cache = self._cache
        encoded = cache._encode_keys(keys)
        missed = [each for each, full_key in zip(encoded, keys, strict=True) if full_key not in found]
        asked = [each for each in missed if not isinstance(self._fates.get(each), str)]
        expired: set[Any] = set()
        if asked:
            try:
                answers = yield cache._store, "expired", asked
                expired.update(each for each, is_so in zip(asked, answers, strict=True) if is_so)
            except (StoreError, ClosedError):
                pass
        for each, full_key in zip(encoded, keys, strict=True):
            if full_key in found:
                if isinstance(self._fates.get(each), str):
                    del self._fates[each]
                self._fates.setdefault(each, float("inf"))
                tier = notes.tiers.get(each, 0) if self._of_tiers else None
                self.tell("get", *full_key, "hit", seconds, tier=tier)
                continue
            problem = notes.problems.get(full_key)
            if problem is not None:
                self.tell("get", *full_key, "miss", seconds, "damaged", str(problem))
            elif notes.failure is not None:
                self.tell("get", *full_key, "miss", seconds, "failed", str(notes.failure))
            else:
                self.tell("get", *full_key, "miss", seconds, self._reason(each, each in expired))

    def looking(self, full_key: FullKey, look: Plan[T]) -> Plan[T]:
        """Carry out the plan of a lookup that returns None for a miss, and tell of it."""
        notes, began = Notes(), perf_counter()
        before = noting.set(notes)
        try:
            found = yield from look
        finally:
            _reset(before)
        yield from self.read([full_key], () if found is None else (full_key,), notes, perf_counter() - began)
        return found

    # Writes

    def wrote(self, pairs: Mapping[FullKey, Any], notes: Notes, seconds: float, error: Exception | None) -> None:
        """Tell of a ``set``, which may have raised."""
        cache = self._cache
        now = cache._clock()
        for full_key, pair in pairs.items():
            if notes.kept is not None and full_key not in notes.kept:
                continue
            (encoded,) = cache._encode_keys([full_key])
            if full_key in notes.problems:
                self._note([encoded], "refused")
                self.tell("set", *full_key, "refused", seconds, "", str(notes.problems[full_key]))
            elif error is not None:
                if not notes.problems:  # else another value of the batch was refused, and not this one
                    self.tell("set", *full_key, "failed", seconds, "", str(error))
            elif notes.failure is not None:
                self.tell("set", *full_key, "failed", seconds, "failed", str(notes.failure))
            elif self._fates.get(encoded) == "too large":
                self.tell("set", *full_key, "refused", seconds, "too large")
                self._note([encoded], "refused")
            else:
                expiry = cache._expiry(pair[1], now)
                if expiry is not None and expiry <= now:
                    self._note([encoded], "removed")
                    self.tell("set", *full_key, "removed", seconds)
                else:
                    self._note([encoded], float("inf") if expiry is None else expiry)
                    self.tell("set", *full_key, "stored", seconds)

    def computed(self, stored: Mapping[FullKey, Entry], seconds: float) -> None:
        """Tell of values that were computed and stored."""
        for full_key, entry in stored.items():
            (encoded,) = self._cache._encode_keys([full_key])
            if self._fates.get(encoded) == "too large":
                self._note([encoded], "refused")
                self.tell("compute", *full_key, "refused", seconds, "too large")
                continue
            self._note([encoded], float("inf") if entry[2] is None else entry[2])
            self.tell("compute", *full_key, "stored", seconds)

    def refused(self, full_key: FullKey, error: Exception) -> None:
        """Tell of a value that was computed and cannot be stored."""
        self._note(self._cache._encode_keys([full_key]), "refused")
        self.tell("compute", *full_key, "refused", 0.0, "", str(error))

    def deleted(self, keys: Sequence[FullKey], notes: Notes, seconds: float) -> None:
        """Tell of a ``delete``."""
        self._note(self._cache._encode_keys(keys), "removed")
        for full_key in keys:
            if notes.failure is None:
                self.tell("delete", *full_key, "removed", seconds)
            else:
                self.tell("delete", *full_key, "failed", seconds, "failed", str(notes.failure))

    def cleared(self, namespaces: Sequence[Namespace] | None, notes: Notes, seconds: float) -> None:
        """Tell of a ``clear``."""
        names = None if namespaces is None else {self._cache._name_of(each) for each in namespaces}
        self._note_cleared(lambda name: names is None or name in names)
        for namespace in [None] if namespaces is None else namespaces:
            self._tell_cleared("clear", namespace, notes, seconds)

    def cleared_under(self, prefix: Namespace, notes: Notes, seconds: float) -> None:
        """Tell of a ``clear_under``."""
        encoded = self._cache._encode_prefix(prefix)
        self._note_cleared(lambda name: name[: len(encoded)] == encoded)
        self._tell_cleared("clear_under", prefix, notes, seconds)

    def _tell_cleared(self, operation: Operation, what: Namespace | None, notes: Notes, seconds: float) -> None:
        if notes.failure is None:
            self.tell(operation, what, None, "cleared", seconds)
        else:
            self.tell(operation, what, None, "failed", seconds, "failed", str(notes.failure))


# The methods that tell


_METHODS = ("get", "set", "delete", "clear", "clear_under")


def watch(cache: Any, hook: Hook | None) -> None:
    """Have a cache call a hook with its events; None for no hook.

    Raises:
        TypeError: the hook cannot be called, or is a coroutine function.
    """
    if hook is not None and not callable(hook):
        raise TypeError(f"events is a function that takes an Event, or None, not {hook!r}")
    refuse_coroutine_function("events", hook)
    own = vars(cache)
    methods = [(name, method, waits) for method in _METHODS for name, waits in ((method, False), (f"a{method}", True))]
    if "_watch" in own:
        for name in (*(name for name, _, _ in methods), "_cannot_store", "_entry_failed"):
            own.pop(name, None)
        vars(cache._failsafe).pop("failed", None)
        cache._watch_store(None)
        del own["_watch"]
    if hook is None:
        return
    its_watch = Watch(cache, hook)
    own["_watch"] = its_watch
    for name, method, waits in methods:
        own[name] = _telling(its_watch, method, getattr(cache, name), waits=waits)
    for name in ("_cannot_store", "_entry_failed"):
        own[name] = _noting_problems(getattr(cache, name))
    vars(cache._failsafe)["failed"] = _noting_failures(cache._failsafe.failed)
    cache._watch_store(its_watch.left)


def _noting_problems(original: Callable[[FullKey, Any], None]) -> Callable[[FullKey, Any], None]:
    def note(full_key: FullKey, error: Any) -> None:
        notes = noting.get()
        if notes is not None:
            notes.problems[full_key] = error
        original(full_key, error)

    return note


def _noting_failures(original: Callable[..., None]) -> Callable[..., None]:
    def failed(doing: str, error: Any) -> None:
        notes = noting.get()
        if notes is not None and doing != "read of an entry":
            notes.failure = error
        original(doing, error)

    return failed


def _within(notes: Notes, do: Callable[..., Any], *args: Any) -> Any:
    before = noting.set(notes)
    try:
        return do(*args)
    finally:
        noting.reset(before)


async def _awaited(notes: Notes, coroutine: Awaitable[Any]) -> Any:
    before = noting.set(notes)
    try:
        return await coroutine
    finally:
        _reset(before)


def _reset(before: Token[Notes | None]) -> None:
    try:
        noting.reset(before)
    except ValueError:  # the loop was closed, and the coroutine is collected in another context
        pass


def _argument(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the only argument of a method, by whatever name it was given; raise a TypeError as the method would."""
    if kwargs or len(args) != 1:
        bound = inspect.signature(original).bind(*args, **kwargs)
        bound.apply_defaults()
        args = tuple(bound.arguments.values())
    return args[0]


def _listed(keys: Any) -> Any:
    """Return keys as a list or tuple, which can be used twice; what cannot be iterated is returned as it is, to be
    refused."""
    return list(keys) if isinstance(keys, Iterable) and not isinstance(keys, (str, bytes, tuple, list)) else keys


def _telling(its_watch: Watch, method: str, original: Callable[..., Any], *, waits: bool) -> Callable[..., Any]:
    """Return a method of the cache that tells of its calls, by the name of the sync method.

    ``waits``: it is an async one, which may do a part of its work when it is called and not when it is awaited.
    """

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = _argument(original, args, kwargs)
        given = given if method == "set" else _listed(given)
        notes, began = Notes(), perf_counter()
        if waits:
            return finish(given, _within(notes, original, given), notes, began)
        try:
            result = _within(notes, original, given)
        except Exception as error:
            carry_out(its_watch.called(method, given, None, notes, perf_counter() - began, error))
            raise
        carry_out(its_watch.called(method, given, result, notes, perf_counter() - began, None))
        return result

    async def finish(given: Any, coroutine: Awaitable[Any], notes: Notes, began: float) -> Any:
        try:
            result = await _awaited(notes, coroutine)
        except Exception as error:
            await acarry_out(its_watch.called(method, given, None, notes, perf_counter() - began, error))
            raise
        await acarry_out(its_watch.called(method, given, result, notes, perf_counter() - began, None))
        return result

    return call
