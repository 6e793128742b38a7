"""A store of bytes over a cache, as LangChain's ``CacheBackedEmbeddings`` and others take one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.stores import BaseStore
from sample_embeddings import Face, Model, OpenCache

import hitrate
from hitrate import InMemoryCache, RedisCache
from hitrate.langchain import ByteStore
from hitrate.testing import Clock
from servers.valkey import running


class StoreFace:
    """One of the two faces of a store."""

    def __init__(self, name: str) -> None:
        self.is_async = name == "async"

    def _do(self, store: ByteStore, name: str, *arguments: Any) -> Any:
        if self.is_async:
            return asyncio.run(getattr(store, f"a{name}")(*arguments))
        return getattr(store, name)(*arguments)

    def get(self, store: ByteStore, keys: Any) -> Any:
        return self._do(store, "mget", keys)

    def set(self, store: ByteStore, pairs: Any) -> None:
        assert self._do(store, "mset", pairs) is None

    def delete(self, store: ByteStore, keys: Any) -> None:
        assert self._do(store, "mdelete", keys) is None

    def keys(self, store: ByteStore, **options: Any) -> list[str]:
        async def collected() -> list[str]:
            return [key async for key in store.ayield_keys(**options)]

        return asyncio.run(collected()) if self.is_async else [*store.yield_keys(**options)]


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest) -> StoreFace:
    return StoreFace(request.param)


KEYS = ["", " ", "a", "a,b", "a:b/c", "%_*?[]\\", "\x00", "é", "e\u0301", "\ud800", "😀", "k" * 10_000, "../a"]


def test_bytes_come_back_in_the_order_asked(open_cache: OpenCache, face: StoreFace) -> None:
    store = ByteStore(open_cache())
    assert isinstance(store, BaseStore)
    face.set(store, [("a", b"1"), ("b", b""), ("c", b"\x00\xff")])
    assert face.get(store, ["c", "missing", "a", "b", "a"]) == [b"\x00\xff", None, b"1", b"", b"1"]
    face.set(store, [("a", b"2"), ("a", b"3")])
    assert face.get(store, ("a",)) == [b"3"]
    assert face.get(store, []) == []
    face.delete(store, ["a", "missing"])
    assert face.get(store, ["a", "b"]) == [None, b""]


def test_every_key_is_legal(open_cache: OpenCache, face: StoreFace) -> None:
    store = ByteStore(open_cache())
    face.set(store, [(key, key.encode("utf-8", "surrogatepass")) for key in KEYS])
    assert face.get(store, KEYS) == [key.encode("utf-8", "surrogatepass") for key in KEYS]
    face.delete(store, KEYS)
    assert face.get(store, KEYS) == [None] * len(KEYS)


def test_large_batches(open_cache: OpenCache, face: StoreFace) -> None:
    store = ByteStore(open_cache())
    keys = [f"{number}" for number in range(20_000)]
    face.set(store, [(key, key.encode()) for key in keys])
    assert face.get(store, keys) == [key.encode() for key in keys]
    face.delete(store, keys)
    assert face.get(store, keys) == [None] * len(keys)


def test_namespaces_are_apart(open_cache: OpenCache, face: StoreFace) -> None:
    cache = open_cache()
    one, two, default = ByteStore(cache, namespace=("a",)), ByteStore(cache, namespace=("a", "b")), ByteStore(cache)
    face.set(one, [("k", b"1")])
    face.set(two, [("k", b"2")])
    assert [face.get(store, ["k"]) for store in (one, two, default)] == [[b"1"], [b"2"], [None]]
    assert face.get(ByteStore(cache, namespace=("a",)), ["k"]) == [b"1"]


@pytest.mark.parametrize("value", ["text", bytearray(b"1"), memoryview(b"1"), None, 1, [0.1]])
def test_what_is_no_bytes_is_refused_and_nothing_is_stored(
    value: Any, in_memory: InMemoryCache[Any], face: StoreFace
) -> None:
    store = ByteStore(in_memory)
    with pytest.raises(TypeError, match=rf"keeps bytes, and the value of key 'k' is a {type(value).__name__}"):
        face.set(store, [("a", b"1"), ("k", value)])
    assert face.get(store, ["a", "k"]) == [None, None]


@pytest.mark.parametrize("keys", ["key", [1], [b"k"], [None]])
def test_keys_that_are_none_are_refused(keys: Any, in_memory: InMemoryCache[Any], face: StoreFace) -> None:
    store = ByteStore(in_memory)
    for do in (face.get, face.delete):
        with pytest.raises(TypeError, match=r"a sequence of str|a key is a str"):
            do(store, keys)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"cache": {}}, TypeError),
        ({"namespace": "bytes"}, TypeError),
        ({"namespace": ("a", 1)}, TypeError),
        ({"ttl": "60"}, TypeError),
        ({"ttl": float("nan")}, ValueError),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: dict[str, Any], error: type[Exception], in_memory: InMemoryCache[Any]
) -> None:
    with pytest.raises(error):
        ByteStore(**{"cache": in_memory, **arguments})


def test_what_somebody_else_stored_there_is_missing(open_cache: OpenCache, face: StoreFace) -> None:
    cache = open_cache()
    cache.set({(("bytes",), "a"): ("text", None), (("bytes",), "b"): (None, None)})
    assert face.get(ByteStore(cache), ["a", "b"]) == [None, None]


def test_bytes_are_kept_for_their_ttl(open_cache: OpenCache, face: StoreFace) -> None:
    clock = Clock()
    store = ByteStore(open_cache(clock=clock), ttl=60)
    face.set(store, [("a", b"1")])
    clock.advance(59)
    assert face.get(store, ["a"]) == [b"1"]
    clock.advance(2)
    assert face.get(store, ["a"]) == [None]


def test_a_bypass_and_a_refresh_hold(open_cache: OpenCache, face: StoreFace) -> None:
    store = ByteStore(open_cache())
    face.set(store, [("a", b"1")])
    with hitrate.bypass():
        face.set(store, [("a", b"2"), ("b", b"2")])
        assert face.get(store, ["a", "b"]) == [None, None]
    assert face.get(store, ["a", "b"]) == [b"1", None]
    with hitrate.refresh():
        assert face.get(store, ["a"]) == [None]
        face.set(store, [("a", b"3")])
    assert face.get(store, ["a"]) == [b"3"]


def test_without_its_server_all_is_missing(face: StoreFace) -> None:
    with running() as server, RedisCache[Any](server.unix_url) as cache:
        store = ByteStore(cache)
        face.set(store, [("a", b"1")])
        server.stop()
        assert face.get(store, ["a"]) == [None]
        face.set(store, [("b", b"1")])
        face.delete(store, ["a"])
        assert face.keys(store) == []


def test_the_async_methods_use_no_executor_of_the_loop(in_memory: InMemoryCache[Any]) -> None:
    async def use() -> None:
        asyncio.get_running_loop().set_default_executor(Refusing())
        store = ByteStore(in_memory)
        await store.amset([("a", b"1")])
        assert await store.amget(["a"]) == [b"1"]
        assert [key async for key in store.ayield_keys()] == ["a"]
        await store.amdelete(["a"])

    asyncio.run(use())


class Refusing(ThreadPoolExecutor):
    def submit(self, *arguments: Any, **options: Any) -> Any:
        raise AssertionError("it was asked to run something in a thread")


# Its keys


def test_keys_are_yielded_by_prefix(open_cache: OpenCache, face: StoreFace) -> None:
    cache = open_cache()
    store = ByteStore(cache, namespace=("n",))
    face.set(store, [(key, b"") for key in ("ab", "a", "b", "abc", "a%", "A")])
    for other in (("n", "deeper"), ("nn",), ()):
        face.set(ByteStore(cache, namespace=other), [("a other", b"")])
    assert sorted(face.keys(store)) == ["A", "a", "a%", "ab", "abc", "b"]
    assert sorted(face.keys(store, prefix="")) == ["A", "a", "a%", "ab", "abc", "b"]
    assert sorted(face.keys(store, prefix="a")) == ["a", "a%", "ab", "abc"]
    assert face.keys(store, prefix="a%") == ["a%"]
    assert face.keys(store, prefix="z") == []
    assert face.keys(ByteStore(cache, namespace=("empty",))) == []


def test_every_key_is_yielded_as_it_was(open_cache: OpenCache, face: StoreFace) -> None:
    store = ByteStore(open_cache())
    face.set(store, [(key, b"") for key in KEYS])
    assert sorted(face.keys(store)) == sorted(KEYS)


def test_what_expired_or_was_removed_is_not_yielded(open_cache: OpenCache, face: StoreFace) -> None:
    clock = Clock()
    cache = open_cache(clock=clock)
    face.set(ByteStore(cache, ttl=60), [("short", b"")])
    store = ByteStore(cache)
    face.set(store, [("long", b""), ("removed", b"")])
    face.delete(store, ["removed"])
    clock.advance(61)
    assert face.keys(store) == ["long"]


def test_keys_come_from_generators(in_memory: InMemoryCache[Any]) -> None:
    store = ByteStore(in_memory)
    assert isinstance(store.yield_keys(), Generator)
    assert isinstance(store.ayield_keys(), AsyncGenerator)


# CacheBackedEmbeddings


@pytest.mark.parametrize("embeddings_face", ["sync", "async"])
def test_embeddings_of_langchain_are_cached_in_it(open_cache: OpenCache, embeddings_face: str) -> None:
    from langchain_classic.embeddings import CacheBackedEmbeddings

    model, cache, face = Model(), open_cache(), Face(embeddings_face)
    for _ in range(2):
        embeddings = CacheBackedEmbeddings.from_bytes_store(
            model, ByteStore(cache), namespace="m", query_embedding_cache=True, key_encoder="blake2b"
        )
        assert face.documents(embeddings, ["a", "bb"]) == [[1.0, 0.1], [2.0, 0.1]]
    assert model.batches == [["a", "bb"]]
