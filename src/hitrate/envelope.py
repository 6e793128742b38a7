"""What an entry says beyond its value: until when it is fresh, when it was to expire, whether it is an exception.

It stands before the name of the serializer's encoding: ``~fresh=1763942400.5~msgpack``, ``~error~msgpack``. No
serializer knows an encoding of such a name, so an entry in an envelope never passes for a plain one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from hitrate.errors import DecodeError

MARK = "~"
_FRESH = "fresh="
_EXPIRES = "expires="
_ERROR = "error"


class Envelope(NamedTuple):
    """What stands before an encoding.

    Attributes:
        fresh_until: seconds since the epoch; the entry is stale from then on until it expires. None if it is fresh
            for as long as it is there.
        error: whether the payload describes an exception.
        expires: when it was to expire as it was set, where the serializer binds what the envelope says: a store may
            drop it earlier, and who may write to the store cannot keep it for longer.
    """

    fresh_until: float | None = None
    error: bool = False
    expires: float | None = None

    @property
    def mark(self) -> str:
        """The text before the encoding; empty if there is nothing to say."""
        said = []
        if self.fresh_until is not None:
            said.append(f"{_FRESH}{self.fresh_until!r}")
        if self.expires is not None:
            said.append(f"{_EXPIRES}{self.expires!r}")
        if self.error:
            said.append(_ERROR)
        return f"{MARK}{';'.join(said)}{MARK}" if said else ""


PLAIN = Envelope()
"""It says nothing, and leaves no mark."""


def _instant(text: str) -> float | None:
    """Return the seconds that a text says; None for what no envelope says."""
    try:
        instant = float(text)
    except ValueError:
        return None
    return instant if math.isfinite(instant) else None


def opened(encoding: str) -> tuple[Envelope, str]:
    """Return what stands before an encoding, and the encoding.

    Raises:
        DecodeError: it is no envelope that this version writes.
    """
    if not encoding.startswith(MARK):
        return PLAIN, encoding
    said, mark, inner = encoding[1:].partition(MARK)
    fresh_until = expires = None
    error = False
    for each in said.split(";"):
        if each.startswith(_FRESH):
            fresh_until = _instant(each.removeprefix(_FRESH))
        elif each.startswith(_EXPIRES):
            expires = _instant(each.removeprefix(_EXPIRES))
        elif each == _ERROR:
            error = True
    envelope = Envelope(fresh_until, error, expires)
    if not mark or f"{envelope.mark}{inner}" != encoding:  # other spellings included
        raise DecodeError(f"unknown encoding {encoding!r}")
    return envelope, inner
