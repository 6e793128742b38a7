"""The file of an export: records as they are stored, each with a checksum, in a stream.

The format, numbers big-endian: the line ``hitrate export 1``, then frames of a length (4 bytes), a body of that length
and its XXH3 (8 bytes). The first body is a header, a msgpack map; the others are records, msgpack arrays of the encoded
namespace, the encoded key, encoding, payload, created, expires and seconds. A frame of length 0, with the number of
records in the place of its checksum, is the end. The whole may be one zstd frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import IO, Any

from ormsgpack import packb, unpackb
from xxhash import xxh3_64_intdigest

from hitrate.keys import decode_namespace, decode_text, encode_namespace, encode_text
from hitrate.records import Damaged, Record

MAGIC = b"hitrate export 1\n"
_LENGTH, _CHECKSUM = 4, 8
_READ_AT_ONCE = 1 << 20
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_LONGEST_SECONDS = 1e9
_ENDS = "it ends in the middle"


class NoExport(ValueError):
    """The file is no export, or not one of this version."""


class CutShort(ValueError):
    """The file ends before the export does or after it, or cannot be read on."""


def write_export(file: IO[bytes], records: Iterable[Record], *, version: str) -> int:
    """Write records; return how many.

    Args:
        file: where to, open for writing bytes.
        records: what to write.
        version: of the hitrate that writes it.
    """
    file.write(MAGIC)
    _write_frame(file, packb({"hitrate": version, "serializer": "msgpack"}))
    count = 0
    for namespace, key, encoding, payload, *times in records:
        _write_frame(file, packb([encode_namespace(namespace), encode_text(key), encoding, payload, *times]))
        count += 1
    file.write(bytes(_LENGTH) + count.to_bytes(_CHECKSUM, "big"))
    return count


def read_export(file: IO[bytes]) -> Iterator[Record | Damaged]:
    """Yield the records of an export; one whose checksum is wrong as damaged.

    Raises:
        NoExport: it is none, or of a newer version.
        CutShort: the file ends too early or goes on too long, or has another number of records than it says.
    """
    try:
        start = _read(file, len(MAGIC))
    except CutShort as error:
        raise NoExport(f"it is no export of hitrate ({error})") from error
    if start != MAGIC:
        newer = start.startswith(MAGIC[:-2])
        raise NoExport("it is an export of a newer hitrate" if newer else "it is no export of hitrate")
    _read_frame(file)
    count = 0
    while (body := _read_frame(file)) is not None:
        count += 1
        record = _record(body) if body else None
        yield record or Damaged((), "", f"record {count} of the file does not match its checksum")
    if int.from_bytes(_read(file, _CHECKSUM), "big") != count:
        raise CutShort(f"it does not have as many records as it says, but {count}")
    if _goes_on(file):
        raise CutShort("more follows its end, such as another export, which is to be a file of its own")


def compressed(file: IO[bytes]) -> Any:
    """Return a file that writes into this one, compressed.

    Raises:
        ModuleNotFoundError: the extra ``zstd`` is not installed.
    """
    from hitrate.serde.zstd import zstd

    return zstd.ZstdFile(file, mode="wb")


def opened(file: IO[bytes]) -> Any:
    """Return a file that reads from this one, which may be compressed.

    Args:
        file: open for reading, and buffered.
    """
    if not file.peek(len(_ZSTD_MAGIC)).startswith(_ZSTD_MAGIC):  # type: ignore[attr-defined]
        return file
    from hitrate.serde.zstd import zstd

    return zstd.ZstdFile(file, mode="rb")


def _write_frame(file: IO[bytes], body: bytes) -> None:
    file.write(len(body).to_bytes(_LENGTH, "big"))
    file.write(body)
    file.write(xxh3_64_intdigest(body).to_bytes(_CHECKSUM, "big"))


def _read_frame(file: IO[bytes]) -> bytes | None:
    """Return the body of the next frame, empty if its checksum is wrong; None at the end."""
    length = int.from_bytes(_read(file, _LENGTH), "big")
    if not length:
        return None
    body = _read(file, length)
    stated = int.from_bytes(_read(file, _CHECKSUM), "big")
    return body if stated == xxh3_64_intdigest(body) else b""


def _read(file: IO[bytes], length: int) -> bytes:
    """Read so many bytes; a file that only says that so many follow does not have memory made for them."""
    parts = []
    while length:
        try:
            part = file.read(min(length, _READ_AT_ONCE))
        except (OSError, EOFError, ValueError) as error:
            raise CutShort(f"it cannot be read on: {error}") from error
        except Exception as error:  # zstd raises a class of its own, which may not be installed
            raise CutShort(f"it cannot be decompressed: {error}") from error
        if not part:
            raise CutShort(_ENDS)
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _goes_on(file: IO[bytes]) -> bool:
    try:
        return bool(_read(file, 1))
    except CutShort as error:
        return str(error) != _ENDS


def _record(body: bytes) -> Record | None:
    """Return the record of a body, whoever wrote it; None for what is none."""
    try:
        name, key, encoding, payload, created, expires, seconds = unpackb(body)
        if type(encoding) is not str or not encoding.isascii() or type(payload) is not bytes:
            return None
        took = seconds if type(seconds) is float and 0.0 <= seconds < _LONGEST_SECONDS else 0.0
        namespace, text = decode_namespace(name), decode_text(key)
        return Record(namespace, text, encoding, payload, _instant(created), _instant(expires), took)
    except (ValueError, TypeError, IndexError, AttributeError):
        return None


def _instant(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("it is no instant")
    return float(value)
