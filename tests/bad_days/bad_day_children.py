"""What the other processes of these tests do. Imports little, so that they start fast."""

from __future__ import annotations

import json
import os
from typing import Any

from hitrate import SqliteCache


def say(what: Any) -> None:
    """Say a line, in one piece."""
    os.write(1, (what if isinstance(what, str) else json.dumps(what)).encode() + b"\n")


def open_without_privilege(paths: list[str]) -> None:
    """Try to open files as somebody who owns none of them."""
    SqliteCache(path=":memory:").close()  # imports what is needed while that can still be read
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    told = []
    for path in paths:
        try:
            SqliteCache(path=path)
            told.append("opened")
        except Exception as error:
            told.append(type(error).__name__)
    say(told)
