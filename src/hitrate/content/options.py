"""What of a call counts: fields left out or kept, and a scope; checked once, when they are given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ormsgpack import packb

from hitrate.content.canonical import encode
from hitrate.content.selection import Tree, merged, tree_of

VERSION: Final = 1
"""Of the encoding: it is part of what is hashed, so that a change of the encoding changes every key."""


@dataclass(slots=True)
class KeyOptions:
    """The options of a key, checked and ready for use.

    Attributes:
        header: what is hashed before the arguments: the version of the encoding, the scope if there is one, and the
            function whose calls they are, if it is known.
        ignore: the fields that are left out, None if there are none.
        only: the fields that are kept, None for all.
        scope: the scope as it stands in the header, and as it was given; None if there is none.
        function: what tells the function whose calls they are from others, empty if it is not known.
        of_argument: by the name of an argument the fields of it that are left out, or kept.
    """

    header: bytes
    ignore: Tree | None
    only: Tree | None
    scope: tuple[bytes, Any] | None = None
    function: bytes = b""
    of_argument: dict[str, Tree] = field(init=False)

    def __post_init__(self) -> None:
        tree = self.ignore or self.only or {}
        self.of_argument = {name: merged(tree, sub) for name, sub in tree.items() if sub is not None}

    @classmethod
    def of(
        cls, ignore: str | Iterable[str] = (), only: str | Iterable[str] | None = None, scope: Any = None
    ) -> KeyOptions:
        """Return the options of ``stable_key``.

        Raises:
            TypeError: one is of the wrong type, ``ignore`` and ``only`` are given together, or the scope cannot be
                part of a key.
            ValueError: a name is none, or ``only`` has none.
        """
        left_out = tree_of("ignore", ignore)
        if only is None:
            kept = None
        elif left_out:
            raise TypeError("ignore= and only= are given together: one says what is left out, the other what is not")
        else:
            kept = tree_of("only", only)
            if not kept:
                raise ValueError("only= names nothing, so that every call would have the same key")
        if scope is None:
            return cls(packb([VERSION]), left_out or None, kept)
        encoded = encode(scope, "the scope")
        return cls(packb([VERSION, None])[:-1] + encoded, left_out or None, kept, (encoded, scope))

    def of_function(self, identity: bytes) -> KeyOptions:
        """Return these options for the calls of a function, by what tells it from all others, encoded or hashed."""
        scope = self.header[2:] or packb(None)
        header = packb([VERSION, None, None])[:2] + scope + packb(identity)
        return replace(self, header=header, function=identity)


PLAIN: Final = KeyOptions.of()
"""No options."""
