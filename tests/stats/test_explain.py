"""``hitrate.explain``: why something is or is not a hit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import apsw
import pandas as pd
import pytest
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel
from xxhash import xxh3_128_hexdigest

import hitrate
from hitrate import InMemoryCache, SqliteCache, TieredCache, cached, explain, remember_parts, stable_key
from hitrate.explanation import Explanation
from hitrate.testing import Clock

KEY = (("a", "b"), "user:42")


class Query(BaseModel):
    text: str
    at: float


class Odd(BaseModel):
    text: str

    def __repr__(self) -> str:
        raise RuntimeError


class State(TypedDict, total=False):
    question: str
    lang: str
    answer: str


@pytest.fixture(autouse=True)
def _remembering() -> Iterator[None]:
    with remember_parts():
        yield


def differing(explanation: Explanation) -> list[str]:
    return [each.name for each in explanation.nearest[0].differences]


def weather_of(cache: Any, **options: Any) -> Any:
    @cached(cache, namespace=("weather",), **options)
    def weather(city: str, days: int = 3, *, units: str = "C") -> str:
        raise AssertionError("explaining runs nothing")

    return weather


def filled(cache: Any, **options: Any) -> Any:
    @cached(cache, namespace=("weather",), **options)
    def weather(city: str, days: int = 3, *, units: str = "C") -> str:
        return city * days

    return weather


def test_a_hit_tells_its_key_entry_and_parts() -> None:
    clock = Clock()
    cache: InMemoryCache[Any] = InMemoryCache(clock=clock)
    weather = filled(cache, ttl=60)
    weather("Rome")
    before = cache.stats()
    explanation = explain(cache, partial(weather, "Rome", units="C"))
    assert explanation.is_hit
    assert explanation.state == "hit"
    assert explanation.full_key == weather.key_for("Rome", 3)
    assert explanation.entry is not None
    assert explanation.entry.expires == clock() + 60
    assert [(each.name, each.shown) for each in explanation.parts[:-1]] == [
        ("city", "'Rome'"),
        ("days", "3"),
        ("units", "'C'"),
    ]
    assert explanation.parts[-1].name == "function"
    assert cache.stats() == before


def test_the_part_that_differs_is_named_and_the_nearest_comes_first() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    weather = filled(cache)
    weather("Rome", 5)
    weather("Oslo", 5, units="F")
    explanation = explain(cache, partial(partial(weather, "Rome"), days=4))
    assert not explanation.is_hit
    assert (explanation.entries, explanation.unknown) == (2, 0)
    assert [[each.name for each in near.differences] for near in explanation.nearest] == [
        ["days"],
        ["city", "days", "units"],
    ]
    (difference,) = explanation.nearest[0].differences
    assert difference.here is not None
    assert difference.there is not None
    assert (difference.here.shown, difference.there.shown) == ("4", "5")
    assert "days: 4 here, 5 there" in str(explanation)


def test_values_that_look_alike_are_told_apart() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    weather = filled(cache)
    weather("x" * 500 + "1", 1)
    text = str(explain(cache, partial(weather, "x" * 500 + "2", 1)))
    assert "city: both begin with 'xx" not in text or "differ further on" in text
    assert differing(explain(cache, partial(weather, "x" * 500 + "1", True))) == ["days"]


def test_a_function_whose_code_changed_is_named() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    filled(cache)("Rome")
    explanation = explain(cache, partial(weather_of(cache), "Rome"))
    assert differing(explanation) == ["function"]
    assert "its code, its defaults or what it closes over" in str(explanation)


def test_scopes_are_named() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    weather = filled(cache, scope="tenant a")
    weather("Rome")
    other = filled(cache, scope="tenant b")
    assert differing(explain(cache, partial(other, "Rome"))) == ["scope"]
    with hitrate.scope("run"):
        assert differing(explain(cache, partial(weather, "Rome"))) == ["run"]


def test_fields_of_a_state_and_what_is_ignored() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()

    @cached(cache, ignore=("state.trace",))
    def ask(state: dict[str, Any]) -> str:
        return str(state["question"])

    ask({"question": "why", "trace": 1, "lang": "en"})
    assert explain(cache, partial(ask, {"question": "why", "trace": 2, "lang": "en"})).is_hit
    explanation = explain(cache, partial(ask, {"question": "why", "trace": 2, "lang": "de"}))
    assert differing(explanation) == ["state.lang"]


class Loud(Enum):
    """Of a repr that ends the line and commands the terminal."""

    ONE = 1
    TWO = 2

    def __repr__(self) -> str:
        return f"<loud {self.value}\n\n   \x1b[31m red>"


@pytest.mark.parametrize("values", [(Loud.ONE, Loud.TWO), (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1, 2]}))])
def test_what_a_repr_holds_stays_in_its_line(values: tuple[Any, Any]) -> None:
    cache: InMemoryCache[Any] = InMemoryCache()

    @cached(cache)
    def f(state: dict[str, Any]) -> int:
        return 1

    with remember_parts():
        f({"x\ny": values[0], "z": 1})
        explanation = explain(cache, partial(f, {"x\ny": values[1], "z": 1}))
    lines = str(explanation).split("\n")
    assert all(line.isprintable() for line in lines)
    (difference,) = [line for line in lines if " here, " in line]
    assert difference.startswith("    state.x\\ny: ")
    assert "\n" not in explanation.nearest[0].differences[0].here.shown  # type: ignore[union-attr]


def test_models_with_ignored_fields_are_shown() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()

    @cached(cache, ignore="query.at", namespace=("q",), version=1)
    def ask(query: Query) -> str:
        return query.text

    ask(Query(text="a", at=1.0))
    explanation = explain(cache, partial(ask, Query(text="b", at=2.0)))
    assert differing(explanation) == ["query"]
    assert "0x" not in str(explanation)


def test_methods_coroutine_functions_and_functions_without_arguments() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()

    class Service:
        @cached(cache, ignore="self", namespace=("service",))
        def ask(self, number: int) -> int:
            return number

    service = Service()
    service.ask(1)
    assert explain(cache, partial(service.ask, 1)).is_hit
    assert differing(explain(cache, partial(service.ask, number=2))) == ["number"]

    @cached(cache, namespace=("later",))
    async def later(number: int) -> int:
        return number

    asyncio.run(later(1))
    assert explain(cache, partial(later, 1)).is_hit

    @cached(cache, namespace=("nothing",))
    def nothing() -> int:
        return 1

    assert not explain(cache, nothing).is_hit
    nothing()
    assert explain(cache, nothing).is_hit


def test_a_full_key_whose_parts_are_known() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    cache.set({(("answers",), stable_key("why", model="small")): ("so", None)})
    explanation = explain(cache, (("answers",), stable_key("why", model="large")))
    assert differing(explanation) == ["model"]
    assert explanation.function == ""


def test_a_full_key_of_ones_own_is_compared_by_its_text_and_found_in_other_namespaces() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    cache.set({(("a", "b"), "user:41"): (1, None), (("a", "c"), "user:42"): (1, None)})
    explanation = explain(cache, KEY)
    assert [(near.namespace, near.key) for near in explanation.nearest] == [
        (("a", "c"), "user:42"),
        (("a", "b"), "user:41"),
    ]
    assert explain(cache, (("other",), "k")).notes == (
        "note: nothing else is stored in this namespace, nor in one that begins alike",
    )


def test_a_node_of_a_graph_is_explained_by_its_policys_key() -> None:
    from hitrate.langgraph import InMemoryCache as GraphMemory
    from hitrate.langgraph import policy

    def ask(state: State) -> State:
        return {"answer": state["question"]}

    builder = StateGraph(State)
    its_policy = policy(ask)
    builder.add_node("ask", ask, cache_policy=its_policy)
    builder.add_edge(START, "ask")
    builder.add_edge("ask", END)
    cache: GraphMemory[Any] = GraphMemory()
    graph = builder.compile(cache=cache)
    graph.invoke({"question": "why", "lang": "en"})
    (entry,) = cache.entries()
    key = its_policy.key_func({"question": "why", "lang": "de"})
    asked = (entry.namespace, xxh3_128_hexdigest(str(key).encode()))
    explanation = explain(cache, asked)
    assert [name.split(".")[-1] for name in differing(explanation)] == ["lang"]


@pytest.mark.parametrize("make", [InMemoryCache, SqliteCache])
def test_what_expired_is_told_and_left_as_it_is(make: Any, tmp_path: Path) -> None:
    clock = Clock()
    with make(clock=clock, **({"path": tmp_path / "c.db"} if make is SqliteCache else {})) as cache:
        cache.set({KEY: (1, 10), (("a",), "other"): (2, None)})
        clock.advance(11)
        assert explain(cache, KEY).state == "expired"
        assert cache.get([KEY]) == {}


def test_stale_values_and_exceptions_are_told() -> None:
    clock = Clock()
    cache: InMemoryCache[Any] = InMemoryCache(clock=clock)
    cache.get_or_compute(KEY, lambda: 1, ttl=10, stale=100)
    clock.advance(11)
    assert explain(cache, KEY).state == "stale"

    @cached(cache, cache_errors=ValueError, error_ttl=10, namespace=("errors",))
    def fails() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    assert explain(cache, fails).state == "error"


def test_a_damaged_entry_is_told_with_the_error(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with SqliteCache(path=path) as cache:
        cache.set({KEY: ("value", None)})
    con = apsw.Connection(str(path))
    con.set_busy_timeout(10_000)
    con.execute("UPDATE hitrate_entries SET payload = x'00'")
    con.close()
    with SqliteCache(path=path) as cache:
        errors = cache.stats().errors
        explanation = explain(cache, KEY)
        assert (explanation.state, cache.stats().errors) == ("damaged", errors)
        assert "checksum" in explanation.detail


def test_the_tier_that_holds_it_is_told(tmp_path: Path) -> None:
    far: SqliteCache[Any] = SqliteCache(path=tmp_path / "c.db")
    far.set({KEY: (1, None)})
    with TieredCache(InMemoryCache(serde=far.serde), far) as cache:
        assert explain(cache, KEY).tier == 1
        assert explain(cache, KEY).tier == 1
        cache.get([KEY])
        assert explain(cache, KEY).tier == 0


def test_on_every_backend(url: str) -> None:
    with hitrate.open(url) as cache:
        weather = filled(cache)
        weather("Rome", 5)
        assert explain(cache, partial(weather, "Rome", 5)).is_hit
        assert differing(explain(cache, partial(weather, "Rome"))) == ["days"]


def test_what_is_not_known_is_said_with_the_way_out() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    weather = filled(cache)
    with remember_parts(0):
        weather("Rome")
    explanation = explain(cache, partial(weather, "Oslo"))
    assert (explanation.entries, explanation.unknown, explanation.nearest) == (1, 1, ())
    assert "hitrate.remember_parts()" in explanation.notes[0]


def test_what_is_remembered_is_bounded() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    weather = filled(cache)
    with remember_parts(2):
        for city in "abc":
            weather(city)
        assert explain(cache, partial(weather, "d")).unknown == 1


def test_an_argument_whose_repr_fails_is_told_all_the_same() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    ask = cached(cache, namespace=("odd",), version=1)(lambda odd: odd.text)
    ask(Odd(text="a"))
    assert differing(explain(cache, partial(ask, Odd(text="b")))) == ["odd"]


def test_runs_and_other_caches_are_noted() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    weather = filled(cache)
    with hitrate.bypass():
        assert "hitrate.bypass is open" in explain(cache, partial(weather, "Rome")).notes[0]
    assert "another cache" in explain(InMemoryCache(), partial(weather, "Rome")).notes[0]
    keyed = cached(cache, key=lambda city: city)(lambda city: city)
    assert "key= of the program's own" in explain(cache, partial(keyed, "Rome")).notes[0]


def test_it_is_json() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    weather = filled(cache)
    weather("Rome")
    told = json.loads(json.dumps(explain(cache, partial(weather, "Oslo")).to_dict()))
    assert told["state"] == "absent"
    assert told["nearest"][0]["differences"][0]["here"]["shown"] == "'Oslo'"


def test_misuse_is_told_with_the_way_out() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    weather = filled(cache)
    for call in (lambda: weather("Rome"), len, partial(len, "x"), "key", 5, None):
        with pytest.raises(TypeError, match=r"functools\.partial"):
            explain(cache, call)
    with pytest.raises(TypeError, match="missing"):
        explain(cache, weather)
    with pytest.raises(TypeError, match="tuple of str"):
        explain(cache, ("namespace", "key"))
    with pytest.raises(TypeError, match="hitrate cache"):
        explain({}, KEY)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="number of keys"):
        remember_parts("5")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="number of keys"):
        remember_parts(-1)
    cache.close()
    with pytest.raises(hitrate.ClosedError):
        explain(cache, KEY)
