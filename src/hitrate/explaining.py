"""Why something is or is not a hit: the key, what it is made of, and which part of it differs from its neighbours'.

Nothing is computed, no function of the user's runs but those that make keys, and nothing is counted.
"""

from __future__ import annotations

import difflib
from functools import partial
from heapq import nsmallest
from itertools import islice
from typing import Any, NamedTuple

from hitrate import runs
from hitrate.base import FullKey, Namespace
from hitrate.cache import Cache
from hitrate.compute.call_keys import OwnKeys
from hitrate.compute.function import _Cached
from hitrate.compute.identity import name_of
from hitrate.compute.wrapper import BoundMethod
from hitrate.content.parts import Part, remembered
from hitrate.entry_info import EntryInfo
from hitrate.envelope import MARK, opened
from hitrate.errors import DecodeError, HitrateError, StoreError
from hitrate.explanation import Difference, Explanation, NearEntry, State
from hitrate.keys import described, plain_key

_LOOKED_AT = 10_000
"""Entries that are looked at for near ones, at most."""

_NEAREST = 3


class _AskedAbout(NamedTuple):
    """The call, or the key, that ``explain`` was asked about."""

    full_key: FullKey
    parts: tuple[Part, ...]
    function: str = ""
    notes: tuple[str, ...] = ()


class _Neighbours(NamedTuple):
    """What a listing found near a key."""

    entry: EntryInfo | None
    nearest: tuple[NearEntry, ...]
    entries: int
    unknown: int
    is_complete: bool
    notes: tuple[str, ...]


def explain(cache: Cache[Any], call: Any) -> Explanation:
    """Explain why a call is or is not a hit: ``print(hitrate.explain(cache, functools.partial(f, 1, x=2)))``.

    The function is not called, and nothing is counted or changed. It looks at 10,000 entries at most for the nearest;
    what their keys are made of is known for those whose keys were made in this process since ``remember_parts``.

    Args:
        cache: a hitrate cache.
        call: ``functools.partial`` of a cached function, or of a cached method of an object, with the arguments of the
            call; the function itself if it takes none; or a full key, ``(namespace, key)``, as a policy of LangGraph,
            ``stable_key`` or a program itself makes it.

    Returns:
        What was found out; ``print`` shows it.

    Raises:
        TypeError: ``cache`` is no hitrate cache, ``call`` is none of these, or the function does not take these
            arguments.
        ClosedError: the cache is closed.
    """
    if not isinstance(cache, Cache):
        raise TypeError(f"explain takes a hitrate cache and a call, not {described(cache)} as the cache")
    asked = _asked(cache, call)
    state, detail, tier = _looked_up(cache, asked.full_key)
    near = _neighbours(cache, asked)
    namespace, key = asked.full_key
    return Explanation(
        *(repr(cache), asked.function, namespace, key, state, detail, tier, near.entry, asked.parts, near.nearest),
        *(near.entries, near.unknown, near.is_complete),
        notes=(*asked.notes, *_notes_of_run(), *near.notes),
    )


# What was asked about


def _asked(cache: Cache[Any], call: Any) -> _AskedAbout:
    if isinstance(call, tuple):
        full_key = plain_key(call)  # it raises
        return _AskedAbout(full_key, remembered(full_key[1]))
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    function = call
    while type(function) is partial or type(function) is BoundMethod:
        if type(function) is BoundMethod:
            args, function = (function.__self__, *args), function.__func__
        else:
            args, kwargs, function = (*function.args, *args), {**function.keywords, **kwargs}, function.func
    if not isinstance(type(function), type) or not issubclass(type(function), _Cached):
        raise TypeError(
            f"a call is given as functools.partial(function, ...) of a cached function, so that nothing runs, or as a "
            f"full key (namespace, key); {described(call)} is neither"
        )
    full_key, parts = function._explained(args, kwargs)
    notes = []
    if function._cache is not cache:
        notes.append(f"note: the function keeps its results in another cache, {function._cache!r}")
    if isinstance(function._keys, OwnKeys):
        notes.append("note: a key= of the program's own makes its keys, and only that knows what they are made of")
    return _AskedAbout(full_key, parts, ".".join(name_of(function._function)), tuple(notes))


def _notes_of_run() -> tuple[str, ...]:
    mode = runs.current_mode()
    if mode == runs.BYPASS:
        return ("note: hitrate.bypass is open: cached functions and graphs read nothing and store nothing",)
    if mode == runs.REFRESH:
        return ("note: hitrate.refresh is open: cached functions and graphs read nothing and compute anew",)
    return ()


# The entry


