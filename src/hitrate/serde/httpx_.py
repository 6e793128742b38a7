"""Headers of httpx: the pairs as they came, and the encoding that they are read by."""

from __future__ import annotations

from typing import Any

from httpx import Headers

from hitrate.errors import DecodeError
from hitrate.serde.forms import Form
from hitrate.serde.registry import Refused, register_classes

# The encodings that httpx finds by itself. Any other could import a codec because stored data names it.
_ENCODINGS = frozenset({"ascii", "us-ascii", "utf-8", "utf8", "iso-8859-1", "latin-1", "latin1"})


def _form(cls: type) -> Form | None:
    return Form(cls, ["headers"], _dump, _restore, open=True) if cls is Headers else None


def _dump(obj: Any, mark: str) -> list[Any]:
    encoding = obj._encoding
    pairs = [[name, value] for name, _, value in obj._list]
    if not _are_whole(pairs, encoding) or vars(obj) != _attributes(pairs, encoding):
        raise Refused("it holds more than names and values in ASCII, UTF-8 or Latin-1")
    return [mark, pairs, encoding]


def _restore(state: list[Any]) -> Any:
    _, pairs, encoding = state
    if type(pairs) is not list or not _are_whole(pairs, encoding):
        raise DecodeError("stored headers are none")
    made: Any = object.__new__(Headers)
    made.__dict__ = _attributes(pairs, encoding)
    return made


def _attributes(pairs: list[Any], encoding: str | None) -> dict[str, Any]:
    return {"_list": [(name, name.lower(), value) for name, value in pairs], "_encoding": encoding}


def _are_whole(pairs: list[Any], encoding: Any) -> bool:
    """Tell whether headers can be read: httpx decodes them only when they are read."""
    if encoding is not None and (type(encoding) is not str or encoding.lower() not in _ENCODINGS):
        return False
    for pair in pairs:
        if type(pair) is not list or [*map(type, pair)] != [bytes, bytes]:
            return False
        try:
            b": ".join(pair).decode(encoding or "latin-1")
        except UnicodeDecodeError:
            return False
    return True


register_classes(_form)
