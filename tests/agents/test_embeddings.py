"""Embeddings over a cache: each text is embedded once, and its vector comes back as it was."""

from __future__ import annotations

import asyncio
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings
from sample_embeddings import Face, Model, OpenCache

import hitrate
from hitrate import InMemoryCache, RedisCache, SqliteCache
from hitrate.langchain import CachedEmbeddings
from hitrate.testing import Clock
from servers.valkey import running


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest) -> Face:
    return Face(request.param)


def entries_of(cache: Any) -> int:
    return int(cache.stats().entries)


# Once


def test_a_text_is_embedded_once_and_the_order_is_kept(open_cache: OpenCache, face: Face) -> None:
    model, cache = Model(), open_cache()
    embeddings = CachedEmbeddings(model, cache, model="m")
    assert face.documents(embeddings, ["a", "bbb", "a", "cc"]) == [[1.0, 0.1], [3.0, 0.1], [1.0, 0.1], [2.0, 0.1]]
    assert model.batches == [["a", "bbb", "cc"]]
    assert face.documents(embeddings, ["cc", "dddd", "a"]) == [[2.0, 0.1], [4.0, 0.1], [1.0, 0.1]]
    assert model.batches == [["a", "bbb", "cc"], ["dddd"]]


def test_what_one_object_embedded_another_finds(open_cache: OpenCache, face: Face) -> None:
    first, second, cache = Model(), Model(), open_cache()
    face.documents(CachedEmbeddings(first, cache, model="m"), ["a", "b"])
    assert face.documents(CachedEmbeddings(second, cache, model="m"), ["b", "a"]) == [[1.0, 0.1], [1.0, 0.1]]
    assert second.batches == []


def test_each_face_finds_what_the_other_stored(open_cache: OpenCache) -> None:
    model = Model()
    embeddings = CachedEmbeddings(model, open_cache(), model="m")
    embeddings.embed_documents(["a"])
    asyncio.run(embeddings.aembed_documents(["a", "b"]))
    embeddings.embed_documents(["b"])
    assert model.texts == ["a", "b"]


def test_documents_and_queries_are_apart(open_cache: OpenCache, face: Face) -> None:
    model = Model()
    embeddings = CachedEmbeddings(model, open_cache(), model="m")
    for _ in range(2):
        assert face.documents(embeddings, ["a"]) == [[1.0, 0.1]]
        assert face.query(embeddings, "a") == [0.5, 1.0, 0.1]
    assert (model.texts, model.queries) == (["a"], ["a"])


def test_a_warm_call_reads_once(face: Face) -> None:
    reads: list[int] = []

    class Counting(InMemoryCache[Any]):
        def get(self, keys: Any) -> Any:
            reads.append(len(keys))
            return super().get(keys)

        def aget(self, keys: Any) -> Any:
            reads.append(len(keys))
            return super().aget(keys)

    with Counting() as cache:
        embeddings = CachedEmbeddings(Model(), cache, model="m", batch_size=10)
        texts = [f"{number}" for number in range(100)]
        expected = face.documents(embeddings, texts)
        reads.clear()
        assert face.documents(embeddings, texts) == expected
    assert reads == [100]


@pytest.mark.parametrize("texts", [[], ()])
def test_no_texts_ask_nothing(texts: Any, in_memory: InMemoryCache[Any], face: Face) -> None:
    model = Model()
    assert face.documents(CachedEmbeddings(model, in_memory, model="m"), texts) == []
    assert model.batches == []
    assert in_memory.stats().misses == 0


def test_batches_are_bounded_and_full(open_cache: OpenCache, face: Face) -> None:
    model = Model()
    embeddings = CachedEmbeddings(model, open_cache(), model="m", batch_size=3)
    face.documents(embeddings, ["b", "f"])
    texts = ["a", "b", "c", "d", "e", "f", "g", "h", "a"]
    assert face.documents(embeddings, texts) == [[1.0, 0.1]] * 9
    assert model.batches[1:] == [["a", "c", "d"], ["e", "g", "h"]]


