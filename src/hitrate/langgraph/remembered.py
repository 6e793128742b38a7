"""What was found out about an object, remembered as long as the object lives."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """The results of a function of one object, by the object itself and not by what it equals."""

    def __init__(self, find: Callable[[Any], T]) -> None:
        self._find = find
        self._known: dict[int, tuple[weakref.ref[Any], T]] = {}

    def __call__(self, of: Any) -> T:
        """Return what is known of an object, finding it out the first time.

        Threads that find it out at once all get what the first of them found: an object that changes, such as a tool
        that counts its calls, has one answer.
        """
        known = self._known.get(id(of))
        if known is not None and known[0]() is of:
            return known[1]
        found = self._find(of)
        try:
            reference = weakref.ref(of, self._forget(id(of)))
        except TypeError:  # the object takes no weak reference
            return found
        first = self._known.setdefault(id(of), (reference, found))
        if first[0]() is not of:  # the entry is of an object that is gone and had the same id
            first = self._known[id(of)] = reference, found
        return first[1]

    def _forget(self, place: int) -> Callable[[weakref.ref[Any]], None]:
        def forget(reference: weakref.ref[Any]) -> None:
            known = self._known.get(place)
            if known is not None and known[0] is reference:
                del self._known[place]

        return forget
