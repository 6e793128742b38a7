"""Finding text in keys: all of them in one piece of memory, which is gone through at gigabytes a second."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Container

_GONE = 0xFFFFFFFF


class KeySearch:
    """The keys of a list of entries, in its order.

    Upper and lower case of ASCII letters are alike.
    """

    def __init__(self) -> None:
        self._text = bytearray()
        self._starts = array("Q")
        self._namespaces = array("I")

    def add(self, key: bytes, namespace: int) -> None:
        """Add the key of the next entry, and the number of its namespace."""
        self._starts.append(len(self._text))
        self._namespaces.append(namespace)
        self._text += key.lower()

    def forget(self, row: int) -> None:
        """Find an entry no more."""
        self._namespaces[row] = _GONE

    def find(self, text: bytes, limit: int) -> array[int]:
        """Return the places in the list of the entries whose key has a text in it, in order; ``limit`` at most."""
        found = array("q")
        whole, starts, numbers = self._text, self._starts, self._namespaces
        text = text.lower()
        at = whole.find(text)
        while at >= 0 and len(found) < limit:
            row = bisect_right(starts, at) - 1
            end = starts[row + 1] if row + 1 < len(starts) else len(whole)
            if at + len(text) > end:  # it runs from one key into the next
                at = whole.find(text, at + 1)
                continue
            if numbers[row] != _GONE:
                found.append(row)
            at = whole.find(text, end)
        return found

    def of_namespaces(self, rows: array[int], namespaces: Container[int]) -> array[int]:
        """Return those of the places whose entry is in one of some namespaces, given by their numbers."""
        return array("q", [row for row in rows if self._namespaces[row] in namespaces])