def test_without_a_limit_there_is_one_batch(in_memory: InMemoryCache[Any], face: Face) -> None:
    model = Model()
    texts = [f"{number}" for number in range(2500)]
    face.documents(CachedEmbeddings(model, in_memory, model="m", batch_size=None), texts)
    assert model.batches == [texts]


def test_a_vector_is_the_callers_own(open_cache: OpenCache, face: Face) -> None:
    for vector in ([1.0, 2.0], [1, 2.5], [[1.0], [2.0]]):
        embeddings = CachedEmbeddings(Model(lambda text, vector=vector: vector), open_cache(), model=f"{vector}")
        one, two = face.documents(embeddings, ["a", "a"])
        one.append(9.0)
        assert two == vector
        if isinstance(vector[0], list):
            one[0].append(9.0)
        assert [two, *face.documents(embeddings, ["a"])] == [vector, vector]


# At the same time


def test_threads_that_ask_at_once_embed_once(open_cache: OpenCache) -> None:
    asked = threading.Event()

    class Slow(Model):
        def embed_documents(self, texts: list[str]) -> list[Any]:
            assert asked.wait(20)
            return super().embed_documents(texts)

    model = Slow()
    embeddings = CachedEmbeddings(model, open_cache(), model="m")
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(embeddings.embed_documents, ["a", "b", f"own {number}"]) for number in range(8)]
        asked.set()
        assert [each.result(20)[0] for each in waiting] == [[1.0, 0.1]] * 8
    assert sorted(model.texts) == sorted(["a", "b", *(f"own {number}" for number in range(8))])


def test_tasks_that_ask_at_once_embed_once(open_cache: OpenCache) -> None:
    model = Model()
    embeddings = CachedEmbeddings(model, open_cache(), model="m")

    async def ask() -> list[Any]:
        documents = (embeddings.aembed_documents(["a", "b"]) for _ in range(20))
        return await asyncio.gather(*documents, *(embeddings.aembed_query("q") for _ in range(20)))

    assert asyncio.run(ask())[-1] == [0.5, 1.0, 0.1]
    assert (model.texts, model.queries) == (["a", "b"], ["q"])


def test_with_a_lease_two_processes_embed_once(tmp_path: Path) -> None:
    """Two caches on one file share nothing but the file, as two processes do."""
    model = Model()
    together = threading.Barrier(2)
    with SqliteCache[Any](path=tmp_path / "c.db") as one, SqliteCache[Any](path=tmp_path / "c.db") as two:

        def ask(cache: Any) -> Any:
            embeddings = CachedEmbeddings(model, cache, model="m", lease=30)
            together.wait(20)
            return embeddings.embed_documents(["a", "b"])

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(ask, (one, two))) == [[[1.0, 0.1], [1.0, 0.1]]] * 2
    assert sorted(model.texts) == ["a", "b"]


def test_a_batch_of_another_that_fails_does_not_fail_mine(in_memory: InMemoryCache[Any]) -> None:
    """The text that the model refuses is in the other's batch only."""
    is_asked, may_fail = threading.Event(), threading.Event()

    class Refusing(Model):
        def embed_documents(self, texts: list[str]) -> list[Any]:
            if "too long" in texts:
                is_asked.set()
                assert may_fail.wait(20)
                raise ValueError("too long")
            return super().embed_documents(texts)

    embeddings = CachedEmbeddings(Refusing(), in_memory, model="m")
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(embeddings.embed_documents, ["a", "too long"])
        assert is_asked.wait(20)
        mine = pool.submit(embeddings.embed_documents, ["a", "b"])
        may_fail.set()
        assert mine.result(20) == [[1.0, 0.1], [1.0, 0.1]]
        with pytest.raises(ValueError, match="too long"):
            other.result(20)


