"""Authenticated encryption: who can write to the store can neither read entries, nor change them, nor swap two."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from hitrate.errors import DecodeError
from hitrate.keys import encode_text
from hitrate.serde.msgpack import default_serializer
from hitrate.serde.protocol import BoundSerializer, SerializerProtocol

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ModuleNotFoundError as exc:
    if exc.name not in ("cryptography", "cryptography.exceptions"):  # the package is installed, but broken
        raise
    raise ImportError(
        "EncryptedSerializer needs the crypto extra: pip install '.[crypto]' in hitrate's folder"
    ) from exc

_PREFIX = "aesgcm+"
_NONCE = 12


class EncryptedSerializer:
    """Encrypts what another serializer makes with AES-GCM (NIST SP 800-38D).

    The encoding's name is authenticated, and so are the full key and the expiry where a cache uses it: an entry that
    was moved to another key is not restored, nor is one after the time at which it was to expire as it was set,
    whatever the store says by then. The reader's clock decides that. Who may write to the store can still remove
    entries, and put back an older one of the same key that has not expired.

    Args:
        inner: the serializer whose payloads are encrypted; the default ``MsgpackSerializer`` when not given.
        key: 16, 24 or 32 random bytes. Or a list of keys: the first encrypts, all decrypt; to rotate, put a new one
            first and drop the old one when its entries have expired; ``decrypted_with`` tells whether any are still
            read. Where several processes share a store, let all of them have the new key in second place before one
            has it in the first. Nonces are random, so rotate before 2**32 sets.

    Raises:
        ImportError: the ``crypto`` extra is not installed.
        TypeError: a key is not bytes.
        ValueError: a key has another length, or there is none.
    """

    def __init__(self, inner: SerializerProtocol | None = None, *, key: bytes | Sequence[bytes]) -> None:
        """Make a serializer, which may be shared by threads."""
        keys = [key] if isinstance(key, (bytes, bytearray)) else [*key]
        if not keys:
            raise ValueError("at least one key is needed")
        for each in keys:
            if not isinstance(each, (bytes, bytearray)):
                raise TypeError(f"a key must be bytes, not {type(each).__name__}")
            if len(each) not in (16, 24, 32):
                raise ValueError(f"a key must be 16, 24 or 32 bytes, not {len(each)}")
        self._inner = inner or default_serializer()
        self._ciphers = [AESGCM(bytes(each)) for each in keys]
        self._decrypted = [0] * len(keys)

    @property
    def decrypted_with(self) -> tuple[int, ...]:
        """How many payloads each key has decrypted so far, in the order of the keys.

        An old key whose number has stood still for as long as the longest TTL is not needed any more.
        """
        return tuple(self._decrypted)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return ``(encoding, payload)`` for a value, bound to no key.

        Args:
            obj: the value.

        Returns:
            ``("aesgcm+" + encoding, nonce and ciphertext)``.

        Raises:
            SerializationError: the inner serializer cannot store it exactly.
        """
        return self._encrypt(self._inner.dumps_typed(obj), None)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value of a pair that ``dumps_typed`` returned.

        Args:
            data: the pair.

        Returns:
            A value of its own, equal to the stored one.

        Raises:
            DecodeError: it was not encrypted with one of the keys, or was changed, or cannot be restored.
        """
        return self._inner.loads_typed(self._decrypt(data, None))

    def dumps_bound(self, obj: Any, binding: bytes) -> tuple[str, bytes]:
        """Return ``(encoding, payload)`` for a value stored under the key of ``binding``.

        Args:
            obj: the value.
            binding: an injective encoding of the namespace and key.

        Returns:
            ``("aesgcm+" + encoding, nonce and ciphertext)``.

        Raises:
            SerializationError: the inner serializer cannot store it exactly.
        """
        inner = self._inner
        pair = inner.dumps_bound(obj, binding) if isinstance(inner, BoundSerializer) else inner.dumps_typed(obj)
        return self._encrypt(pair, binding)

    def loads_bound(self, data: tuple[str, bytes], binding: bytes) -> Any:
        """Return the value of a pair that was stored under the key of ``binding``.

        Args:
            data: the pair.
            binding: an injective encoding of the namespace and key.

        Returns:
            A value of its own, equal to the stored one.

        Raises:
            DecodeError: as ``loads_typed``, or it was stored under another key.
        """
        inner, pair = self._inner, self._decrypt(data, binding)
        return inner.loads_bound(pair, binding) if isinstance(inner, BoundSerializer) else inner.loads_typed(pair)

    def _encrypt(self, pair: tuple[str, bytes], binding: bytes | None) -> tuple[str, bytes]:
        encoding, payload = pair
        nonce = os.urandom(_NONCE)
        return _PREFIX + encoding, nonce + self._ciphers[0].encrypt(nonce, payload, _associated(encoding, binding))

    def _decrypt(self, data: tuple[str, bytes], binding: bytes | None) -> tuple[str, bytes]:
        encoding, payload = data
        if not encoding.startswith(_PREFIX):
            raise DecodeError(f"the entry is not encrypted: its encoding is {encoding!r}")
        encoding = encoding[len(_PREFIX) :]
        associated = _associated(encoding, binding)
        nonce, content = payload[:_NONCE], payload[_NONCE:]
        for place, cipher in enumerate(self._ciphers):
            try:
                plain = cipher.decrypt(nonce, content, associated)
            except (InvalidTag, ValueError):
                continue
            self._decrypted[place] += 1
            return encoding, plain
        raise DecodeError("the entry was encrypted with another key, stored under another key, or changed")


def _associated(encoding: str, binding: bytes | None) -> bytes:
    """Return what is authenticated besides the content, so that no two pairs of arguments have it in common."""
    name = encode_text(encoding)
    return len(name).to_bytes(4, "big") + name + (b"\0" if binding is None else b"\1" + binding)
