"""What a payload is made of, for people to read: names of classes, fields, plain values.

Nothing is imported and no class is looked up: an instance is told by the name that is stored, and what an optional
library made by its outline, whether the library is there or not.
"""

from __future__ import annotations

from typing import Any

from ormsgpack import unpackb

from hitrate.errors import DecodeError
from hitrate.serde.depth import is_shallow
from hitrate.serde.instances import CLASS, Classes
from hitrate.serde.msgpack import MsgpackSerializer
from hitrate.serde.outlines import LIBRARIES, Instance, instance_of, name_of_extension, outline
from hitrate.serde.packing import unpacker
from hitrate.serde.registry import DECODERS, Hook, load_core
from hitrate.serde.taught import TAUGHT

_DEEPEST = 16
_BYTES_TOLD = 200


class CoreSerializer(MsgpackSerializer):
    """Restores values of the standard library's types, and refuses those of libraries that the program has imported."""

    def __init__(self) -> None:
        super().__init__(types=[])
        of_core = {code: decode for code, decode in DECODERS.items() if code not in LIBRARIES}
        self._hook = unpacker(of_core, Classes(frozenset()))


def structure_of(payload: bytes) -> Any:
    """Return the plain data of a msgpack payload, with an ``Instance`` wherever something else is stored.

    Raises:
        DecodeError: it is no msgpack, or nested too deeply.
    """
    load_core()
    try:
        if not is_shallow(payload):
            raise DecodeError("it is nested too deeply to be shown")
        return unpackb(payload, ext_hook=_hook(_DEEPEST))
    except DecodeError:
        raise
    except Exception as error:
        raise DecodeError(f"it is no msgpack: {error}") from error


def _hook(depth: int) -> Hook:
    def hook(code: int, data: bytes) -> Any:
        if depth == 0 or not is_shallow(data):
            return Instance(name_of_extension(code), f"{len(data)} bytes, nested deeply")
        read: dict[tuple[int, bytes], Any] = {}

        def below(code: int, data: bytes) -> Any:
            # Read once, however often the document around it is: else a few bytes could take years.
            nested = code, data
            if nested not in read:
                read[nested] = _hook(depth - 1)(code, data)
            return read[nested]

        for tell in (_core_value, outline, _instance):
            try:
                return tell(code, data, below)
            except Exception:  # noqa: S112 - it is not what it says, or what is nested in it is told and not restored
                continue
        try:
            state = unpackb(data, ext_hook=below)
        except Exception:
            state = f"{len(data)} bytes, the first: {data[:_BYTES_TOLD]!r}"
        return Instance(name_of_extension(code), state)

    return hook


def _core_value(code: int, data: bytes, hook: Hook) -> Any:
    if code in LIBRARIES or code in (CLASS, TAUGHT):
        raise LookupError(code)
    return DECODERS[code](data, hook)


def _instance(code: int, data: bytes, hook: Hook) -> Instance:
    if code not in (CLASS, TAUGHT):
        raise LookupError(code)
    name, *parts = unpackb(data, ext_hook=hook)
    return instance_of(name.partition("#")[0], parts)