def test_a_call_that_blocks_the_event_loop_does_not_wait_for_a_task_of_it(in_memory: InMemoryCache[Any]) -> None:
    """As where a retriever that is not async is used in a coroutine."""
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    class Waiting(Model):
        async def aembed_documents(self, texts: list[str]) -> list[Any]:
            is_asked.set()
            await may_answer.wait()
            return self.embed_documents(texts)

    model = Waiting()
    embeddings = CachedEmbeddings(model, in_memory, model="m")

    async def ask() -> None:
        task = asyncio.create_task(embeddings.aembed_documents(["a", "bb"]))
        await is_asked.wait()
        assert embeddings.embed_documents(["a"]) == [[1.0, 0.1]]
        may_answer.set()
        assert await task == [[1.0, 0.1], [2.0, 0.1]]

    asyncio.run(ask())
    assert model.batches == [["a"], ["a", "bb"]]


def test_a_model_that_is_down_is_asked_a_few_times_however_many_wait(in_memory: InMemoryCache[Any]) -> None:
    class Down(Model):
        async def aembed_documents(self, texts: list[str]) -> list[Any]:
            self.batches.append(texts)
            await asyncio.sleep(0)
            raise ConnectionError("down")

    model = Down()
    embeddings = CachedEmbeddings(model, in_memory, model="m")

    async def ask() -> list[Any]:
        return await asyncio.gather(*(embeddings.aembed_documents(["a"]) for _ in range(50)), return_exceptions=True)

    assert {str(error) for error in asyncio.run(ask())} == {"down"}
    assert len(model.batches) <= 3


def test_the_event_loop_serves_others_meanwhile(in_memory: InMemoryCache[Any]) -> None:
    embeddings = CachedEmbeddings(Model(), in_memory, model="m", batch_size=None)
    texts = [f"{number}" for number in range(2000)]
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def ask() -> None:
        counting = asyncio.create_task(count())
        for _ in range(2):
            before = turns
            await embeddings.aembed_documents(texts)
            assert turns - before >= 2000 / 256
        counting.cancel()

    asyncio.run(ask())


# Exact

NUMBERS: dict[str, Any] = {
    "float32": [0.5, -1.25, 3.0],
    "float64": [0.1, 1 / 3],
    "one that is no float32": [0.5] * 100 + [0.1],
    "too large for float32": [1e300, 1.0],
    "smallest of all": [5e-324, 1e-45],
    "zeros": [0.0, -0.0],
    "infinities": [math.inf, -math.inf, 1.0],
    "none": [],
    "small ints": [-128, 127, 0],
    "bytes": [0, 255],
    "ints": [2**40, -(2**63)],
    "large ints": [2**64, 1],
    "bools": [True, False],
    "of several kinds": [1, 1.0, True, 0.1],
    "several vectors": [[0.1, 0.2], [0.3, 0.4]],
}


@pytest.mark.parametrize("numbers", NUMBERS.values(), ids=NUMBERS)
def test_a_vector_comes_back_as_it_was(numbers: list[Any], open_cache: OpenCache, face: Face) -> None:
    embeddings = CachedEmbeddings(Model(lambda text: numbers), open_cache(), model="m")
    for _ in range(2):
        (vector,) = face.documents(embeddings, ["a"])
        assert type(vector) is list
        assert repr(vector) == repr(numbers)  # tells 1 from 1.0 and from True, and 0.0 from -0.0


def test_nan_comes_back(in_memory: InMemoryCache[Any], face: Face) -> None:
    embeddings = CachedEmbeddings(Model(lambda text: [math.nan, 0.5]), in_memory, model="m")
    for _ in range(2):
        ((first, second),) = face.documents(embeddings, ["a"])
        assert math.isnan(first)
        assert second == 0.5


def test_float32_takes_half_the_room(in_memory: InMemoryCache[Any]) -> None:
    sizes = []
    for number in (0.5, 0.1):
        in_memory.clear()
        CachedEmbeddings(Model(lambda text, number=number: [number] * 1000), in_memory, model="m").embed_documents(
            ["a"]
        )
        sizes.append(in_memory.stats().bytes)
    assert sizes[1] - sizes[0] == 4000


