"""Looks at an entry more closely than a read does: how old it is, and whether it is an exception."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hitrate.base import FullKey
from hitrate.compute.exceptions import restored
from hitrate.envelope import MARK, Envelope, opened
from hitrate.errors import DecodeError, HitrateError
from hitrate.keys import EncodedKey
from hitrate.stores.base import Found

if TYPE_CHECKING:
    from hitrate.cache import Cache
    from hitrate.compute.terms import Terms


class Look(NamedTuple):
    """What was found under a key.

    Attributes:
        value: its value.
        error: the exception that was stored in place of a value.
        fresh: True if it is fresh, False if it is stale.
        fresh_until: seconds since the epoch, None for ever.
        seconds: how long it took to compute.
    """

    value: Any
    error: Exception | None
    fresh: bool
    fresh_until: float | None
    seconds: float


def look(cache: Cache[Any], full_key: FullKey, encoded_key: EncodedKey, found: Found, terms: Terms) -> Look | None:
    """Return what was found under a key; None if there is neither a value nor an exception to raise."""
    if type(found) is not tuple:
        if isinstance(found, HitrateError):
            cache._entry_failed(full_key, found)
        return None
    encoding, payload, expiry, seconds = found
    envelope = Envelope()
    try:
        if type(encoding) is str and encoding.startswith(MARK):
            envelope, encoding = opened(encoding)
            if envelope.expires is not None:
                if envelope.expires <= cache._clock():
                    return None
                expiry = envelope.expires if expiry is None else min(expiry, envelope.expires)
        value = cache._codec.value((encoding, payload, expiry, seconds), encoded_key, envelope.mark)
    except DecodeError as error:
        cache._entry_failed(full_key, error)
        return None
    failure = None
    if envelope.error:
        value, failure = None, restored(value, terms.cache_errors)
        if failure is None:
            return None
    until = expiry if envelope.fresh_until is None else envelope.fresh_until
    return Look(value, failure, until is None or cache._clock() < until, until, seconds)
