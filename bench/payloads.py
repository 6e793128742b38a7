"""The values that are cached, and the least that it takes to turn them into bytes and back.

Every value differs from the others of its kind, so that nothing gains by having seen it before.
"""

from __future__ import annotations

import string
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from ormsgpack import packb, unpackb

FullKey = tuple[tuple[str, ...], str]

NAMESPACE = ("__pregel_ns_writes", "bench.nodes.answer", "answer")
"""A namespace as LangGraph makes them."""


@dataclass(frozen=True)
class Payload:
    """A kind of value.

    ``dumps`` and ``loads`` are what the raw limits use: ormsgpack and, for a message, its instance state.
    """

    name: str
    title: str
    make: Callable[[int, Random], Any]
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


def text(rng: Random, length: int) -> str:
    """Return a text of letters and spaces."""
    return "".join(rng.choices(string.ascii_letters + "      ", k=length))


def _writes(number: int, rng: Random) -> Any:
    from langchain_core.messages import AIMessage

    return deque([("messages", [AIMessage(text(rng, 200))]), ("branch:to:b", None)])


def _nested(number: int, rng: Random) -> dict[str, Any]:
    return {
        "id": number,
        "title": text(rng, 20),
        "score": rng.random(),
        "tags": [text(rng, 6) for _ in range(5)],
        "body": text(rng, 560),
        "meta": {
            "author": text(rng, 12),
            "year": 2026,
            "ok": True,
            "none": None,
            "at": {"x": rng.random(), "y": [1, 2, 3]},
        },
        "items": [{"k": k, "v": text(rng, 14)} for k in range(10)],
    }


def _string(number: int, rng: Random) -> str:
    return text(rng, 20_000)


def _floats(number: int, rng: Random) -> list[float]:
    return [rng.gauss(0.0, 1.0) for _ in range(1536)]


def _row(number: int, rng: Random) -> dict[str, Any]:
    return {"id": number, "score": rng.random(), "label": text(rng, 60), "tags": ["a", "b"]}


def _dumps_writes(writes: Any) -> bytes:
    return packb([(channel, value and [message.__dict__ for message in value]) for channel, value in writes])


def _loads_writes(data: bytes) -> Any:
    return deque([(channel, value and [_message(state) for state in value]) for channel, value in unpackb(data)])


def _message(state: dict[str, Any]) -> Any:
    """Restore a message without its constructor, as unpickling does: nothing slower can be a limit."""
    from langchain_core.messages import AIMessage

    message = AIMessage.__new__(AIMessage)
    put = object.__setattr__
    put(message, "__dict__", state)
    put(message, "__pydantic_fields_set__", {"content"})
    put(message, "__pydantic_extra__", None)
    put(message, "__pydantic_private__", None)
    return message


PAYLOADS = {
    payload.name: payload
    for payload in (
        Payload("M", "LangGraph writes, one AIMessage of 200 characters", _writes, _dumps_writes, _loads_writes),
        Payload("D", "dict of about 1 KB", _nested, packb, unpackb),
        Payload("S", "str of 20 KB", _string, packb, unpackb),
        Payload("F", "list of 1,536 floats", _floats, packb, unpackb),
        Payload("R", "dict of about 110 bytes", _row, packb, unpackb),
    )
}


def new_key(rng: Random, namespace: tuple[str, ...] = NAMESPACE) -> FullKey:
    """Return a key never seen before, of the length of LangGraph's."""
    return namespace, f"{rng.getrandbits(128):032x}"


def fresh(key: FullKey) -> FullKey:
    """Return an equal key of other objects: a caller asks with keys that it has made itself."""
    namespace, name = key
    return (*namespace[:1], *namespace[1:]), name[:1] + name[1:]
