"""What of a call counts: fields left out or kept, and a scope; checked once, when they are given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ormsgpack import packb

from hitrate.content.canonical import encode
from hitrate.content.selection import Tree, merged, tree_of

VERSION: Final = 1
"""Of the encoding: it is part of what is hashed, so that a change of the encoding changes every key."""


class KeyOptions:
    """The options of a key, checked and ready for use.

    Attributes:
        header: what is hashed before the arguments: the version of the encoding, the scope if there is one, and the
            function whose calls they are, if it is known.
        ignore: the fields that are left out, None if there are none.
        only: the fields that are kept, None for all.
        function: what tells the function whose calls they are from others, empty if it is not known.
        scope: the scope as it stands in the header, and as it was given; None if there is none.
    """

    __slots__ = ("function", "header", "ignore", "of_argument", "only", "scope")

    def __init__(self, header: bytes, ignore: Tree | None, only: Tree | None) -> None:
        """Use ``of``."""
        self.header: bytes = header
        self.ignore: Tree | None = ignore
        self.only: Tree | None = only
        self.function = b""
        self.scope: tuple[bytes, Any] | None = None
        tree = ignore or only or {}
        self.of_argument: dict[str, Tree] = {name: merged(tree, sub) for name, sub in tree.items() if sub is not None}

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
        made = cls(packb([VERSION, None])[:-1] + encoded, left_out or None, kept)
        made.scope = encoded, scope
        return made

    def of_function(self, identity: bytes) -> KeyOptions:
        """Return these options for the calls of a function.

        Args:
            identity: what tells the function from all others, already encoded or hashed.
        """
        scope = self.header[2:] or packb(None)
        made = KeyOptions(packb([VERSION, None, None])[:2] + scope + packb(identity), None, None)
        made.ignore, made.only, made.of_argument = self.ignore, self.only, self.of_argument
        made.function, made.scope = identity, self.scope
        return made


PLAIN: Final = KeyOptions.of()
"""No options."""
