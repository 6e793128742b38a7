"""Finding text in keys: all of them in one piece of memory, which is gone through at gigabytes a second."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Collection

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
        """Add the key of the next entry.

        Args:
            key: the key.
            namespace: the number of its namespace.
        """
        self._starts.append(len(self._text))
        self._namespaces.append(namespace)
        self._text += key.lower()

    def forget(self, row: int) -> None:
        """Find an entry no more."""
        self._namespaces[row] = _GONE

    def find(self, text: bytes, namespaces: Collection[int] | None, limit: int) -> array[int]:
        """Return the places in the list of the entries whose key has a text in it.

        Args:
            text: the text, not empty.
            namespaces: the numbers of the namespaces that are meant; None for all.
            limit: how many are returned at most.
        """
        found = array("q")
        whole, starts, numbers = self._text, self._starts, self._namespaces
        chosen = None if namespaces is None else frozenset(namespaces)
        text = text.lower()
        at = whole.find(text)
        while at >= 0 and len(found) < limit:
            row = bisect_right(starts, at) - 1
            end = starts[row + 1] if row + 1 < len(starts) else len(whole)
            if at + len(text) > end:  # it runs from one key into the next
                at = whole.find(text, at + 1)
                continue
            number = numbers[row]
            if number != _GONE and (chosen is None or number in chosen):
                found.append(row)
            at = whole.find(text, end)
        return found
