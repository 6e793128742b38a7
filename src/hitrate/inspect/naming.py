"""Namespaces as people read them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hitrate.cli.printing import one_line


def name_of(namespace: Sequence[str]) -> str:
    """Return a namespace in a line: its parts joined by a slash, one that would mislead as a JSON array."""
    if not namespace:
        return "(the empty namespace)"
    if all(part and "/" not in part for part in namespace) and not namespace[0].startswith("["):
        return one_line("/".join(namespace))
    return one_line(json.dumps(list(namespace), ensure_ascii=False))
