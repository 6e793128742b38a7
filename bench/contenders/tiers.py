"""Tiers, and the farther one of them alone."""

from __future__ import annotations

from bench.contenders import files
from bench.contenders.base import Contender, Documented

ALONE = "SqliteCache alone"


class Hitrate(Documented):
    name = "hitrate"

    def open(self) -> None:
        from hitrate import InMemoryCache, SqliteCache, TieredCache

        path = files.file_in(self.folder)
        self.cache = TieredCache(InMemoryCache(), SqliteCache(path=path, durability=self.durability))

    def close(self) -> None:
        self.cache.close()


class Alone(files.Hitrate):
    name = ALONE
    note = "hitrate's own, the farther of the two tiers"


TIERS: dict[str, type[Contender]] = {kind.name: kind for kind in (Hitrate, Alone)}
