"""How instances of one user class are written and restored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from hitrate.keys import encode_text
from hitrate.serde.classes import attribute
from hitrate.serde.references import reference_to
from hitrate.serde.registry import Refused


class Form:
    """How instances of one user class are written and restored.

    Args:
        cls: the class.
        fields: its family, the names of its fields and what is known of their types; a stored entry with another list
            is not restored.
        dump: returns the state of an instance as a list that begins with the class's mark.
        restore: makes an instance of the state without running any code of the class.
        again: as ``restore``, for a state of ``dump`` in this process, which need not be checked.
        open: whether ``types=`` leaves it alone, because it is no user's class.
    """

    __slots__ = ("again", "dump", "family", "mark", "open", "restore")

    def __init__(
        self,
        cls: type,
        fields: list[str],
        dump: Callable[[Any, str], list[Any]],
        restore: Callable[[list[Any]], Any],
        *,
        again: Callable[[list[Any]], Any] | None = None,
        open: bool = False,
    ) -> None:
        if attribute(cls, "__del__") is not None:
            raise Refused("its __del__ would run for whatever was stored in its name")
        self.family = fields[0]
        self.mark = f"{reference_to(cls)}#{_fingerprint(fields)}"
        self.dump = dump
        self.restore = restore
        self.again = again or restore
        self.open = open


def _fingerprint(fields: list[str]) -> str:
    """Return a short digest of a class's fields; ASCII, so that it looks like nothing else inside msgpack."""
    return hashlib.blake2b(encode_text("\0".join(fields)), digest_size=6).hexdigest()
