"""``cache.events``: what a hook is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import apsw
import pytest
from langgraph.graph import END, START, StateGraph

import hitrate
from hitrate import Event, InMemoryCache, SerializationError, SqliteCache, StoreError, TieredCache, cached
from hitrate.testing import Clock

A = ("a",)
KEY, OTHER = (A, "k"), (("b",), "k")


class State(TypedDict, total=False):
    question: str
    answer: Any


class Told(list[Event]):
    """A hook that keeps what it is told."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def take(self) -> list[tuple[Any, ...]]:
        """What was told since, without the seconds."""
        taken = [(each.operation, each.key, each.result, each.why) for each in self]
        self.clear()
        return taken


def opened(kind: str, tmp_path: Path, **options: Any) -> Any:
    if kind == "memory":
        return InMemoryCache(**options)
    far: SqliteCache[Any] = SqliteCache(path=tmp_path / "c.db", **options)
    return far if kind == "sqlite" else TieredCache(InMemoryCache(serde=far.serde, **options), far, **options)


class Watched:
    """A cache, its hook and one of its faces."""

    def __init__(self, cache: Any, face: str) -> None:
        self.cache, self.told, self._face = cache, Told(), face
        cache.events = self.told

    def do(self, name: str, *args: Any) -> Any:
        if self._face == "sync":
            return getattr(self.cache, name)(*args)

        async def run() -> Any:
            return await getattr(self.cache, f"a{name}")(*args)

        return asyncio.run(run())


