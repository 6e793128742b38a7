"""What the processes of a team do: they compute what they are ordered to, and say how it goes. Imports little."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hitrate import InMemoryCache, SqliteCache, TieredCache, cached
from hitrate.base import FullKey
from hitrate.compute import leading
from hitrate.testing import Clock

_caches: dict[str, Any] = {}


def say(*what: Any) -> None:
    """Say a line, in one piece."""
    os.write(1, json.dumps(what).encode() + b"\n")


def key_of(name: str) -> FullKey:
    return (("computed",), name)


class FileClock(Clock):
    """A clock that stands at what a file says, for all processes."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def __call__(self) -> float:
        return float(self._path.read_text())


class SayingPause(leading._Pause):
    """Says, once for each order, that somebody waits for another process."""

    said = False

    def _say(self) -> None:
        if not self.said:
            self.said = True
            say("waiting")

    def pause(self, seconds: float) -> None:
        self._say()
        super().pause(seconds)

    async def apause(self, seconds: float) -> None:
        self._say()
        await super().apause(seconds)


pause = leading._PAUSE = SayingPause()


def opened(where: dict[str, Any]) -> Any:
    """Return the cache that is described so, the same each time."""
    name = json.dumps(where)
    if name not in _caches:
        _caches[name] = _open(**where)
    return _caches[name]


def _open(kind: str, at: str, clock: str | None = None, **options: Any) -> Any:
    if clock is not None:
        options["clock"] = FileClock(clock)
    if kind == "sqlite":
        return SqliteCache(path=at, **options)
    if kind == "tiered":
        return TieredCache(InMemoryCache(**options), SqliteCache(path=at, **options), **options)
    if kind == "postgres":
        from hitrate import PostgresCache

        return PostgresCache(at, **options)
    from hitrate import RedisCache

    if kind == "cluster":
        from redis import RedisCluster

        return RedisCache(RedisCluster.from_url(at), **options)
    return RedisCache(at, **options)


class Function:
    """What is to be computed once: says that it runs, and goes on when it is told how.

    Args:
        number: of this process.

    Attributes:
        gate: the file that it goes on by, in the background, where nobody tells it how.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.gate: Path | None = None

    def run(self, names: list[str]) -> dict[str, Any]:
        say("computing", names)
        while self.gate is not None and not self.gate.exists():
            time.sleep(0.005)  # between two looks
        return self._result("finish" if self.gate else sys.stdin.readline(), names)

    async def arun(self, names: list[str]) -> dict[str, Any]:
        return await asyncio.to_thread(self.run, names)

    def _result(self, told: str, names: list[str]) -> dict[str, Any]:
        match told.strip():
            case "finish":
                more = {"refreshed": True} if self.gate else {}
                return {name: {"name": name, "by": self.number, **more} for name in names}
            case "raise":
                raise LookupError(f"by {self.number}")
            case "keep file":
                return dict.fromkeys(names, Unstorable())
        raise AssertionError(f"told {told!r}")


class Unstorable:
    """A value that cannot be stored."""

    def __init__(self) -> None:
        self.file = sys.stdout

    def __repr__(self) -> str:
        return "unstorable"


def serve(number: int) -> None:
    """Carry out orders, one a line."""
    logging.getLogger("hitrate").addHandler(logging.NullHandler())
    function = Function(number)
    say("ready")
    for line in iter(sys.stdin.readline, ""):
        order = json.loads(line)
        pause.said = False
        say("ordered")
        try:
            result = _carried_out(function, **order)
        except LookupError as error:
            say("raised", str(error))
        else:
            say("returned", json.loads(json.dumps(result, default=repr)))
    for cache in _caches.values():
        cache.close()


def _carried_out(
    function: Function,
    do: str,
    where: dict[str, Any],
    names: list[str],
    *,
    face: str = "sync",
    gate: str | None = None,
    **terms: Any,
) -> Any:
    cache = opened(where)
    function.gate = None if gate is None else Path(gate)
    keys = [key_of(name) for name in names]
    if do == "get":
        return {name: value for (_, name), value in cache.get(keys).items()}
    if do == "delete":
        return cache.delete(keys)
    if do == "clear":
        return cache.clear(None if not names else [("computed",)])
    if do == "clear_under":
        return cache.clear_under(("computed",))
    if do == "stats":
        return {"sets": cache.stats().sets}
    if face == "async":
        return asyncio.run(_with_refreshes(_acomputed(function, cache, do, names, terms)))
    return _computed(function, cache, do, names, terms)


def _computed(function: Function, cache: Any, do: str, names: list[str], terms: dict[str, Any]) -> Any:
    if do == "many":
        found = cache.get_or_compute_many(
            [key_of(name) for name in names],
            lambda keys: {key_of(name): value for name, value in function.run([key[1] for key in keys]).items()},
            **terms,
        )
        return {name: value for (_, name), value in found.items()}
    (name,) = names
    if do == "cached":

        @cached(cache, ignore="function", **terms)
        def compute(name: str) -> Any:
            return function.run([name])[name]

        return compute(name)
    return cache.get_or_compute(key_of(name), lambda: function.run([name])[name], **terms)


async def _with_refreshes(work: Coroutine[Any, Any, Any]) -> Any:
    """Await work, say that it is done, and let end what it began in the background."""
    result = await work
    say("served", json.loads(json.dumps(result, default=repr)))
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        await task
    return result


async def _acomputed(function: Function, cache: Any, do: str, names: list[str], terms: dict[str, Any]) -> Any:
    if do == "many":

        async def compute_many(keys: list[FullKey]) -> dict[FullKey, Any]:
            return {key_of(name): value for name, value in (await function.arun([key[1] for key in keys])).items()}

        found = await cache.aget_or_compute_many([key_of(name) for name in names], compute_many, **terms)
        return {name: value for (_, name), value in found.items()}
    (name,) = names

    async def compute() -> Any:
        return (await function.arun([name]))[name]

    if do == "cached":

        @cached(cache, ignore="function", **terms)
        async def acompute(name: str) -> Any:
            return await compute()

        return await acompute(name)
    return await cache.aget_or_compute(key_of(name), compute, **terms)
