"""What a campaign is given, and what it returns."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from hitrate import InMemoryCache, PostgresCache, RedisCache, SqliteCache, TieredCache

KINDS = ("memory", "sqlite", ":memory:", "valkey", "postgres", "tiers", "tiers over valkey", "tiers over postgres")


@dataclass
class Result:
    """What came of a campaign.

    Attributes:
        operations: how many were carried out.
        figures: what was measured, by what it is.
        violations: what was promised and not kept.
    """

    operations: int = 0
    figures: dict[str, str] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


class Campaign:
    """One run of a campaign.

    Args:
        seconds: how long it is to take, about.
        seed: of what it does by chance.
        tell: shows how far it is.
    """

    def __init__(self, seconds: float, seed: int, tell: Callable[[str], None]) -> None:
        self.seconds = seconds
        self.random = random.Random(seed)
        self.result = Result()
        self._tell = tell
        self._stack = ExitStack()
        self._valkey: Any = None
        self._postgres: Any = None

    def __enter__(self) -> Campaign:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hitrate-torture-")))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def tell(self, text: str) -> None:
        """Show how far it is."""
        self._tell(f"{text}, {self.result.operations:,} operations, {len(self.result.violations)} violations")

    def violated(self, what: str) -> None:
        """Note that something was not as promised."""
        self.result.violations.append(what)

    def shares(self, kinds: tuple[str, ...]) -> Iterator[tuple[str, float]]:
        """Yield each kind of cache and its share of the seconds."""
        for kind in kinds:
            yield kind, self.seconds / len(kinds)
            self.tell(kind)

    @property
    def valkey(self) -> Any:
        """A Valkey server of this campaign's own."""
        if self._valkey is None:
            from tests.servers import valkey

            self._valkey = valkey.Server().start()
            self._stack.callback(self._valkey.remove)
        return self._valkey

    @property
    def postgres(self) -> Any:
        """A PostgreSQL server of this campaign's own."""
        if self._postgres is None:
            from tests.servers import postgres

            self._postgres = postgres.PostgresServer()
            self._stack.callback(self._postgres.remove)
        return self._postgres

    @contextmanager
    def cache(self, kind: str) -> Iterator[Any]:
        """Have an empty cache of a kind."""
        with make(kind, self.where(kind)) as cache:
            yield cache

    def where(self, kind: str) -> str:
        """Return the path or URL of something new and empty for a kind of cache."""
        name = uuid4().hex
        if kind.endswith("valkey"):
            return f"{self.valkey.url} {name}:"
        if kind.endswith("postgres"):
            return f"{self.postgres.url} t{name}"
        return str(self.folder / name)


def make(kind: str, where: str) -> Any:
    """Open a cache, also in another process: ``where`` is what ``Campaign.where`` returned."""
    cache: Any
    if kind == "memory":
        return InMemoryCache()
    if kind == ":memory:":
        return SqliteCache(path=":memory:")
    if kind.endswith(("sqlite", "tiers")):
        cache = SqliteCache(path=where)
    elif kind.endswith("valkey"):
        url, prefix = where.split()
        cache = RedisCache(url, prefix=prefix)
    else:
        url, table = where.split()
        cache = PostgresCache(url, table=table)
    return TieredCache(InMemoryCache(), cache) if kind.startswith("tiers") else cache
