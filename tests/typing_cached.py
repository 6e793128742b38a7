"""What type checkers make of cached functions: ``mypy --strict`` and pyright read this file, and nothing runs it."""

from __future__ import annotations

from typing import assert_type

from hitrate import InMemoryCache, SqliteCache, cached
from hitrate.base import FullKey

cache: InMemoryCache[object] = InMemoryCache()


@cached(cache, ttl=60)
def plain(a: int, *, b: str = "") -> list[int]:
    return [a]


@cached(cache, stale=60, early=1.0, lease=5)
async def later(a: int) -> dict[str, int]:
    return {"a": a}


class Service:
    @cached(cache, ignore="self")
    def method(self, a: int) -> str:
        return str(a)

    @cached(cache, ignore="self")
    async def amethod(self, a: int) -> bytes:
        return bytes(a)

    @staticmethod
    @cached(cache)
    def static(a: int) -> float:
        return float(a)


def functions_keep_their_types() -> None:
    assert_type(plain(1, b="x"), list[int])
    assert_type(plain.get(1), list[int] | None)
    assert_type(plain.refresh(1), list[int])
    assert_type(plain.invalidate(1), bool)
    assert_type(plain.key_for(1, b="x"), FullKey)
    assert_type(plain.clear(), None)
    plain("1")  # type: ignore[arg-type]
    plain.get("1")  # type: ignore[arg-type]
    plain(1, c=2)  # type: ignore[call-arg]


async def coroutine_functions_keep_theirs() -> None:
    assert_type(await later(1), dict[str, int])
    assert_type(await later.get(1), dict[str, int] | None)
    assert_type(await later.refresh(1), dict[str, int])
    assert_type(await later.invalidate(1), bool)
    await later("1")  # type: ignore[arg-type]


async def methods_lose_their_self(service: Service) -> None:
    assert_type(service.method(1), str)
    assert_type(service.method.get(1), str | None)
    assert_type(await service.amethod(1), bytes)
    assert_type(await service.amethod.get(1), bytes | None)
    assert_type(Service.static(1), float)
    service.method("1")  # type: ignore[arg-type]


async def computing_is_typed(numbers: SqliteCache[int], keys: list[FullKey]) -> None:
    async def compute() -> int:
        return 1

    assert_type(numbers.get_or_compute((("a",), "b"), lambda: 1, 60), int)
    assert_type(await numbers.aget_or_compute((("a",), "b"), compute, lease=5), int)
    assert_type(await numbers.aget_or_compute((("a",), "b"), lambda: 1), int)
    assert_type(numbers.get_or_compute_many(keys, lambda keys: dict.fromkeys(keys, 1)), dict[FullKey, int])
    numbers.get_or_compute((("a",), "b"), lambda: "one")  # type: ignore[arg-type, return-value]


cached(plain)  # type: ignore[arg-type]
