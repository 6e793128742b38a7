"""The default serializer: exact, safe and fast, on msgpack."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ormsgpack import packb, unpackb

from hitrate.errors import DecodeError
from hitrate.serde.instances import CLASS, Classes
from hitrate.serde.packing import decode_error, packer, unpacker
from hitrate.serde.registry import DECODERS, ENCODERS, Decode, Refused, Rule, discover, load_core, rule_of
from hitrate.serde.rewriting import rewrite
from hitrate.serde.taught import TAUGHT, decoder


class MsgpackSerializer:
    """Restores a value exactly as it was stored, value and type, all the way down, or says that it cannot.

    Stored bytes are treated as hostile: nothing is imported, and no code of a stored class is run, to restore them.

    Args:
        types: the classes that may be stored and restored: dataclasses, NamedTuples, enums, attrs and msgspec classes,
            pydantic models (LangChain's and LangGraph's included) and those given to ``register``; None allows those
            of every module that the program has imported.

    Attributes:
        pack: returns the payload of the encoding ``"msgpack"`` for most values, and raises for the others, which
            ``dumps_typed`` knows how to write or to refuse.
    """

    def __init__(self, *, types: Iterable[type] | None = None) -> None:
        """Make a serializer, which keeps no state and may be shared by threads."""
        load_core()
        allowed = None if types is None else _checked(types)
        classes = Classes(allowed)
        self._rules = _FoundRules(classes, allowed)
        self.pack: Callable[[Any], bytes] = packer(self._rules)
        self._hook = unpacker(_FoundDecoders({**DECODERS, TAUGHT: decoder(allowed)}), classes)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return ``(encoding, payload)`` for a value.

        Args:
            obj: the value; it is not changed.

        Returns:
            One of ``("null", b"")``, ``("bytes", ...)``, ``("writes", ...)`` (a deque of pairs, what a LangGraph node
            leaves) and ``("msgpack", ...)``.

        Raises:
            SerializationError: something in the value cannot be stored exactly; the message names its type and place.
        """
        kind = type(obj)
        if kind is bytes:
            return "bytes", obj
        if obj is None:
            return "null", b""
        try:
            if kind is str:
                return "msgpack", packb(obj)  # read back twice as fast as by bytes.decode
            if kind is deque and obj.maxlen is None:
                flat: list[Any] = []
                for pair in obj:
                    if type(pair) is not tuple or len(pair) != 2:
                        break
                    flat += pair
                else:
                    return "writes", self.pack(flat)
            return "msgpack", self.pack(obj)
        except (TypeError, ValueError, RuntimeError, Refused):
            return "msgpack", rewrite(obj, self._rules)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value of an ``(encoding, payload)`` pair.

        Args:
            data: what ``dumps_typed`` returned; a payload may also be a memoryview.

        Returns:
            A value of its own, equal to the stored one; bytes are returned as they are.

        Raises:
            DecodeError: the pair cannot be restored exactly, whatever the reason.
        """
        encoding, payload = data
        try:
            if encoding == "msgpack":
                return unpackb(payload, ext_hook=self._hook)
            if encoding == "writes":
                flat = unpackb(payload, ext_hook=self._hook)
                if type(flat) is list and not len(flat) % 2:
                    parts = iter(flat)
                    return deque(zip(parts, parts))  # noqa: B905 - the length is known to be even
                raise DecodeError("the stored writes are not pairs")
        except Exception as exc:
            raise decode_error(exc) from exc
        if encoding == "bytes":
            return payload if type(payload) is bytes else _as_bytes(payload)
        if encoding == "null" and not payload:
            return None
        raise DecodeError(f"unknown encoding {encoding!r}")

    def unpack(self, payload: bytes) -> Any:
        """Return the value of a payload of the encoding ``"msgpack"``; what it raises may be any exception."""
        return unpackb(payload, ext_hook=self._hook)


class _FoundRules(dict[type, Rule]):
    """How each type is written, found when the first value of the type is stored."""

    def __init__(self, classes: Classes, allowed: frozenset[type] | None) -> None:
        super().__init__(ENCODERS)
        self._classes = classes
        self._allowed = allowed

    def __missing__(self, cls: type) -> Rule:
        rule = rule_of(cls) or (CLASS, self._classes.encoder(cls))
        if rule[0] == TAUGHT and self._allowed is not None and cls not in self._allowed:
            raise Refused("it is not among the types that this serializer was given")
        self[cls] = rule
        return rule


class _FoundDecoders(dict[int, Decode]):
    """How each extension code is read, found when the first value of a library is restored."""

    def __missing__(self, code: int) -> Decode:
        discover()
        decode = DECODERS.get(code)
        if decode is None:
            raise DecodeError(f"extension code {code} is not known, or its library is not imported")
        self[code] = decode
        return decode


def _checked(types: Iterable[type]) -> frozenset[type]:
    """Return the classes that a serializer is given.

    Raises:
        TypeError: they are not an iterable of classes.
    """
    if isinstance(types, (str, type)) or not isinstance(types, Iterable):
        raise TypeError(f"types is a list of classes, not {types!r} of type {type(types).__name__}")
    listed = list(types)
    for each in listed:
        if not isinstance(each, type):
            raise TypeError(f"types is a list of classes, and holds {each!r} of type {type(each).__name__}")
    return frozenset(listed)


def _as_bytes(payload: Any) -> bytes:
    if not isinstance(payload, (bytearray, memoryview)):
        raise DecodeError(f"the payload is a {type(payload).__name__}, not bytes")
    return bytes(payload)


_default: MsgpackSerializer | None = None


def default_serializer() -> MsgpackSerializer:
    """Return the process-wide ``MsgpackSerializer`` that caches use when none is given."""
    global _default  # noqa: PLW0603
    if _default is None:
        _default = MsgpackSerializer()
    return _default
