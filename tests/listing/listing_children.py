"""What other processes do while a test lists what all of them share."""

from __future__ import annotations

import sys
import threading
from typing import Any

from hitrate import PostgresCache, RedisCache, SqliteCache

STAYS = [(("stays", str(number % 7)), str(number)) for number in range(3000)]


def opened(kind: str, at: str, **more: Any) -> Any:
    """Open the cache that is at a place."""
    if kind == "sqlite":
        return SqliteCache(path=at, on_error="raise", **more)
    if kind == "postgres":
        return PostgresCache(at, on_error="raise", timeout=60, connect_timeout=60, **more)
    return RedisCache(at, on_error="raise", timeout=60, connect_timeout=60, **more)


def disturb(number: int, place: dict[str, Any]) -> None:
    """Overwrite every other entry that stays; store, delete, clear and let expire others, until a line is said."""
    told = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), told.set()), daemon=True).start()
    turns = 0
    with opened(**place) as cache:
        while not told.is_set():
            turns += 1
            space = ("comes", f"{number} {turns % 5}")
            again = [STAYS[(turns * 14 + number * 2 + 70 * step) % len(STAYS)] for step in range(20)]
            cache.set(dict.fromkeys(again, (turns, None if turns % 2 else 3600)))
            cache.set({(space, f"{turns} {other}"): (turns, 0.001 if other % 3 else None) for other in range(20)})
            cache.delete([(space, f"{turns} {other}") for other in range(5)])
            if turns % 7 == 0:
                cache.clear([space])
            if turns % 11 == 0:
                cache.clear_under(("comes", f"{number} 0"))
            if turns == 12:
                print("going", flush=True)
    print(turns, flush=True)
