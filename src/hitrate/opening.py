"""A cache from a URL, so that an application takes it from one setting."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from hitrate.cache import Cache
from hitrate.compute.cache import ComputingCache

_CLASSES = {
    "memory": "InMemoryCache",
    "sqlite": "SqliteCache",
    **dict.fromkeys(["redis", "rediss", "unix", "valkey", "valkeys"], "RedisCache"),
    **dict.fromkeys(["postgresql", "postgres"], "PostgresCache"),
}
_REDIS_NAMES = {"valkey": "redis", "valkeys": "rediss"}

# A plus sign may be in a password or a path: what joins two tiers stands before a scheme.
_JOINT = re.compile(r"\+(?=(?:" + "|".join(_CLASSES) + r"):)", re.IGNORECASE)

_BEFORE_A_URL = "".join(map(chr, range(33)))  # the space and what is below it
_AFTER_A_URL = "\t\r\n"  # a line of a file of settings has them
_LEFT_OUT_OF_A_URL = re.compile(r"[\t\r\n]")
"""What Python, as browsers do, leaves out of a URL wherever it stands, so that two files would be one."""

_SCHEME = re.compile(r"[a-z][a-z0-9+]{0,20}(?=://)")


def _flag(text: str) -> bool:
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]


_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "max_bytes": int,
    "max_entries": int,
    "near_bytes": int,
    "default_ttl": float,
    "timeout": float,
    "connect_timeout": float,
    "durability": str,
    "on_error": str,
    "evict": str,
    "prefix": str,
    "table": str,
    "mode": lambda text: int(text, 8),
    "read_only": _flag,
}


_WANTED = {
    "max_bytes": "a whole number of bytes, such as 1000000000",
    "max_entries": "a whole number",
    "near_bytes": "a whole number of bytes",
    "mode": "an octal number, such as 660",
    "read_only": "1 or 0",
}


def open(url: str | Sequence[str], **options: Any) -> ComputingCache[Any]:
    """Return the cache that a URL names.

    ``memory:``, ``sqlite:///file.db`` (relative; four slashes for an absolute path), ``redis://``, ``rediss://`` or
    ``unix://`` as redis-py reads them, ``postgresql://`` as libpq does. Several, joined by ``+`` or in a list, are the
    tiers of a ``TieredCache``, near to far: ``memory:+redis://localhost``.

    Options of a cache may stand in its query: ``sqlite:///file.db?max_bytes=1000000&durability=full``,
    ``sqlite:///file.db?mode=660`` (octal) or ``?read_only=1``; what is no option of hitrate is left to the driver.
    In a name ``#``, ``?`` and ``%`` are written as ``%23``, ``%3F`` and ``%25``.

    Args:
        url: one URL, or a sequence of them.
        options: further arguments of the cache, as ``serde``; with several tiers, of each that has them.

    Returns:
        An ``InMemoryCache``, ``SqliteCache``, ``RedisCache``, ``PostgresCache`` or ``TieredCache``.

    Raises:
        TypeError: the URL is no str, or no cache has such an option.
        ValueError: the URL names no cache, or an option in it is not of its type.
        ModuleNotFoundError: the extra that the cache needs is not installed; the message names it.
    """
    import hitrate

    return open_from(hitrate, url, options)


def open_from(home: ModuleType, url: str | Sequence[str], options: dict[str, Any]) -> ComputingCache[Any]:
    """Do ``open`` with the classes of a package.

    Args:
        home: ``hitrate`` or ``hitrate.langgraph``.
        url: one URL, or a sequence of them.
        options: further arguments.
    """
    if isinstance(url, str):
        urls = urls_of(url)
    elif isinstance(url, Sequence) and all(isinstance(each, str) for each in url):
        urls = [part for each in url for part in urls_of(each)]
    else:
        raise TypeError(
            f"a cache is opened by a URL or a sequence of them, all str, not by one of type {type(url).__name__}"
        )
    plans = [_plan(home, each) for each in urls]
    if not plans:
        raise ValueError("no URL was given; memory: is the simplest")
    if len(plans) == 1:
        (cls, argument, query) = plans[0]
        return _make(cls, argument, {**query, **options})
    tiered = home.TieredCache
    takes = {cls: _parameters(cls) for cls, _, _ in plans}
    for name in options:
        if name not in _parameters(tiered) and not any(name in known for known in takes.values()):
            raise TypeError(f"none of the tiers {', '.join(cls.__name__ for cls in takes)} has an option {name!r}")
    tiers: list[Cache[Any]] = []
    try:
        for cls, argument, query in plans:
            shared = {name: value for name, value in options.items() if name in takes[cls]}
            tiers.append(_make(cls, argument, {**shared, **query}))
        cache: ComputingCache[Any] = tiered(
            *tiers, **{name: value for name, value in options.items() if name in _parameters(tiered)}
        )
    except BaseException:
        for tier in tiers:
            tier.close()
        raise
    return cache


def urls_of(url: str) -> list[str]:
    """Return the URLs of the tiers, near to far, or the one of a cache without tiers; the schemes in lower case."""
    return [_with_plain_scheme(each) for each in _JOINT.split(url.lstrip(_BEFORE_A_URL).rstrip(_AFTER_A_URL))]


def _with_plain_scheme(url: str) -> str:
    scheme, colon, rest = url.partition(":")
    return f"{scheme.lower()}{colon}{rest}" if scheme.lower() in _CLASSES else url


def _plan(home: ModuleType, url: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return the class that a URL names, the argument that says where, and the options in its query.

    No message has anything of the URL but its scheme: wherever it is taken apart wrongly, a piece may be of a password.
    """
    if _LEFT_OUT_OF_A_URL.search(url):
        raise ValueError("a URL has a tab or a line break in it; in a name write it as %09, %0A or %0D")
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    if parts is None:
        raise ValueError("a URL cannot be understood: it has brackets around no IPv6 address, or unusual characters")
    scheme = parts.scheme
    if scheme not in _CLASSES:
        given = _SCHEME.match(url)
        said = f"{given[0]}://" if given else "what was given"
        known = ", ".join(f"{name}:" for name in _CLASSES)
        raise ValueError(
            f"{said} names no cache; a URL begins with one of {known}; for a file write sqlite:///cache.db"
        )
    if scheme not in ("memory", "sqlite") and not url.partition(":")[2].startswith("//"):
        # With one slash only, user and password would be taken for a path, and be shown.
        raise ValueError(f"a URL of {_CLASSES[scheme]} begins with {scheme}:// and not with {scheme}: alone")
    if "#" in url.partition("?")[2] or (scheme in ("memory", "sqlite") and "#" in url):
        raise ValueError(f"the URL of {_CLASSES[scheme]} has a #, and what follows that is not looked at; write %23")
    cls = getattr(home, _CLASSES[scheme])
    known_options = _FROM_TEXT.keys() & _parameters(cls)
    options: dict[str, Any] = {}
    rest: list[tuple[str, str]] = []
    for name, text in parse_qsl(parts.query, keep_blank_values=True, errors="surrogateescape"):
        if name not in known_options:
            rest.append((name, text))
            continue
        with suppress(ValueError, KeyError):
            options[name] = None if text.lower() == "none" else _FROM_TEXT[name](text)
        if name not in options:
            raise ValueError(f"{name} in the URL of {_CLASSES[scheme]} is to be {_WANTED.get(name, 'a number')}")
    if scheme in ("memory", "sqlite"):
        if rest:
            options_known = ", ".join(sorted(known_options))
            # an option of hitrate's own, so the message may show it
            near = get_close_matches(rest[0][0], known_options, 1)
            meant = f"; is {near[0]} meant?" if near else ""
            raise ValueError(f"the URL of {_CLASSES[scheme]} gives an option that is none of {options_known}{meant}")
        return cls, _place(scheme, url, parts.netloc, parts.path), options
    # An @ is not quoted: by it the class notices that a password was cut.
    query = urlencode(rest, safe="@", errors="surrogateescape")
    driver = urlunsplit((_REDIS_NAMES.get(scheme, scheme), parts.netloc, parts.path, query, parts.fragment))
    if not driver.partition(":")[2].startswith("//"):  # urlunsplit drops an empty host
        driver = driver.replace(":", "://", 1)
    return cls, {"": driver}, options


def _place(scheme: str, url: str, host: str, path: str) -> dict[str, Any]:
    if scheme == "memory":
        if host or path:
            raise ValueError("the URL is to be memory: and nothing more; a cache in memory has no place")
        return {}
    if host:
        raise ValueError("the URL of SqliteCache names a host; a file is sqlite:///relative or sqlite:////absolute")
    # A name that is not in UTF-8 is the str that the system's calls have for it.
    path = unquote(path[1:] if url.startswith("sqlite://") else path, errors="surrogateescape")
    if not path:
        raise ValueError("the URL of SqliteCache names no file; write sqlite:///cache.db")
    return {"path": path}


def _make(cls: Any, place: dict[str, Any], options: dict[str, Any]) -> ComputingCache[Any]:
    for name in options:
        if name not in _parameters(cls):
            raise TypeError(f"{cls.__name__} has no option {name!r}")
    cache: ComputingCache[Any] = cls(place[""], **options) if "" in place else cls(**place, **options)
    return cache


def _parameters(cls: Any) -> set[str]:
    return {
        name
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
