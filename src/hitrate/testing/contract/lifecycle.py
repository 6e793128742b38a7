"""Opening and closing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hitrate.errors import ClosedError
from hitrate.testing.contract.fixtures import Fixtures, MakeCache
from hitrate.testing.faces import Driver, Face

KEY = (("namespace",), "key")

CALLS: dict[str, Callable[[Driver], object]] = {
    "get": lambda cache: cache.get([KEY]),
    "set": lambda cache: cache.set({KEY: (1, None)}),
    "clear": lambda cache: cache.clear(),
    "clear_under": lambda cache: cache.clear_under(KEY[0]),
    "delete": lambda cache: cache.delete([KEY]),
}


class Lifecycle(Fixtures):
    """Opening and closing"""

    def test_close_may_be_called_twice(self, cache: Driver) -> None:
        """A cache may be closed twice, by either face."""
        cache.set({KEY: (1, None)})
        cache.close()
        cache.close()
        cache.raw.close()

    def test_an_unused_cache_can_be_closed(self, cache: Driver) -> None:
        """A cache that was never used can be closed."""
        cache.close()

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("on_error", ["miss", "raise"])
    def test_use_after_close_is_refused(self, new_cache: MakeCache, face: Face, call: str, on_error: str) -> None:
        """Every use after close is a ClosedError, whatever `on_error` is."""
        with face.open(new_cache(on_error=on_error)) as cache:
            cache.set({KEY: (1, None)})
            cache.close()
            with pytest.raises(ClosedError):
                CALLS[call](cache)

    def test_a_with_block_closes_the_cache(self, new_cache: MakeCache) -> None:
        """`with` gives the cache itself and closes it."""
        made = new_cache()
        with made as cache:
            assert cache is made
            cache.set({KEY: (1, None)})
            assert cache.get([KEY]) == {KEY: 1}
        with pytest.raises(ClosedError):
            made.get([KEY])

    def test_an_async_with_block_closes_the_cache(self, new_cache: MakeCache) -> None:
        """`async with` gives the cache itself and closes it."""
        made = new_cache()

        async def use() -> Any:
            async with made as cache:
                assert cache is made
                await cache.aset({KEY: (1, None)})
                return await cache.aget([KEY])

        assert asyncio.run(use()) == {KEY: 1}
        with pytest.raises(ClosedError):
            made.get([KEY])

    def test_an_error_in_a_with_block_is_not_hidden(self, new_cache: MakeCache) -> None:
        """An error raised in a `with` block is not hidden, and the cache is closed."""
        made = new_cache()
        with pytest.raises(ZeroDivisionError), made:
            raise ZeroDivisionError
        with pytest.raises(ClosedError):
            made.get([KEY])

    def test_what_one_face_closes_the_other_cannot_use(self, cache: Driver) -> None:
        """What one face closed, the other cannot use."""
        cache.close()
        with pytest.raises(ClosedError):
            cache.raw.get([KEY])
        with pytest.raises(ClosedError):
            asyncio.run(cache.raw.aget([KEY]))
