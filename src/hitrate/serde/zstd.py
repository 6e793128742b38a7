"""Compression with Zstandard, with a trained dictionary where values are small and alike."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hitrate.errors import DecodeError
from hitrate.serde.msgpack import default_serializer
from hitrate.serde.protocol import BoundSerializer, SerializerProtocol

if sys.version_info >= (3, 14):
    from compression import zstd
elif TYPE_CHECKING:
    from backports import zstd
else:
    try:
        # not "from backports import zstd", which reports a broken package as a missing name
        import backports.zstd as zstd
    except ModuleNotFoundError as exc:
        if exc.name not in ("backports", "backports.zstd"):  # the package is installed, but broken
            raise
        raise ImportError("ZstdSerializer needs the zstd extra: pip install '.[zstd]' in hitrate's folder") from exc

__all__ = ["ZstdSerializer", "train_dictionary", "zstd"]

_PREFIX = "zstd+"


class ZstdSerializer:
    """Compresses what another serializer makes, where that makes it smaller.

    Args:
        inner: the serializer whose payloads are compressed; the default ``MsgpackSerializer`` when not given. To
            encrypt as well, give this one to ``EncryptedSerializer``: what is encrypted does not compress.
        level: the compression level, 1 to 22.
        dictionary: what ``train_dictionary`` returned; entries made with it need it to be read.
        min_size: payloads of fewer bytes are left as they are.
        max_size: a payload that would decompress to more bytes is not restored, and a larger one is not compressed.

    Raises:
        ImportError: the ``zstd`` extra is not installed.
        TypeError: inner binds values to keys, which compression around it would lose.
        ValueError: the level or the dictionary is not a valid one.
    """

    def __init__(
        self,
        inner: SerializerProtocol | None = None,
        *,
        level: int = 3,
        dictionary: bytes | None = None,
        min_size: int = 256,
        max_size: int = 1 << 28,
    ) -> None:
        """Make a serializer, which may be shared by threads."""
        if isinstance(inner, BoundSerializer):
            raise TypeError("compress first, then encrypt: EncryptedSerializer(ZstdSerializer(...), key=...)")
        low, high = zstd.CompressionParameter.compression_level.bounds()
        if not max(low, -100) <= level <= high:
            raise ValueError(f"level must be at most {high}, not {level}")
        self._inner = inner or default_serializer()
        self._dictionary = None if dictionary is None else _dictionary(dictionary)
        self._options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: level,
            # A wrong dictionary can otherwise go unnoticed.
            zstd.CompressionParameter.checksum_flag: dictionary is not None,
        }
        self._min_size = min_size
        self._max_size = max_size

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return ``(encoding, payload)`` for a value.

        Args:
            obj: the value.

        Returns:
            The inner pair, or ``("zstd+" + encoding, compressed)`` where that is smaller.

        Raises:
            SerializationError: the inner serializer cannot store it exactly.
        """
        encoding, payload = self._inner.dumps_typed(obj)
        if self._min_size <= len(payload) <= self._max_size:
            compressed = zstd.compress(payload, options=self._options, zstd_dict=self._dictionary)
            if len(compressed) < len(payload):
                return _PREFIX + encoding, compressed
        return encoding, payload

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value of an ``(encoding, payload)`` pair.

        Args:
            data: what ``dumps_typed`` returned, or what the inner serializer did before compression was added.

        Returns:
            A value of its own, equal to the stored one.

        Raises:
            DecodeError: the pair cannot be restored exactly, whatever the reason.
        """
        encoding, payload = data
        if encoding.startswith(_PREFIX):
            encoding, payload = encoding[len(_PREFIX) :], self.decompressed(payload)
        return self._inner.loads_typed((encoding, payload))

    def decompressed(self, payload: bytes) -> bytes:
        """Return what a payload of an encoding ``zstd+...`` was before it was compressed.

        Raises:
            DecodeError: it is damaged, or larger than ``max_size``.
        """
        try:
            declared = zstd.get_frame_info(payload).decompressed_size
            if declared is None or declared > self._max_size:
                raise DecodeError(f"a compressed payload declares {declared} bytes, more than max_size allows")
            reader = zstd.ZstdDecompressor(zstd_dict=self._dictionary)
            content = reader.decompress(payload, max_length=declared)
            # An empty read lets the end of the frame be seen when the content filled max_length exactly.
            while not reader.eof and not reader.needs_input:
                if reader.decompress(b"", max_length=1):
                    raise DecodeError("a compressed payload is longer than it declares")
        except (zstd.ZstdError, ValueError, EOFError, TypeError) as exc:
            if isinstance(exc, DecodeError):
                raise
            raise DecodeError(f"a compressed payload cannot be decompressed: {exc}") from exc
        if not reader.eof or len(content) != declared or reader.unused_data:
            raise DecodeError("a compressed payload is damaged")
        return content


def train_dictionary(
    samples: Iterable[Any], *, size: int = 32 * 1024, serializer: SerializerProtocol | None = None
) -> bytes:
    """Train a dictionary for small values that are alike, such as LLM replies.

    Args:
        samples: typical values, a hundred or more.
        size: the greatest size of the dictionary in bytes; about a hundredth of the samples is sensible.
        serializer: makes the samples' payloads; the inner serializer that will be used.

    Returns:
        The dictionary, for ``ZstdSerializer(dictionary=...)``. Keep it as long as entries that were made with it.

    Raises:
        ImportError: the ``zstd`` extra is not installed.
        SerializationError: a sample cannot be stored exactly.
        ValueError: the samples are too few or too small to train on.
    """
    serde = serializer or default_serializer()
    payloads = [payload for payload in (serde.dumps_typed(each)[1] for each in samples) if payload]
    try:
        return zstd.train_dict(payloads, size).dict_content
    except (zstd.ZstdError, ValueError) as exc:
        raise ValueError(f"a dictionary cannot be trained on {len(payloads)} samples: {exc}") from exc


def _dictionary(content: bytes) -> zstd.ZstdDict:
    try:
        return zstd.ZstdDict(content)
    except (zstd.ZstdError, ValueError) as exc:
        raise ValueError(f"the dictionary is not one that train_dictionary made: {exc}") from exc