def _looked_up(cache: Cache[Any], full_key: FullKey) -> tuple[State, str, int | None]:
    """Return what a read finds under a key, the error if there is one, and the tier."""
    tiers: tuple[Cache[Any], ...] | None = getattr(cache, "tiers", None)
    cache._encode_keys([])  # raises if it is closed
    found: tuple[State, str, int | None] = ("absent", "", None)
    for level, tier in enumerate(tiers or (cache,)):
        state, detail = _looked_up_in(cache, tier, full_key)
        if state != "absent":
            found = (state, detail, level if tiers else None)
        if state in ("hit", "stale", "error"):
            break
    return found


def _looked_up_in(cache: Cache[Any], tier: Cache[Any], full_key: FullKey) -> tuple[State, str]:
    (encoded,) = tier._encode_keys([full_key])
    try:
        (expired,) = tier._store.expired([encoded])  # before the read, which may remove it
        (found,) = tier._store.get([encoded])
    except HitrateError as error:
        return "failed", str(error)
    if isinstance(found, StoreError):
        return "failed", str(found)
    if isinstance(found, DecodeError):
        return "damaged", str(found)
    if found is None:
        return ("expired" if expired else "absent"), ""
    try:
        tier._codec.opened_value(found, encoded)
        if type(found[0]) is str and found[0].startswith(MARK):
            envelope = opened(found[0])[0]
            now = cache._clock()
            if envelope.expires is not None and envelope.expires <= now:
                return "expired", ""
            if envelope.error:
                return "error", ""
            if envelope.fresh_until is not None and envelope.fresh_until <= now:
                return "stale", ""
    except DecodeError as error:
        return "damaged", str(error)
    return "hit", ""


# Its neighbours


def _neighbours(cache: Cache[Any], asked: _AskedAbout) -> _Neighbours:
    namespace = asked.full_key[0]
    # A version ends a namespace, and what LangGraph's have in the middle tells two nodes apart.
    under = namespace[:2] if asked.function else namespace[:1]
    try:
        looked_at = list(islice(cache.entries(under=under), _LOOKED_AT + 1))
    except (NotImplementedError, HitrateError) as error:
        return _Neighbours(None, (), 0, 0, False, (f"note: the entries could not be listed: {error}",))
    is_complete = len(looked_at) <= _LOOKED_AT
    entry = next((each for each in looked_at if (each.namespace, each.key) == asked.full_key), None)
    others = [each for each in looked_at[:_LOOKED_AT] if (each.namespace, each.key) != asked.full_key]
    here = [each for each in others if each.namespace == namespace]
    known = {each.key: parts for each in here if (parts := remembered(each.key))}
    notes = []
    if asked.parts and here and not known:
        notes.append(
            f"note: of the {len(here)} other entries in this namespace it is not known what their keys are made of; "
            f"call hitrate.remember_parts() as the program begins, and ask again"
        )
    if not is_complete:
        notes.append(f"note: there are more entries than the {_LOOKED_AT:,} that were looked at")
    if entry is None and not here:
        notes += _notes_of_namespaces(namespace, others)
    return _Neighbours(
        entry, tuple(_nearest(asked, others, here)), len(here), len(here) - len(known), is_complete, tuple(notes)
    )


def _nearest(asked: _AskedAbout, others: list[EntryInfo], here: list[EntryInfo]) -> list[NearEntry]:
    namespace, key = asked.full_key
    same = [NearEntry(each.namespace, each.key, ()) for each in others if each.key == key]
    if not asked.parts:
        near = difflib.get_close_matches(key, [each.key for each in here], n=_NEAREST, cutoff=0.8)
        return [*same, *(NearEntry(namespace, each, ()) for each in near)][:_NEAREST]
    compared = [
        (len(differences), number, NearEntry(each.namespace, each.key, differences))
        for number, each in enumerate(reversed(others))
        if each.key != key and (differences := _differences(asked.parts, remembered(each.key)))
    ]
    return [*same, *(near for _, _, near in nsmallest(_NEAREST, compared, key=lambda each: each[:2]))][:_NEAREST]


def _differences(here: tuple[Part, ...], there: tuple[Part, ...]) -> tuple[Difference, ...]:
    """Return in which parts two keys differ; nothing if nothing is known of one."""
    if not there:
        return ()
    of_here, of_there = ({each.name: each for each in parts} for parts in (here, there))
    names = dict.fromkeys([*of_here, *of_there])
    return tuple(
        Difference(name, of_here.get(name), of_there.get(name))
        for name in names
        if _digest(of_here, name) != _digest(of_there, name)
    )


def _digest(parts: dict[str, Part], name: str) -> str | None:
    part = parts.get(name)
    return None if part is None else part.digest


def _notes_of_namespaces(namespace: Namespace, others: list[EntryInfo]) -> list[str]:
    names = list(dict.fromkeys(each.namespace for each in others))
    if not names:
        return ["note: nothing else is stored in this namespace, nor in one that begins alike"]
    alike = ", ".join(map(repr, names[:_NEAREST]))
    return [f"note: nothing is stored in this namespace; there are entries in {alike}"]