ARRAYS: dict[str, tuple[Any, list[Any]]] = {
    "float32": (np.array([0.1, 0.5], "f4"), [float(np.float32(0.1)), 0.5]),
    "float64": (np.array([0.1, 0.5]), [0.1, 0.5]),
    "float16": (np.array([0.5, 2.0], "f2"), [0.5, 2.0]),
    "int8": (np.array([-1, 3], "i1"), [-1, 3]),
    "of the other byte order": (np.array([0.1], ">f8"), [0.1]),
    "not contiguous": (np.array([0.1, 9.0, 0.2])[::2], [0.1, 0.2]),
    "a list of scalars": ([np.float32(0.1), np.float64(0.2), 1.0], [float(np.float32(0.1)), 0.2, 1.0]),
    "a tuple": ((0.1, 0.2), [0.1, 0.2]),
    "several arrays": ([np.array([0.5]), np.array([0.1])], [[0.5], [0.1]]),
    "lists of scalars": ([[np.float32(0.5)], [np.int8(1)]], [[0.5], [1]]),
}


@pytest.mark.parametrize(("given", "expected"), ARRAYS.values(), ids=ARRAYS)
def test_arrays_come_back_as_lists_of_their_numbers(given: Any, expected: list[Any], face: Face) -> None:
    with InMemoryCache[Any]() as cache:
        embeddings = CachedEmbeddings(Model(lambda text: given), cache, model="m")
        for _ in range(2):
            (vector,) = face.documents(embeddings, ["a"])
            assert (type(vector), repr(vector)) == (list, repr(expected))


def test_one_array_for_all_texts_is_a_vector_for_each(in_memory: InMemoryCache[Any], face: Face) -> None:
    class Arrays(Model):
        def embed_documents(self, texts: list[str]) -> Any:
            return np.array([[len(text), 0.5] for text in texts], "f4")

    embeddings = CachedEmbeddings(Arrays(), in_memory, model="m")
    for _ in range(2):
        assert face.documents(embeddings, ["a", "bb"]) == [[1.0, 0.5], [2.0, 0.5]]


TEXTS = [
    "",
    " ",
    "\x00",
    "é",
    "e\u0301",
    "\ud800",
    "\udfff\ud800",
    "😀",
    "a" * 1_000_000,
    "a" * 999_999 + "b",
    "a,b:c/d%",
]


def test_any_two_texts_are_apart(open_cache: OpenCache, face: Face) -> None:
    model = Model(lambda text: [float(TEXTS.index(text))])
    embeddings = CachedEmbeddings(model, open_cache(), model="m")
    for _ in range(2):
        assert face.documents(embeddings, TEXTS) == [[float(number)] for number in range(len(TEXTS))]
    assert len(model.texts) == len(TEXTS)


# What goes wrong


@pytest.mark.parametrize("returned", [[], [[1.0]], [[1.0]] * 3])
def test_another_number_of_vectors_than_of_texts_is_an_error(
    returned: list[Any], in_memory: InMemoryCache[Any], face: Face
) -> None:
    class Miscounting(Model):
        def embed_documents(self, texts: list[str]) -> Any:
            return returned

    embeddings = CachedEmbeddings(Miscounting(), in_memory, model="m")
    with pytest.raises(ValueError, match=f"Miscounting returned {len(returned)} vectors for 2 texts"):
        face.documents(embeddings, ["a", "b"])
    assert entries_of(in_memory) == 0


@pytest.mark.parametrize("vector", [None, "text", b"\x00\x01", {1: 0.5}, 0.5, [None], ["0.5"], [b"1"], [object()]])
def test_what_is_no_vector_is_an_error(vector: Any, in_memory: InMemoryCache[Any], face: Face) -> None:
    embeddings = CachedEmbeddings(Model(lambda text: vector), in_memory, model="m")
    with pytest.raises(TypeError, match="a vector is a list of numbers, not"):
        face.documents(embeddings, ["a"])
    assert entries_of(in_memory) == 0


