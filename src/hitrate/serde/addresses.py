"""IP addresses, networks and interfaces: stored as text, made of numbers.

The constructors of ``ipaddress`` read text in Python, an interface's twice, in some 5 us for as many bytes. From
numbers they make the same objects in 2, and the operating system reads the text.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from hitrate.errors import DecodeError
from hitrate.keys import decode_text, encode_text
from hitrate.serde.registry import Hook, Pack, register

ADDRESS = 63

# A position in this list is part of the format: only ever append.
_TYPES: list[Any] = [
    *(ipaddress.IPv4Address, ipaddress.IPv4Network, ipaddress.IPv4Interface),
    *(ipaddress.IPv6Address, ipaddress.IPv6Network, ipaddress.IPv6Interface),
]
_OF_SIX = frozenset(_TYPES[3:])
_ADDRESSES = (ipaddress.IPv4Address, ipaddress.IPv6Address)


def _encode(obj: Any, pack: Pack) -> bytes:
    return bytes([_TYPES.index(type(obj))]) + encode_text(str(obj))


def _decode(data: bytes, hook: Hook) -> Any:
    cls = _TYPES[data[0]]
    text, slash, prefix = decode_text(data[1:]).partition("/")
    text, percent, scope = text.partition("%")
    number = int.from_bytes(socket.inet_pton(socket.AF_INET6 if cls in _OF_SIX else socket.AF_INET, text), "big")
    if cls in _ADDRESSES:
        if slash:
            raise DecodeError("a stored address is none")
        made = cls(number)
    else:
        if not (prefix.isascii() and prefix.isdecimal() and len(prefix) <= 3):
            raise DecodeError("the stored prefix of a network is none")
        made = cls((number, int(prefix)))
    if percent:
        _put_scope(made, scope)
    return made


def _put_scope(made: Any, scope: str) -> None:
    """Give an address, or what has one, the scope that it was written with, as the constructor would have."""
    if made.version != 6 or not scope or "%" in scope:
        raise DecodeError("the stored scope of an address is none")
    if isinstance(made, ipaddress.IPv6Network):
        made.network_address._scope_id = scope  # type: ignore[attr-defined]
        return
    made._scope_id = scope
    if isinstance(made, ipaddress.IPv6Interface) and int(made.network.network_address) == int(made):
        made.network.network_address._scope_id = scope  # type: ignore[attr-defined]


register(ADDRESS, _decode, types=_TYPES, encode=_encode)
