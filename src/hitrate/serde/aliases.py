"""Types with arguments as values, such as ``list[int]`` or ``Box[int]``: by the names of the classes in them."""

from __future__ import annotations

import json
from typing import Any

from hitrate.errors import DecodeError
from hitrate.serde.references import KINDS, spec_of, type_of
from hitrate.serde.registry import Hook, Pack, Refused, register

ALIAS = 10


def _encode(obj: Any, pack: Pack) -> bytes:
    spec = spec_of(obj)
    try:
        same: Any = type_of(spec)
    except (DecodeError, TypeError):
        same = None
    if type(same) is not type(obj) or same != obj or spec_of(same) != spec:
        raise Refused(f"the type {obj} cannot be stored")
    return json.dumps(spec, separators=(",", ":")).encode()


def _decode(data: bytes, hook: Hook) -> Any:
    spec = json.loads(data)
    made = type_of(spec)
    if type(made) not in KINDS or spec_of(made) != spec:
        raise DecodeError("a stored type is none")
    return made


register(ALIAS, _decode, types=KINDS, encode=_encode)
