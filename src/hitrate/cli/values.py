"""Shows a stored value to people, or as JSON, without importing the program that stored it."""

from __future__ import annotations

import math
from pprint import pformat
from typing import Any

from hitrate.envelope import opened
from hitrate.errors import DecodeError
from hitrate.serde.outlines import MORE, Instance
from hitrate.serde.structure import CoreSerializer, structure_of

_SHOWN_BYTES = 200
_LONGEST_NUMBER = 12_000  # bits; Python refuses to write 4300 decimal digits


def decoded(encoding: str, payload: bytes) -> tuple[Any, bool]:
    """Return what can be told of a value, and whether it is the value itself; its encoding may be in an envelope.

    Only values of the standard library's types are restored, whatever this process has imported. So the command and an
    inspector within the program show the same.
    """
    try:
        envelope, encoding = opened(encoding)
        encoding, payload = _decompressed(encoding, payload)
    except DecodeError as error:
        return Instance(encoding, str(error)), False
    if not envelope.error:
        try:
            return CoreSerializer().loads_typed((encoding, payload)), True
        except DecodeError:
            pass
    if encoding not in ("msgpack", "writes"):
        return Instance(encoding, payload[:_SHOWN_BYTES]), False
    try:
        value = structure_of(payload)
    except DecodeError as error:
        return Instance(encoding, str(error)), False
    if encoding == "writes" and type(value) is list and len(value) % 2 == 0:
        value = [*zip(value[::2], value[1::2], strict=True)]
    if envelope.error and type(value) is tuple and value and type(value[0]) is str:
        value = Instance(value[0], [*value[1:]], "an exception, which is raised again")
    return value, False


def _decompressed(encoding: str, payload: bytes) -> tuple[str, bytes]:
    if not encoding.startswith("zstd+"):
        return encoding, payload
    try:
        from hitrate.serde.zstd import ZstdSerializer
    except ImportError as error:
        raise DecodeError(
            "it is compressed, and the extra zstd is not installed: pip install '.[zstd]' in hitrate's folder"
        ) from error
    return encoding.removeprefix("zstd+"), ZstdSerializer().decompressed(payload)


def spelled(value: Any) -> str:
    """Return a value as text: a str as it is, anything else as Python writes it."""
    if isinstance(value, str):
        return value
    try:
        return pformat(value, width=100, sort_dicts=False)
    except RecursionError:
        return "it is nested too deeply to be shown"
    except ValueError:  # Python does not write so long a number in decimal
        return pformat(_without_long_numbers(value), width=100, sort_dicts=False)


def _without_long_numbers(value: Any) -> Any:
    """Return plain data with long numbers as hexadecimal text; all else stays as it is."""
    if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER:
        return hex(value)
    if isinstance(value, dict):
        return {_without_long_numbers(key): _without_long_numbers(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_without_long_numbers(each) for each in value]
    return value


def plainly(value: Any) -> Any:
    """Return a value as JSON has it; as text if JSON has no form for it."""
    try:
        return _plainly(value)
    except RecursionError:
        return "it is nested too deeply to be shown"


def _plainly(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER:
        return hex(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plainly(each) for key, each in value.items()}
    if isinstance(value, dict):
        return [[_plainly(key), _plainly(each)] for key, each in value.items()]
    if type(value).__name__ == "deque" or isinstance(value, (list, tuple)):
        return [_plainly(each) for each in value]
    if isinstance(value, Instance):
        about = {"about": value.about} if value.about else {}
        return {"class": value.name, **about, "state": _plainly(value.state if value.parts is None else value.parts)}
    return str(MORE) if value is MORE else repr(value)
