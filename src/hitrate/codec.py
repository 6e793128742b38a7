"""Turns keys and values into the form in which a store keeps them, and back: into bytes, and in memory into objects,
too.

A codec never waits, and knows nothing of stores, counters or failures that become misses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from hitrate.base import FullKey, Namespace
from hitrate.entry import DEFAULT_ENCODING, ENCODING_CODES
from hitrate.envelope import MARK, PLAIN, Envelope, opened
from hitrate.errors import DecodeError, SerializationError
from hitrate.keys import (
    EncodedKey,
    NamespaceEncoder,
    check_key,
    check_namespace,
    encode_namespace,
    encode_text,
    full_key_decoder,
    refuse_keys,
)
from hitrate.serde import BoundSerializer, SerializerProtocol


class Codec:
    """Encodes keys and values as bytes.

    Args:
        serde: turns values into bytes and back.
        first_use: called with a namespace when it is not among those that are remembered.

    Attributes:
        serde: the serializer.
        names: the encoded namespaces in use, by namespace.
        binds: True if the serializer binds each value to its key.
        loads_typed: decodes what a serializer that does not bind has written; it raises for what is in an envelope.
        unpack: the same, of a payload of the encoding ``"msgpack"``.
    """

    def __init__(self, serde: SerializerProtocol, first_use: Callable[[Namespace], None]) -> None:
        self.serde: Any = serde
        self.names = NamespaceEncoder(first_use)
        self.binds = isinstance(serde, BoundSerializer)
        self.loads_typed = _cautious(serde)
        self.unpack: Callable[[bytes], Any] = _unpacker(serde)

    # Keys

    def keys(self, keys: Iterable[FullKey]) -> list[EncodedKey]:
        """Check and encode full keys.

        Raises:
            TypeError: one is not a ``(tuple of str, str)``, or a single key was given.
        """
        names = self.names
        encoded = []
        for full_key in keys:
            try:
                namespace, key = full_key
                if type(full_key) is not tuple or type(key) is not str:
                    check_key(full_key)
                name = names[namespace]
            except (TypeError, ValueError) as error:
                refuse_keys(keys, error)
            try:
                encoded.append((name, key.encode()))
            except UnicodeEncodeError:  # lone surrogates
                encoded.append((name, encode_text(key)))
        return encoded

    def namespaces(self, namespaces: Sequence[Namespace]) -> list[Any]:
        """Encode namespaces that have been checked before."""
        return [self.names[namespace] for namespace in namespaces]

    def prefix(self, prefix: Namespace) -> Any:
        """Check and encode what namespaces begin with; falsy for the empty one."""
        check_namespace(prefix)
        return encode_namespace(prefix)

    def key_decoder(self) -> Callable[[Any, Any], FullKey]:
        """Return a function that makes a full key of an encoded namespace and key."""
        return full_key_decoder()

    def binding(self, encoded_key: EncodedKey, mark: str = "") -> bytes:
        """Return one injective byte string for a full key, for serializers that bind a value to it."""
        name, key = encoded_key
        binding = len(name).to_bytes(4, "big") + name + key
        # No namespace has this length, so a value that is bound to an envelope is never taken for a key's plain value.
        return b"\xff\xff\xff\xff" + len(mark).to_bytes(4, "big") + mark.encode() + binding if mark else binding

    # Values to encodings and payloads

    def encoded(
        self, value: Any, encoded_key: Any, expiry: float | None, envelope: Envelope = PLAIN
    ) -> tuple[Any, Any]:
        """Return the encoding and the payload of a value in its envelope; else as ``dump``.

        A serializer that binds a value to its key binds it to the envelope, with its expiry, too.
        """
        if self.binds and expiry is not None:
            envelope = envelope._replace(expires=expiry)
        mark = envelope.mark
        encoding, payload = self.dump(value, encoded_key, mark)
        return f"{mark}{encoding}", payload

    def dump(self, value: Any, encoded_key: Any, mark: str = "") -> tuple[str, bytes]:
        """Return the encoding and the payload of a value, as the serializer makes them.

        Raises:
            SerializationError: it cannot be stored exactly, or the serializer does not keep to its protocol.
        """
        dumped: tuple[str, bytes]
        try:
            if self.binds:
                dumped = self.serde.dumps_bound(value, self.binding(encoded_key, mark))
            else:
                dumped = self.serde.dumps_typed(value)
        except SerializationError:
            raise
        except Exception as error:
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            raise SerializationError(
                f"{type(self.serde).__name__} cannot serialise a {kind}: {error}", type_name=kind
            ) from error
        if type(dumped) is not tuple or len(dumped) != 2:
            self._refuse(None, dumped)
        encoding, payload = dumped
        try:
            if type(payload) is bytes and encoding in ENCODING_CODES:
                return dumped
        except TypeError:  # not even hashable
            self._refuse(encoding, payload)
        if (
            not isinstance(encoding, str)
            or not encoding.isascii()
            or encoding.startswith(MARK)
            or not isinstance(payload, (bytes, bytearray, memoryview))
        ):
            self._refuse(encoding, payload)
        return encoding, bytes(payload)

    def _refuse(self, encoding: object, payload: object) -> NoReturn:
        kinds = f"({type(encoding).__name__}, {type(payload).__name__})"
        raise SerializationError(f"{type(self.serde).__name__} is to return (ASCII str, bytes), and returned {kinds}")

    # Entries to values

    def value(self, entry: Any, encoded_key: Any, mark: str = "") -> Any:
        """Return a value of its own for an entry out of its envelope.

        Args:
            entry: as the store gave it, and its encoding without an envelope.
            encoded_key: its key.
            mark: what the envelope said; it counts as part of the key.

        Raises:
            DecodeError: it cannot be restored exactly.
        """
        return self.load(entry, encoded_key, mark)

    def load(self, entry: Any, encoded_key: Any, mark: str = "") -> Any:
        """Return the value of an entry that is in the form of the serializer; else as ``value``."""
        try:
            if self.binds:
                if not mark and entry[0].startswith(MARK):
                    raise DecodeError(f"unknown encoding {entry[0]!r}")
                return self.serde.loads_bound(entry[:2], self.binding(encoded_key, mark))
            return self.loads_typed(entry[:2])
        except DecodeError:
            raise
        except Exception as error:
            raise self.decode_error(error) from error

    def opened_value(self, entry: Any, encoded_key: Any) -> Any:
        """Return the value of an entry that may be in an envelope, whatever that says; else as ``value``."""
        if type(entry[0]) is not str or not entry[0].startswith(MARK):
            return self.value(entry, encoded_key)
        envelope, encoding = opened(entry[0])
        return self.value((encoding, *entry[1:]), encoded_key, envelope.mark)

    def decode_error(self, error: Exception) -> DecodeError:
        """Return the error of an entry that a serializer could not restore."""
        if isinstance(error, DecodeError):
            return error
        return DecodeError(f"{type(self.serde).__name__} could not decode it: {error!r}")


def _is_ours(serde: SerializerProtocol) -> bool:
    return type(serde).__module__.startswith("hitrate.")


def _unpacker(serde: Any) -> Callable[[bytes], Any]:
    if _is_ours(serde) and hasattr(serde, "unpack"):
        return serde.unpack  # type: ignore[no-any-return]
    return lambda payload: serde.loads_typed((DEFAULT_ENCODING, payload))


def _cautious(serde: SerializerProtocol) -> Callable[[tuple[str, bytes]], Any]:
    """Return the ``loads_typed`` of a serializer; it raises when the encoding is in an envelope."""
    loads = serde.loads_typed
    if _is_ours(serde):
        return loads  # our own serializer refuses encodings that it does not know

    def cautious(data: tuple[str, bytes]) -> Any:
        if data[0].startswith(MARK):
            raise DecodeError(f"unknown encoding {data[0]!r}")
        return loads(data)

    return cautious
