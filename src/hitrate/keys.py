"""Keys: what a full key may be, and an injective encoding of it into bytes.

A namespace becomes its parts, each preceded by its length, so that no choice of characters can make two namespaces
meet, and the encoding of a namespace begins with the encoding of every namespace it extends. Text is UTF-8 with lone
surrogates passed through, which keeps distinct strings distinct.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn

from hitrate.base import FullKey, Namespace

EncodedKey = tuple[bytes, bytes]
"""The encoded namespace and the encoded key."""

_KNOWN_NAMESPACES = 4096
_LONGEST_LENGTH = 63  # bits


def _length(n: int) -> bytes:
    """Encode a length as an unsigned LEB128 varint."""
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def encode_text(text: str) -> bytes:
    """Encode any str injectively, lone surrogates included."""
    return text.encode("utf-8", "surrogatepass")


def encode_namespace(namespace: Namespace) -> bytes:
    """Encode a namespace injectively; the encoding of each shorter one that it extends is the beginning of its own."""
    parts = []
    for part in namespace:
        raw = encode_text(part)
        parts.append(_length(len(raw)))
        parts.append(raw)
    return b"".join(parts)


def after_all_under(beginning: bytes) -> bytes:
    """Return the first bytes, in their order, after all that begin with some, of which not all are 0xff."""
    kept = beginning.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1])


def decode_text(raw: bytes) -> str:
    """Return the text of an encoding that ``encode_text`` made."""
    return raw.decode("utf-8", "surrogatepass")


def decode_namespace(encoded: bytes) -> Namespace:
    """Return the namespace that ``encode_namespace`` was given.

    Raises:
        ValueError: it was given none that is encoded so.
        IndexError: likewise.
    """
    parts = []
    at = 0
    while at < len(encoded):
        length = shift = 0
        while True:
            byte = encoded[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > _LONGEST_LENGTH:
                raise ValueError("the length of a part of a namespace has more bytes than any has")
        if length > len(encoded) - at:
            raise ValueError("a part of a namespace is shorter than its length")
        parts.append(decode_text(encoded[at : at + length]))
        at += length
    return tuple(parts)


class NamespaceDecoder(dict[bytes, Namespace]):
    """Remembers the namespaces of the encodings in use, a bounded number of them."""

    def __missing__(self, encoded: bytes) -> Namespace:
        namespace = decode_namespace(encoded)
        if len(self) >= _KNOWN_NAMESPACES:
            self.clear()
        self[encoded] = namespace
        return namespace


def full_key_decoder() -> Callable[[bytes, bytes], FullKey]:
    """Return a function that returns the full key of an encoded namespace and an encoded key, whoever wrote these.

    It raises ValueError or IndexError if they are no encoding.
    """
    namespaces = NamespaceDecoder()
    return lambda name, key: (namespaces[name], decode_text(key))


def spelled(name: bytes, key: bytes) -> str:
    """Return how messages name the entry of an encoded namespace and an encoded key."""
    return f"namespace {decode_namespace(name)!r}, key {decode_text(key)!r}"


class NamespaceEncoder(dict[Namespace, bytes]):
    """Remembers the encodings of the namespaces in use, a bounded number of them.

    Args:
        first_use: called with a namespace when it is not among those that are remembered.
    """

    def __init__(self, first_use: Callable[[Namespace], None]) -> None:
        self._first_use = first_use

    def __missing__(self, namespace: Namespace) -> bytes:
        check_namespace(namespace)
        self._first_use(namespace)
        encoded = encode_namespace(namespace)
        if len(self) >= _KNOWN_NAMESPACES:
            self.clear()
        self[namespace] = encoded
        return encoded


def check_namespace(namespace: object) -> None:
    """Raise a TypeError that says what is wrong unless this is a tuple of str."""
    if isinstance(namespace, str):
        raise TypeError(
            f"a namespace is a tuple of str, not the str {namespace!r}, which would be read as a tuple of its letters; "
            f"write ({namespace!r},)"
        )
    if not isinstance(namespace, tuple):
        raise TypeError(f"a namespace is a tuple of str, not {described(namespace)}")
    for part in namespace:
        if not isinstance(part, str):
            raise TypeError(f"every part of a namespace is a str; {namespace!r} holds {described(part)}")


def check_key(full_key: object) -> None:
    """Raise a TypeError that says what is wrong unless this is a full key: ``(namespace, key)``."""
    if not isinstance(full_key, tuple) or len(full_key) != 2:
        raise TypeError(f"a full key is a tuple (namespace, key), not {described(full_key)}")
    namespace, key = full_key
    check_namespace(namespace)
    if not isinstance(key, str):
        raise TypeError(f"a key is a str; the one given with namespace {namespace!r} is {described(key)}")


def plain_key(full_key: FullKey) -> FullKey:
    """Return a full key made of tuple and str themselves, the one given if it is.

    A member of a StrEnum equals its text and has another hash: a dict would keep the two apart.

    Raises:
        TypeError: it is no ``(tuple of str, str)``.
    """
    if type(full_key) is tuple and len(full_key) == 2:
        namespace, key = full_key
        if type(namespace) is tuple and type(key) is str:
            for part in namespace:
                if type(part) is not str:
                    break
            else:
                return full_key
    check_key(full_key)
    namespace, key = full_key
    return tuple(map(str.__str__, namespace)), str.__str__(key)


def plain_keys(keys: Iterable[FullKey]) -> list[FullKey]:
    """Return full keys made of tuple and str themselves.

    Raises:
        TypeError: one is no ``(tuple of str, str)``, or a single key was given.
    """
    try:
        return [plain_key(full_key) for full_key in keys]
    except TypeError as error:
        refuse_keys(keys, error)


def check_namespaces(namespaces: Iterable[Namespace]) -> list[Namespace]:
    """Return the namespaces as a list; raise a TypeError that says what is wrong if one is not a tuple of str."""
    if isinstance(namespaces, (str, bytes, Mapping)) or not isinstance(namespaces, Iterable):
        raise TypeError(f"namespaces is a sequence of tuples of str, not {described(namespaces)}")
    listed = list(namespaces)
    if isinstance(namespaces, tuple) and listed and all(isinstance(part, str) for part in listed):
        raise TypeError(
            f"namespaces is a sequence of namespaces, not the single namespace {namespaces!r}; write [{namespaces!r}]"
        )
    for namespace in listed:
        check_namespace(namespace)
    return listed


def check_pairs(pairs: object) -> None:
    """Raise a TypeError unless this is a mapping of full keys to (value, TTL)."""
    if type(pairs) is not dict and not isinstance(pairs, Mapping):
        raise TypeError(f"pairs is a mapping of full keys to (value, TTL in seconds or None), not {described(pairs)}")


def refuse_keys(keys: Iterable[object], cause: BaseException) -> NoReturn:
    """Name what is wrong with full keys that could not be used; re-raise the cause if no key is to blame."""
    try:
        check_key(keys)
    except TypeError:
        pass
    else:
        given = _brief(keys)
        raise TypeError(f"keys is a sequence of full keys, not the single key {given}; write [{given}]") from cause
    for full_key in keys:
        check_key(full_key)
    raise cause


def refuse_pair(full_key: object, cause: BaseException) -> NoReturn:
    """Name what is wrong with an item of a mapping to store: its key, or what is not (value, TTL)."""
    check_key(full_key)
    raise TypeError(f"the entry of {full_key!r} is to be a tuple (value, TTL in seconds or None)") from cause


def described(value: object) -> str:
    """Return the repr of a value, shortened, and its type, for a message."""
    return f"{_brief(value)} of type {type(value).__name__}"


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."
