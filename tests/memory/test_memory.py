"""InMemoryCache keeps every promise of the contract, with whatever serializer."""

from functools import partial
from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from contracts import WholeContract
from hitrate import InMemoryCache, MsgpackSerializer, TieredCache
from hitrate.serde import EncryptedSerializer, ZstdSerializer
from hitrate.testing import Clock


class TestInMemoryCache(WholeContract):
    set_parameter = "keys"

    @pytest.fixture
    def make_cache(self, clock):
        return partial(InMemoryCache, clock=clock)


class Reversed:
    """A serializer of an application, with an encoding of its own."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        encoding, payload = MsgpackSerializer().dumps_typed(obj)
        return f"reversed+{encoding}", payload[::-1]

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        mark, encoding = data[0].split("+")
        assert mark == "reversed"
        return MsgpackSerializer().loads_typed((encoding, data[1][::-1]))


SERIALIZERS = {
    "zstd": lambda: ZstdSerializer(min_size=0),
    "encrypted": lambda: EncryptedSerializer(key=bytes(32)),
    "zstd, then encrypted": lambda: EncryptedSerializer(ZstdSerializer(), key=bytes(32)),
    "listed types": lambda: MsgpackSerializer(types=[]),
    "LangGraph's": JsonPlusSerializer,
    "an application's": Reversed,
}


@pytest.mark.parametrize("tiered", [False, True], ids=["memory", "tiers"])
@pytest.mark.parametrize("ttl", [None, 60])
@pytest.mark.parametrize("missed_before", [False, True])
@pytest.mark.parametrize("serde", SERIALIZERS)
def test_a_value_is_restored_by_the_serializer_that_wrote_it(serde, missed_before, ttl, tiered):
    values = ["", "1", "a" * 500, "\u00e9", b"", b"x" * 500, None, 5, [1.0] * 50, {"a": "b" * 500}, ["a" * 300]]
    made = SERIALIZERS[serde]()
    cache = InMemoryCache(serde=made, clock=Clock(), on_error="raise")
    if tiered:
        cache = TieredCache(cache, InMemoryCache(serde=made, clock=Clock()), clock=Clock(), on_error="raise")
    for number, value in enumerate(values):
        key = (("ns",), str(number))
        if missed_before:
            assert cache.get([key]) == {}
        cache.set({key: (value, ttl)})
        assert [cache.get([key]) for _ in range(3)] == [{key: value}] * 3
        computed = (("ns",), f"computed {number}")
        assert [cache.get_or_compute(computed, lambda value=value: value, ttl) for _ in range(3)] == [value] * 3
