"""What ``explain`` found out, to print or to pass on as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from hitrate.base import FullKey, Namespace
from hitrate.content.parts import Part
from hitrate.entry_info import EntryInfo

State = Literal["hit", "stale", "error", "damaged", "expired", "absent", "failed"]

_SENTENCES: dict[State, str] = {
    "hit": "it is in the cache and fresh",
    "stale": "it is no longer fresh, and is served only to calls with stale= while it is computed anew",
    "error": "an exception is stored, which only calls with cache_errors= raise again",
    "damaged": "what is stored under this key cannot be restored",
    "expired": "what was stored under this key has expired",
    "absent": "nothing is stored under this key",
    "failed": "the backend could not be asked",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """A part in which two keys differ.

    Attributes:
        name: of the argument, or what else the part is; as ``Part.name``.
        here: the part of the key that was asked about; None if it has none of this name.
        there: the part of the other key; None if it has none of this name.
    """

    name: str
    here: Part | None
    there: Part | None


@dataclass(frozen=True, slots=True)
class NearEntry:
    """An entry that is like the one that was asked about.

    Attributes:
        namespace: its namespace.
        key: its key in it.
        differences: the parts in which its key differs; none if it is the same key in another namespace, or if nothing
            is known of its parts and only its text is like.
    """

    namespace: Namespace
    key: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a call is or is not a hit. ``print`` shows it; ``to_dict`` is for JSON.

    Attributes:
        cache: the cache's repr.
        function: the name of the cached function; empty if a full key was given.
        namespace: where its entry is, or would be.
        key: its key in that namespace.
        state: ``"hit"``; ``"stale"`` and ``"error"`` for what only some calls are served; and for a miss why it is
            one: ``"damaged"``, ``"expired"``, ``"absent"``, or ``"failed"`` if the backend could not be asked.
        detail: the error, for what is damaged or failed; else empty.
        tier: the place of the tier that holds it in a cache of tiers, 0 for the nearest; None if there are no tiers.
        entry: what the listing tells of the entry; None if there is none, or it was not among those looked at.
        parts: what the key is made of, as far as it is known.
        nearest: the entries that are most like it, the nearest first.
        entries: how many other entries are in its namespace, among those looked at.
        unknown: of how many of them it is not known what their keys are made of.
        is_complete: whether all entries that could be near were looked at.
        notes: what else matters, in sentences.
    """

    cache: str
    function: str
    namespace: Namespace
    key: str
    state: State
    detail: str
    tier: int | None
    entry: EntryInfo | None
    parts: tuple[Part, ...]
    nearest: tuple[NearEntry, ...]
    entries: int
    unknown: int
    is_complete: bool
    notes: tuple[str, ...]

    @property
    def is_hit(self) -> bool:
        """Whether a plain read finds it."""
        return self.state == "hit"

    @property
    def full_key(self) -> FullKey:
        """The full key."""
        return self.namespace, self.key

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as dicts, lists and texts, for ``json.dumps``."""
        return {**_as_json(self), "is_hit": self.is_hit}

    def __str__(self) -> str:
        return "\n".join(map(_visible, self._lines()))

    def _lines(self) -> Iterator[str]:
        said = f"{_SENTENCES[self.state]}{f' ({self.detail})' if self.detail else ''}"
        yield f"{'hit' if self.is_hit else 'miss'}: {said}"
        yield f"  cache      {self.cache}"
        if self.tier is not None:
            yield f"  tier       {self.tier}"
        if self.function:
            yield f"  function   {self.function}"
        yield f"  namespace  {self.namespace!r}"
        yield f"  key        {self.key!r}"
        if self.parts:
            yield "its key is made of"
            width = max(len(each.name) for each in self.parts)
            for each in self.parts:
                yield f"  {each.name:{width}}  {each.shown or each.digest}"
        if self.nearest:
            yield "the nearest entries"
        for near in self.nearest:
            yield f"  {near.key!r}{'' if near.namespace == self.namespace else f' in {near.namespace!r}'}"
            for difference in near.differences:
                yield f"    {_told(difference)}"
        yield from self.notes


def _visible(line: str) -> str:
    """Return a line in which nothing ends it or commands the terminal: names and reprs are whatever they are."""
    return line if line.isprintable() else "".join(each if each.isprintable() else repr(each)[1:-1] for each in line)


def _as_json(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _as_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, (Part, EntryInfo)):
        return {name: _as_json(each) for name, each in value._asdict().items()}
    return [_as_json(each) for each in value] if isinstance(value, tuple) else value


def _told(difference: Difference) -> str:
    here, there = difference.here, difference.there
    if difference.name == "function":
        return "function: its code, its defaults or what it closes over are others"
    if here is not None and there is not None and here.shown == there.shown:
        return f"{difference.name}: both begin with {here.shown or here.digest}, and differ further on"
    return f"{difference.name}: {_shown(here)} here, {_shown(there)} there"


def _shown(part: Part | None) -> str:
    return "nothing" if part is None else part.shown or part.digest
