"""What a payload is made of, for people to read, where it cannot be restored: names of classes, fields, plain values.

Nothing is imported and no class is looked up: an instance is told by the name that is stored.
"""

from __future__ import annotations

from typing import Any

from ormsgpack import unpackb

from hitrate.errors import DecodeError
from hitrate.serde.depth import is_shallow
from hitrate.serde.instances import CLASS
from hitrate.serde.registry import DECODERS, Hook, load_core
from hitrate.serde.taught import TAUGHT

_DEEPEST = 16


class Instance:
    """An object of a class that was not looked up.

    Attributes:
        name: what is stored of its class, or the number of its extension.
        state: what is stored of it.
    """

    __slots__ = ("name", "state")

    def __init__(self, name: str, state: Any) -> None:
        self.name = name
        self.state = state

    def __repr__(self) -> str:
        return f"<{self.name} {self.state!r}>"


def structure_of(payload: bytes) -> Any:
    """Return plain data with an ``Instance`` wherever something else is stored.

    Args:
        payload: of an encoding that is msgpack.

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
            return Instance(f"extension {code}", f"{len(data)} bytes, nested deeply")
        below = _hook(depth - 1)
        decode = DECODERS.get(code)
        if decode is not None and code not in (CLASS, TAUGHT):
            try:
                return decode(data, below)
            except Exception:  # noqa: S110
                pass  # it holds something that only the program can restore; its parts are shown
        try:
            state = unpackb(data, ext_hook=below)
        except Exception:
            return Instance(f"extension {code}", data)
        if code in (CLASS, TAUGHT) and isinstance(state, list) and state and isinstance(state[0], str):
            return Instance(state[0].partition("#")[0], state[1:])
        return Instance(f"extension {code}", state)

    return hook