@pytest.mark.parametrize("returned", [None, 0.5])
def test_what_is_no_list_of_vectors_is_an_error(returned: Any, in_memory: InMemoryCache[Any], face: Face) -> None:
    class Odd(Model):
        def embed_documents(self, texts: list[str]) -> Any:
            return returned

    with pytest.raises(TypeError, match=r"Odd returned .* for 1 texts, and no list of vectors"):
        face.documents(CachedEmbeddings(Odd(), in_memory, model="m"), ["a"])


def test_what_the_model_raises_is_raised_and_earlier_batches_are_kept(
    in_memory: InMemoryCache[Any], face: Face
) -> None:
    class Failing(Model):
        def embed_documents(self, texts: list[str]) -> Any:
            if "c" in texts and len(self.batches) < 2:
                self.batches.append(texts)
                raise ConnectionError("the model is down")
            return super().embed_documents(texts)

    model = Failing()
    embeddings = CachedEmbeddings(model, in_memory, model="m", batch_size=2)
    with pytest.raises(ConnectionError, match="the model is down"):
        face.documents(embeddings, ["a", "b", "c", "d"])
    assert entries_of(in_memory) == 2
    assert face.documents(embeddings, ["a", "b", "c", "d"]) == [[1.0, 0.1]] * 4
    assert model.batches == [["a", "b"], ["c", "d"], ["c", "d"]]


HOSTILE: dict[str, Any] = {
    "no bytes": b"",
    "an unknown mark": b"z\x01\x00\x00\x00\x00",
    "fewer numbers than it says": b"f\xff\xff\xff\xff\x00\x00\x00\x00",
    "more numbers than it says": b"d\x00\x00\x00\x00" + b"\x00" * 8,
    "a header that ends early": b"f\x00",
    "a text": "a",
    "a list": [0.1],
    "nothing": None,
    "a tuple of a text": ("a",),
    "a tuple of texts": (["a"],),
    "a tuple of two": ([0.1], [0.2]),
}


@pytest.mark.parametrize("stored", HOSTILE.values(), ids=HOSTILE)
def test_what_somebody_else_stored_in_its_place_is_a_miss(stored: Any, open_cache: OpenCache, face: Face) -> None:
    cache, keys = open_cache(), []

    def note(pairs: Any) -> Any:
        keys.extend(pairs)
        return type(cache).set(cache, pairs)

    model = Model()
    embeddings = CachedEmbeddings(model, cache, model="m")
    cache.set = note
    with hitrate.refresh():
        embeddings.embed_documents(["a", "b"])
    cache.set({keys[0]: (stored, None)})
    assert face.documents(embeddings, ["a", "b"]) == [[1.0, 0.1], [1.0, 0.1]]
    assert model.texts == ["a", "b", "a"]
    assert face.documents(embeddings, ["a", "b"]) == [[1.0, 0.1], [1.0, 0.1]]
    assert model.texts == ["a", "b", "a"]


def test_without_its_server_all_is_embedded(face: Face) -> None:
    with running() as server, RedisCache[Any](server.unix_url) as cache:
        model = Model()
        embeddings = CachedEmbeddings(model, cache, model="m")
        face.documents(embeddings, ["a"])
        server.stop()
        for _ in range(2):
            assert face.documents(embeddings, ["a", "bb"]) == [[1.0, 0.1], [2.0, 0.1]]
        assert face.query(embeddings, "a") == [0.5, 1.0, 0.1]
    assert model.texts == ["a", "a", "bb", "a", "bb"]


