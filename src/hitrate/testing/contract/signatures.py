"""The documented names: what a caller may pass, by position or by name."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from hitrate.testing.contract.fixtures import Fixtures, MakeCache
from hitrate.testing.faces import Driver
from hitrate.testing.serializers import JsonSerializer

KEY = (("namespace",), "key")


class Signatures(Fixtures):
    """Signatures"""

    set_parameter: ClassVar[str | None] = None
    """The documented name of the parameter of ``set``: ``keys`` in memory, ``mapping`` in SQLite, ``pairs`` elsewhere.

    None accepts any of the three.
    """

    @pytest.mark.parametrize("method", ["get", "aget"])
    def test_get_takes_keys(self, new_cache: MakeCache, method: str) -> None:
        """`get` and `aget` take `keys`."""
        assert parameters(getattr(new_cache(), method)) == ["keys"]

    @pytest.mark.parametrize("method", ["set", "aset"])
    def test_set_takes_the_documented_parameter(self, new_cache: MakeCache, method: str) -> None:
        """`set` and `aset` take one parameter of the documented name."""
        (name,) = parameters(getattr(new_cache(), method))
        assert name in ([self.set_parameter] if self.set_parameter else ["keys", "mapping", "pairs"])

    @pytest.mark.parametrize("method", ["clear", "aclear"])
    def test_clear_takes_namespaces_or_none(self, new_cache: MakeCache, method: str) -> None:
        """`clear` and `aclear` take `namespaces`, None when not given."""
        call = getattr(new_cache(), method)
        assert parameters(call) == ["namespaces"]
        assert inspect.signature(call).parameters["namespaces"].default is None

    def test_arguments_may_be_named(self, new_cache: MakeCache) -> None:
        """Every argument may be passed by its name."""
        cache = new_cache()
        (name,) = parameters(cache.set)
        cache.set(**{name: {KEY: (1, None)}})
        assert cache.get(keys=[KEY]) == {KEY: 1}
        cache.clear(namespaces=[KEY[0]])
        assert cache.get(keys=[KEY]) == {}

    def test_clear_needs_no_argument(self, new_cache: MakeCache) -> None:
        """`clear()` and `aclear()` need no argument."""
        cache = new_cache()
        cache.set({KEY: (1, None)})
        cache.clear()
        assert cache.get([KEY]) == {}
        cache.set({KEY: (1, None)})
        asyncio.run(cache.aclear())
        assert cache.get([KEY]) == {}

    def test_async_methods_make_tasks(self, new_cache: MakeCache) -> None:
        """What the async methods return can be made a task."""

        async def tasks(cache: Any) -> dict[object, object]:
            await asyncio.create_task(cache.aset({KEY: (1, None)}))
            found: dict[object, object] = await asyncio.create_task(cache.aget([KEY]))
            await asyncio.create_task(cache.aclear(None))
            return found

        assert asyncio.run(tasks(new_cache())) == {KEY: 1}

    def test_nothing_is_returned_by_set_and_clear(self, cache: Driver) -> None:
        """`set` and `clear` return None, and `get` a dict."""
        assert cache.raw.set({KEY: (1, None)}) is None
        assert type(cache.get([KEY])) is dict
        assert cache.raw.clear() is None

    def test_the_given_serializer_is_used(self, new_cache: MakeCache) -> None:
        """A serializer given as `serde=` stores and restores the values."""

        class Marking(JsonSerializer):
            def loads_typed(self, data: tuple[str, bytes]) -> Any:
                return [*super().loads_typed(data), "restored by the given serializer"]

        cache = new_cache(serde=Marking())
        cache.set({KEY: (["stored"], None)})
        assert cache.get([KEY]) == {KEY: ["stored", "restored by the given serializer"]}


def parameters(call: Callable[..., object]) -> list[str]:
    return list(inspect.signature(call).parameters)