@pytest.fixture(params=["memory", "sqlite", "tiers"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_hits_misses_and_writes_are_told(kind: str, face: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path) as cache:
        watched = Watched(cache, face)
        told = watched.told
        watched.do("get", [KEY])
        watched.do("set", {KEY: ("v", None), OTHER: (1, 0)})
        assert watched.do("get", [KEY, OTHER]) == {KEY: "v"}
        watched.do("delete", [KEY])
        watched.do("get", [KEY])
        assert told.take() == [
            ("get", "k", "miss", "never there"),
            ("set", "k", "stored", ""),
            ("set", "k", "removed", ""),
            ("get", "k", "hit", ""),
            ("get", "k", "miss", "removed"),
            ("delete", "k", "removed", ""),
            ("get", "k", "miss", "removed"),
        ]
        watched.do("set", {KEY: ("v", None), OTHER: (1, None)})
        watched.do("clear", [A])
        watched.do("clear_under", ("b",))
        watched.do("clear")
        watched.do("get", [KEY, OTHER])
        assert [(each.operation, each.namespace, each.result) for each in told[2:5]] == [
            ("clear", A, "cleared"),
            ("clear_under", ("b",), "cleared"),
            ("clear", None, "cleared"),
        ]
        assert [each.why for each in told[5:]] == ["removed", "removed"]
        assert all(each.seconds >= 0.0 for each in told)


def test_what_expired_is_told(kind: str, face: str, tmp_path: Path) -> None:
    clock = Clock()
    with opened(kind, tmp_path, clock=clock) as cache:
        cache.set({OTHER: ("v", 10)})  # before the hook: the store knows, or it has gone
        watched = Watched(cache, face)
        watched.do("set", {KEY: ("v", 10)})
        watched.do("get", [KEY])
        clock.advance(11)
        watched.told.clear()
        watched.do("get", [KEY])
        watched.do("get", [KEY, OTHER])
        assert [each[3] for each in watched.told.take()] == ["expired", "expired", "expired"]


@pytest.mark.parametrize(
    "url",
    [
        "memory:?max_entries=10",
        "memory:?max_entries=10&evict=cost",
        "sqlite:///{}/c.db?max_entries=10",
        "sqlite:///{}/c.db?max_entries=10&evict=cost",
        "memory:?max_entries=1+sqlite:///{}/c.db?max_entries=10",
    ],
)
def test_what_was_evicted_is_told(url: str, tmp_path: Path) -> None:
    cache: Any = hitrate.open(url.format(tmp_path))
    watched = Watched(cache, "sync")
    for number in range(30):
        cache.set({(A, str(number)): (number, None)})
    watched.told.clear()
    cache.get([(A, str(number)) for number in range(30)])
    why = [each.why for each in watched.told if each.result == "miss"]
    assert set(why) == {"evicted"}
    assert len(why) == cache.stats().evictions
    cache.close()


def test_what_another_removed_is_gone(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as cache, SqliteCache(path=tmp_path / "c.db") as another:
        watched = Watched(cache, "sync")
        cache.set({KEY: ("v", None)})
        another.delete([KEY])
        watched.told.clear()
        cache.get([KEY])
        assert watched.told.take() == [("get", "k", "miss", "gone")]


def test_what_is_damaged_is_told_with_the_error(face: str, tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as cache:
        cache.set({KEY: ("value", None)})
    con = apsw.Connection(str(tmp_path / "c.db"))
    con.set_busy_timeout(10_000)
    con.execute("UPDATE hitrate_entries SET payload = x'00'")
    con.close()
    with opened("sqlite", tmp_path) as cache:
        watched = Watched(cache, face)
        watched.do("get", [KEY])
        assert (watched.told[0].result, watched.told[0].why) == ("miss", "damaged")
        assert "checksum" in watched.told[0].detail
        watched.told.clear()
        watched.do("get_or_compute", KEY, lambda: 1, None)
        assert watched.told.take() == [("get", "k", "miss", "damaged"), ("compute", "k", "stored", "")]


def test_what_is_refused_is_told(kind: str, face: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path) as cache:
        watched = Watched(cache, face)
        with pytest.raises(SerializationError):
            watched.do("set", {OTHER: (1, None), KEY: (object(), None)})
        assert [(each.result, bool(each.detail)) for each in watched.told] == [("refused", True)]
        watched.told.clear()
        watched.do("get", [KEY])
        assert watched.do("get_or_compute", KEY, object) is not None
        assert [each[:1] + each[2:] for each in watched.told.take()] == [
            ("get", "miss", "refused"),
            ("get", "miss", "refused"),
            ("compute", "refused", ""),
        ]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_what_is_too_large_is_told(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path, max_bytes=10_000) as cache:
        watched = Watched(cache, "sync")
        cache.set({KEY: ("x" * 20_000, None)})
        cache.get([KEY])
        cache.get_or_compute(KEY, lambda: "x" * 20_000)
        cache.set({KEY: ("x", None)})
        assert watched.told.take() == [
            ("set", "k", "refused", "too large"),
            ("get", "k", "miss", "refused"),
            ("get", "k", "miss", "refused"),
            ("compute", "k", "refused", "too large"),
            ("set", "k", "stored", ""),
        ]


def test_a_backend_that_fails_is_told(face: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened("sqlite", tmp_path) as cache:
        watched = Watched(cache, face)

        def fail(*args: Any) -> Any:
            raise StoreError("the disk is full")

        async def afail(*args: Any) -> Any:
            fail()

        for name in ("get", "write", "clear"):
            monkeypatch.setattr(cache._store, name, fail)
            monkeypatch.setattr(cache._store, f"a{name}", afail)
        watched.do("get", [KEY])
        watched.do("set", {KEY: (1, None)})
        watched.do("clear")
        assert watched.told.take() == [
            ("get", "k", "miss", "failed"),
            ("set", "k", "failed", "failed"),
            ("clear", None, "failed", "failed"),
        ]


def test_the_tier_that_answered_is_told(face: str, tmp_path: Path) -> None:
    far: SqliteCache[Any] = SqliteCache(path=tmp_path / "c.db")
    far.set({KEY: ("v", None), OTHER: ("w", None)})
    with TieredCache(InMemoryCache(serde=far.serde), far) as cache:
        watched = Watched(cache, face)
        for keys in ([KEY], [KEY], [KEY], [KEY, OTHER]):
            watched.do("get", keys)
        assert [each.tier for each in watched.told] == [1, 0, 0, 0, 1]
        watched.told.clear()
        cache.get_or_compute(KEY, lambda: "v", stale=10)
        assert [(each.result, each.tier) for each in watched.told] == [("hit", 0)]


def test_cached_functions_are_told_and_hits_of_the_short_way_too(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path) as cache:
        plain = cached(cache, namespace=A)(lambda x: x)
        stale = cached(cache, namespace=("b",), ttl=10, stale=10)(lambda x: x)
        for _ in range(3):
            plain("x")
        watched = Watched(cache, "sync")
        for function in (plain, stale):
            for _ in range(3):
                function("x")
        assert [(each.operation, each.namespace, each.result) for each in watched.told] == [
            *[("get", A, "hit")] * 3,
            ("get", ("b",), "miss"),
            ("compute", ("b",), "stored"),
            *[("get", ("b",), "hit")] * 2,
        ]
        cache.events = None
        watched.told.clear()
        plain("x")
        assert cache.events is None
        assert watched.told == []
        assert "get" not in vars(cache)


def test_counters_are_the_same_with_a_hook_and_without(kind: str, tmp_path: Path) -> None:
    def use(cache: Any) -> Any:
        function = cached(cache, namespace=A, version=1)(lambda x: x)
        for number in (1, 2, 1, 1):
            function(number)
            cache.get([KEY, OTHER])
            cache.set({KEY: (number, None)})
        return {name: getattr(cache.stats(), name) for name in ("hits", "misses", "sets", "deletes", "errors")}

    (tmp_path / "one").mkdir()
    with opened(kind, tmp_path) as cache, opened(kind, tmp_path / "one") as other:
        cache.events = Told()
        assert use(cache) == use(other)


def test_a_graphs_tasks_are_told(face: str) -> None:
    from hitrate.langgraph import InMemoryCache as GraphMemory
    from hitrate.langgraph import policy

    def ask(state: State) -> State:
        return {"answer": state["question"] if state["question"] != "odd" else object()}

    builder = StateGraph(State)
    builder.add_node("ask", ask, cache_policy=policy(ask))
    builder.add_edge(START, "ask")
    builder.add_edge("ask", END)
    cache: GraphMemory[Any] = GraphMemory()
    watched = Watched(cache, face)
    graph = builder.compile(cache=cache)

    def run(question: str) -> None:
        if face == "sync":
            graph.invoke({"question": question})
        else:
            asyncio.run(graph.ainvoke({"question": question}))

    for question in ("why", "why", "odd"):
        run(question)
    assert [(each.operation, each.result) for each in watched.told] == [
        ("get", "miss"),
        ("set", "stored"),
        ("get", "hit"),
        ("get", "miss"),
        ("set", "refused"),
    ]
    assert {event.namespace is not None and event.namespace[-1] for event in watched.told} == {"ask"}


def test_a_hook_that_raises_fails_nothing_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    cache: InMemoryCache[Any] = InMemoryCache()

    def hook(event: Event) -> None:
        raise RuntimeError("of the hook")

    cache.events = hook
    with caplog.at_level(logging.WARNING, "hitrate"):
        for _ in range(3):
            cache.set({KEY: (1, None)})
            assert cache.get([KEY]) == {KEY: 1}
    assert [record.getMessage() for record in caplog.records] == ["InMemoryCache.events: the hook failed (logged once)"]


def test_arguments_by_name_iterators_and_misuse(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path) as cache:
        told = Told()
        cache.events = told
        cache.set({KEY: (1, None)})
        assert cache.get(keys=iter([KEY])) == {KEY: 1}
        cache.clear(namespaces=[A])
        calls: list[Callable[[], Any]] = [
            lambda: cache.get("key"),
            lambda: cache.get(KEY),
            lambda: cache.get([KEY], 5),
            lambda: cache.get(),
            lambda: cache.set([KEY]),
            lambda: cache.delete([5]),
            lambda: cache.clear("a"),
        ]
        told.clear()
        for call in calls:
            with pytest.raises(TypeError):
                call()
        assert told == []
        with pytest.raises(TypeError, match="function that takes an Event"):
            cache.events = 5
        cache.close()
        with pytest.raises(hitrate.ClosedError):
            cache.get([KEY])


def test_on_servers(url: str) -> None:
    clock = Clock()
    with hitrate.open(url, clock=clock) if "clock" in hitrate.open.__annotations__ else hitrate.open(url) as cache:
        watched = Watched(cache, "async")
        cache.get([KEY])
        cache.set({KEY: ("v", None)})
        cache.get([KEY])
        watched.do("get", [KEY])
        cache.get_or_compute(OTHER, lambda: 1, lease=5)
        assert [each[2:] for each in watched.told.take()] == [
            ("miss", "never there"),
            ("stored", ""),
            ("hit", ""),
            ("hit", ""),
            ("miss", "never there"),
            ("stored", ""),
        ]
