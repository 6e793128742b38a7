"""Keys and values in the form in which memory holds them: keys as they are, values as bytes or as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hitrate.base import FullKey, Namespace
from hitrate.codec import Codec
from hitrate.entry import DEFAULT_ENCODING
from hitrate.envelope import PLAIN, Envelope
from hitrate.errors import DecodeError
from hitrate.keys import check_namespace, encode_text, plain_keys
from hitrate.serde import MsgpackSerializer, SerializerProtocol
from hitrate.serde.packing import is_packed_floats, pack_floats
from hitrate.stores.memory.space import ENTRY_OVERHEAD, Held

FLOATS = "floats"
"""The encoding of a payload that by its length may be a list of floats; it is used in memory only."""


class MemoryCodec(Codec):
    """Keeps keys as they are, and holds values in the forms that serve hits from memory.

    See ``Codec`` for the arguments.

    Attributes:
        exact: True for our own serializer. Only that is known to be exact, and so to allow sharing and copying in the
            place of decoding.
    """

    def __init__(self, serde: SerializerProtocol, first_use: Callable[[Namespace], None]) -> None:
        super().__init__(serde, first_use)
        self.exact = type(serde) is MsgpackSerializer
        self._dumps = serde.dumps_typed
        self._loads = serde.loads_typed
        self._trusts_lengths = True

    # Keys

    def keys(self, keys: Iterable[FullKey]) -> list[Any]:
        return plain_keys(keys)

    def namespaces(self, namespaces: Sequence[Namespace]) -> list[Any]:
        return [*namespaces]

    def prefix(self, prefix: Namespace) -> Any:
        check_namespace(prefix)
        return prefix

    def key_decoder(self) -> Callable[[Any, Any], FullKey]:
        return _as_it_is

    def binding(self, encoded_key: Any, mark: str = "") -> bytes:
        namespace, key = encoded_key
        return super().binding((self.names[namespace], encode_text(key)), mark)

    # Values to what is held

    def held(self, value: Any, full_key: FullKey, expiry: float | None, seconds: float, now: float) -> Held:
        """Return the form in which a value is held at first.

        Raises:
            SerializationError: it cannot be stored exactly.
        """
        kind = type(value)
        encoding: str | None = None
        payload: Any
        if not self.exact:
            encoding, payload = self.dump(value, full_key)
        elif kind is str or kind is bytes:
            payload = value
        elif kind is list and self._trusts_lengths and (packed := pack_floats(value)) is not None:
            encoding, payload = FLOATS, packed
        else:
            encoding, payload = self._dumps(value)
        return encoding, payload, expiry, seconds, False, now, len(payload) + len(full_key[1]) + ENTRY_OVERHEAD

    def encoded(
        self, value: Any, encoded_key: Any, expiry: float | None, envelope: Envelope = PLAIN
    ) -> tuple[Any, Any]:
        if envelope.mark:
            return super().encoded(value, encoded_key, expiry, envelope)
        encoding, payload = self.held(value, encoded_key, expiry, 0.0, 0.0)[:2]
        return encoding, payload

    # What is held to values

    def value(self, entry: Any, encoded_key: Any, mark: str = "") -> Any:
        encoding, payload = entry[:2]
        if encoding is None:
            return payload
        if callable(encoding):
            return encoding(payload)
        return self.proven_floats(payload) if encoding == FLOATS else self.load(entry, encoded_key, mark)

    def proven_floats(self, payload: bytes) -> Any:
        """Return the list that ``held`` took for floats by its length alone.

        Looking at each element would take a set longer than packing them, so the first hit does it. The list may hold
        other numbers and text, too. Where it holds bytes, these may have been a bytearray, which is packed like bytes:
        then the list is a miss, and lengths are trusted no more.

        Raises:
            DecodeError: it holds something else.
        """
        value = self._loads((DEFAULT_ENCODING, payload))
        if not is_packed_floats(payload) and not {*map(type, value)} <= {float, int, str}:
            self._trusts_lengths = False
            raise DecodeError("a list that holds other things was taken for one of floats; set it again")
        return value


class TieredCodec(Codec):
    """Encodes as bytes for all tiers, and restores also what a nearest tier in memory holds in a form of its own."""

    def __init__(self, near: MemoryCodec, serde: SerializerProtocol, first_use: Callable[[Namespace], None]) -> None:
        super().__init__(serde, first_use)
        self._near = near

    def value(self, entry: Any, encoded_key: Any, mark: str = "") -> Any:
        encoding = entry[0]
        if type(encoding) is str and encoding != FLOATS:
            return self.load(entry, encoded_key, mark)
        return self._near.value(entry, encoded_key)


def _as_it_is(namespace: Any, key: Any) -> FullKey:
    return namespace, key
