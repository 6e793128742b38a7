"""What the commands are given: caches, namespaces, spans of time and sizes."""

from __future__ import annotations

import json
import re

import click

from hitrate.base import Namespace
from hitrate.cli.printing import array_text, is_plain, quoted

_SHORT_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|.)", re.DOTALL)
"""An escape: of a character below 256 in the form that JSON does not have, or another one."""
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def namespace_of(text: str | Namespace) -> Namespace:
    """Return the namespace that is meant: a JSON array of strings, or parts joined by ``/``, none of them empty."""
    if isinstance(text, tuple):
        return text
    if not text.startswith("["):
        # An empty text is a shell's variable that is not set more often than the namespace without parts, which is all.
        if not all(parts := text.split("/")):
            raise click.BadParameter(f"{text[:80]!r} has an empty part; if that is meant, write {json.dumps(parts)}")
        return tuple(parts)
    try:
        parts = json.loads(text)
    except (ValueError, RecursionError):
        raise click.BadParameter(f"{text[:80]!r} begins as a JSON array and is none; write '[\"part\"]'") from None
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise click.BadParameter(f"{text[:80]!r} is no JSON array of strings")
    return tuple(parts)


def key_of(text: str) -> str:
    """Return the key that is meant: the text, or what stands in quotation marks if it begins with one."""
    if not text.startswith('"'):
        return text
    try:
        key = json.loads(_SHORT_ESCAPE.sub(lambda found: f"\\u00{found[1]}" if found[1] else found[0], text))
    except ValueError:
        hint = f"write {quoted(text[:80])} if it is the key"
        raise click.BadParameter(f"{text[:80]!r} begins with a quotation mark and is no JSON string; {hint}") from None
    return str(key)


def seconds_of(text: str) -> float:
    """Return the seconds of ``90s``, ``30min``, ``12h``, ``7d`` or ``2w``."""
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?) ?([a-z]*)", text)
    if not found or found[2] not in _SECONDS:
        raise click.BadParameter(f"{text!r} is no span of time; write 90s, 30min, 12h, 7d or 2w")
    return float(found[1]) * _SECONDS[found[2]]


def bytes_of(text: str) -> int:
    """Return the bytes of ``500``, ``10kB``, ``1MB`` or ``1MiB``."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?) ?([a-z]*)", text.lower())
    if not found or found[2] not in _BYTES:
        raise click.BadParameter(f"{text!r} is no size; write 500, 10kB, 1MB or 1MiB")
    return int(float(found[1]) * _BYTES[found[2]])


def name_of(namespace: Namespace) -> str:
    """Return a namespace as it can be given to a command: parts joined by ``/``, or the JSON array."""
    joined = "/".join(namespace)
    if is_plain(joined, "[") and all(part and "/" not in part for part in namespace):
        return joined
    return array_text([*namespace])


cache_argument = click.argument("url", metavar="URL")
json_option = click.option("--json", "json_", is_flag=True, help="Print JSON.")
