"""Namespaces as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from hitrate.cli import arguments


def name_of(namespace: Sequence[str]) -> str:
    """Return a namespace in a line, as it can be given to the command."""
    return arguments.name_of(tuple(namespace)) if namespace else "(the empty namespace)"