@pytest.mark.parametrize("texts", ["text", [1], [None], [b"a"], ["a", ["b"]]])
def test_what_is_no_list_of_texts_is_refused(texts: Any, in_memory: InMemoryCache[Any], face: Face) -> None:
    model = Model()
    with pytest.raises(TypeError, match=r"a list of str|is a str, not"):
        face.documents(CachedEmbeddings(model, in_memory, model="m"), texts)
    assert model.batches == []


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"model": ""}, ValueError, "give its name"),
        ({}, ValueError, "which model Model asks is not told by it"),
        ({"model": 3}, TypeError, "model is a model's name"),
        ({"model": "m", "ttl": "1"}, TypeError, "TTL"),
        ({"model": "m", "ttl": math.nan}, ValueError, "NaN"),
        ({"model": "m", "lease": 0}, ValueError, "lease"),
        ({"model": "m", "batch_size": 0}, ValueError, "batch_size"),
        ({"model": "m", "batch_size": True}, ValueError, "batch_size"),
        ({"model": "m", "namespace": "vectors"}, TypeError, r"write \('vectors',\)"),
        ({"model": "m", "embeddings": object()}, TypeError, "Embeddings"),
        ({"model": "m", "cache": {}}, TypeError, "a cache of hitrate's"),
    ],
)
def test_wrong_arguments_are_refused(
    options: dict[str, Any], error: type[Exception], says: str, in_memory: InMemoryCache[Any]
) -> None:
    given: dict[str, Any] = {"embeddings": Model(), "cache": in_memory, **options}
    with pytest.raises(error, match=says):
        CachedEmbeddings(given.pop("embeddings"), given.pop("cache"), **given)


# For a run


def test_a_scope_keeps_tenants_apart(open_cache: OpenCache, face: Face) -> None:
    model = Model()
    embeddings = CachedEmbeddings(model, open_cache(), model="m")
    for tenant in ("acme", "other", "acme"):
        with hitrate.scope(tenant):
            face.documents(embeddings, ["a"])
            face.query(embeddings, "a")
    face.documents(embeddings, ["a"])
    assert (model.texts, model.queries) == (["a"] * 3, ["a"] * 2)


def test_a_bypass_reads_and_writes_nothing(open_cache: OpenCache, face: Face) -> None:
    model, cache = Model(), open_cache()
    embeddings = CachedEmbeddings(model, cache, model="m", batch_size=2)
    face.documents(embeddings, ["a"])
    before = cache.stats()
    with hitrate.bypass():
        assert face.documents(embeddings, ["a", "bb", "a", "ccc"]) == [[1.0, 0.1], [2.0, 0.1], [1.0, 0.1], [3.0, 0.1]]
    after = cache.stats()
    assert (after.sets, after.hits, after.misses) == (before.sets, before.hits, before.misses)
    assert model.batches == [["a"], ["a", "bb"], ["ccc"]]


def test_a_refresh_reads_nothing_and_overwrites(open_cache: OpenCache, face: Face) -> None:
    numbers = iter(range(9))
    model = Model(lambda text: [float(next(numbers))])
    embeddings = CachedEmbeddings(model, open_cache(), model="m")
    assert face.documents(embeddings, ["a"]) == [[0.0]]
    with hitrate.refresh():
        assert face.documents(embeddings, ["a"]) == [[1.0]]
    assert face.documents(embeddings, ["a"]) == [[1.0]]


def test_vectors_are_kept_for_their_ttl(open_cache: OpenCache, face: Face) -> None:
    model, clock = Model(), Clock()
    embeddings = CachedEmbeddings(model, open_cache(clock=clock), model="m", ttl=60)
    for seconds in (0, 59, 2):
        clock.advance(seconds)
        face.documents(embeddings, ["a"])
    assert model.texts == ["a", "a"]


def test_the_vectors_of_a_model_are_forgotten_by_its_name(open_cache: OpenCache) -> None:
    model, cache = Model(), open_cache()
    for name in ("m", "n"):
        CachedEmbeddings(model, cache, model=name).embed_documents(["a"])
    cache.clear_under(("embeddings", "m"))
    for name in ("m", "n"):
        CachedEmbeddings(model, cache, model=name).embed_documents(["a"])
    assert len(model.texts) == 3


def test_it_is_what_langchain_takes_for_embeddings(in_memory: InMemoryCache[Any]) -> None:
    from langchain_core.vectorstores import InMemoryVectorStore

    model = Model()
    embeddings = CachedEmbeddings(model, in_memory, model="m")
    assert isinstance(embeddings, Embeddings)
    for _ in range(2):
        store = InMemoryVectorStore(embeddings)
        store.add_texts(["a", "bb"])
    assert model.texts == ["a", "bb"]
