"""What an entry that was computed says beyond its value: until when it is fresh, and whether it is an exception.

It stands before the name of the serializer's encoding: ``~fresh=1763942400.5~msgpack``, ``~error~msgpack``. No
serializer knows an encoding of such a name, so an entry in an envelope never passes for a plain one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from hitrate.errors import DecodeError

MARK = "~"
_FRESH = "fresh="
_ERROR = "error"


class Envelope(NamedTuple):
    """What stands before an encoding.

    Attributes:
        fresh_until: seconds since the epoch; the entry is stale from then on until it expires. None if it is fresh
            for as long as it is there.
        error: whether the payload describes an exception.
    """

    fresh_until: float | None = None
    error: bool = False

    def around(self, encoding: str) -> str:
        """Return the name of an encoding in this envelope."""
        if self == _NOTHING:
            return encoding
        return f"{self.mark}{encoding}"

    @property
    def mark(self) -> str:
        """The text before the encoding; empty if there is nothing to say."""
        said = []
        if self.fresh_until is not None:
            said.append(f"{_FRESH}{self.fresh_until!r}")
        if self.error:
            said.append(_ERROR)
        return f"{MARK}{';'.join(said)}{MARK}" if said else ""


_NOTHING = Envelope()


def opened(encoding: str) -> tuple[Envelope, str]:
    """Return what stands before an encoding, and the encoding.

    Raises:
        DecodeError: it is no envelope that this version writes.
    """
    if not encoding.startswith(MARK):
        return _NOTHING, encoding
    said, mark, inner = encoding[1:].partition(MARK)
    fresh_until = None
    error = False
    for each in said.split(";"):
        if each.startswith(_FRESH):
            try:
                fresh_until = float(each.removeprefix(_FRESH))
            except ValueError:
                break
            if not math.isfinite(fresh_until):
                fresh_until = None
        elif each == _ERROR:
            error = True
    envelope = Envelope(fresh_until, error)
    if not mark or envelope.around(inner) != encoding:  # other spellings included
        raise DecodeError(f"unknown encoding {encoding!r}")
    return envelope, inner
