"""Functions whose results are kept: what they look like, which calls are equal, and what is told of misuse."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import pickle
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest

from compute import cached_samples
from compute.callers import KEY, Caller, Gated, run, until
from hitrate import InMemoryCache, cached
from hitrate.testing import Clock


def test_it_looks_like_the_function() -> None:
    for each in (cached_samples.double, cached_samples.adouble):
        assert each.__name__ in ("double", "adouble")
        assert each.__doc__
        assert each.__module__ == cached_samples.__name__
    assert str(inspect.signature(cached_samples.double)) == "(number: 'int', *, by: 'int' = 2) -> 'int'"
    assert cached_samples.double.namespace == (cached_samples.__name__, "double")


def test_a_coroutine_function_is_one_still() -> None:
    assert asyncio.iscoroutinefunction(cached_samples.adouble)
    assert inspect.iscoroutinefunction(cached_samples.adouble)
    assert not asyncio.iscoroutinefunction(cached_samples.double)
    assert inspect.iscoroutine(one := cached_samples.adouble(1))
    assert run(one) == 2


def test_a_function_of_a_module_is_pickled_by_its_name() -> None:
    for each in (cached_samples.double, cached_samples.adouble):
        assert pickle.loads(pickle.dumps(each)) is each
        assert copy.deepcopy(each) is each


def counted(cache: Any, **options: Any) -> tuple[Any, list[Any]]:
    runs: list[Any] = []

    @cached(cache, **options)
    def f(a: Any, /, b: Any = 2, *rest: Any, c: Any = 3, **more: Any) -> Any:
        runs.append((a, b, rest, c, more))
        return [a, b]

    return f, runs


def test_positions_keywords_and_defaults_make_no_difference(any_cache: Any) -> None:
    f, runs = counted(any_cache)
    assert f(1) == f(1, 2) == f(1, b=2) == f(1, c=3) == f(1, c=3, b=2) == [1, 2]
    assert len(runs) == 1


def test_other_arguments_are_other_calls(cache: Any) -> None:
    f, runs = counted(cache)
    f(1, 2, 3), f(1, 2, 4), f(1, x=1), f(1, x=2), f(1, a=1), f(1, c=4), f("1"), f(1.0), f(True), f(None), f(b"1"), f(1)
    assert len(runs) == 12


def test_equal_small_arguments_of_other_types_are_told_apart_when_remembered(cache: Any) -> None:
    @cached(cache)
    def kind(value: Any) -> str:
        return repr(value)

    values = [1, 1.0, True, "1", b"1", None, 0, -0.0, 0.0, False, ""]
    for _ in range(3):
        assert [kind(value) for value in values] == list(map(repr, values))


def test_none_is_kept(cache: Any) -> None:
    gate = Gated(lambda: None, is_open=True)

    @cached(cache)
    def f() -> None:
        gate()

    assert [f(), f()] == [None, None]
    assert gate.runs == 1


def test_wrong_arguments_are_a_type_error_that_names_the_function(memory: Any) -> None:
    @cached(memory)
    def f(a: int) -> int:
        return a

    for call in (lambda: f(), lambda: f(1, 2), lambda: f(a=1, b=2), lambda: f.get()):  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"f\(\)"):
            call()


def test_get_refresh_invalidate_clear_and_key_for(any_cache: Any) -> None:
    values = iter(range(9))

    @cached(any_cache, ignore="values")
    def f(a: str) -> int:
        return next(values)

    assert f.get("a") is None
    assert f("a") == 0
    assert f.get("a") == 0
    assert any_cache.get([f.key_for("a")]) == {f.key_for(a="a"): 0}
    assert f.refresh("a") == 1
    assert f("a") == 1
    assert f.invalidate("a") is True
    assert f.invalidate("a") is False
    assert f("a") == 2
    f("b")
    f.clear()
    assert f.get("a") is f.get("b") is None


def test_the_same_of_a_coroutine_function(any_cache: Any) -> None:
    values = iter(range(9))

    @cached(any_cache, ignore="values")
    async def f(a: str) -> int:
        return next(values)

    async def main() -> None:
        assert await f.get("a") is None
        assert await f("a") == 0
        assert await f.get("a") == 0
        assert await f.refresh("a") == 1
        assert await f("a") == 1
        assert await f.invalidate("a") is True
        assert await f("a") == 2
        await f.clear()
        assert await f.get("a") is None

    run(main())


def test_a_refresh_whose_result_is_not_kept_leaves_no_older_one(cache: Any) -> None:
    results: list[Any] = [1, threading.Lock(), 2, -1]

    @cached(cache, ignore="results", cache_if=lambda value: value != -1)
    def f() -> Any:
        return results.pop(0)

    f()
    f.refresh()
    assert f.get() is None
    assert f() == 2
    assert f.refresh() == -1
    assert f.get() is None


def test_threads_that_call_with_equal_arguments_run_it_once(cache: Any) -> None:
    gate = Gated()

    @cached(cache)
    def f(a: int) -> Any:
        return gate()

    callers = [Caller(lambda: f(1)) for _ in range(16)]
    until(lambda: gate.runs == 1)
    gate.let()
    values = [caller.result() for caller in callers]
    assert gate.runs == 1
    assert len({id(value) for value in values}) == 16


def test_cache_if_decides_by_the_result(cache: Any) -> None:
    gate = Gated(lambda: None, is_open=True)

    @cached(cache, cache_if=lambda value: value is not None)
    def f() -> Any:
        return gate()

    f(), f()
    assert gate.runs == 2


def test_an_error_of_cache_if_reaches_all_who_waited(cache: Any) -> None:
    gate = Gated()

    @cached(cache, cache_if=lambda value: value["no index"])
    def f() -> Any:
        return gate()

    callers = [Caller(f) for _ in range(4)]
    until(lambda: gate.runs == 1 and sum(x.waiting for x in cache._computing.flights._flights.values()) == 3)
    gate.let()
    for caller in callers:
        assert isinstance(caller.ended(), TypeError)
    assert gate.runs == 1


def test_a_key_of_ones_own(cache: Any) -> None:
    @cached(cache, key=lambda user, **options: user["id"])
    def f(user: dict[str, Any], at: float = 0) -> Any:
        return user["name"]

    assert f({"id": "7", "name": "a"}) == f({"id": "7", "name": "b"}, at=1) == "a"
    g = cached(cache, key=lambda a: a)(lambda a: a)
    with pytest.raises(TypeError, match="is to return a str, and returned a int"):
        g(5)


def test_what_cannot_be_keyed_is_named(memory: Any) -> None:
    @cached(memory)
    def f(a: int, client: object) -> int:
        return a

    with pytest.raises(TypeError, match=r"(?s)client.*object"):
        f(1, object())


class Plain:
    def __init__(self) -> None:
        self.runs = 0

    def method(self, a: int) -> int:
        self.runs += 1
        return a


@dataclass(frozen=True)
class Model:
    name: str

    def method(self, a: int) -> str:
        return f"{self.name}{a}"


def test_self_is_refused_by_name_with_advice(memory: Any) -> None:
    class Service(Plain):
        call = cached(memory)(Plain.method)

    with pytest.raises(TypeError, match=r"(?s)self.*ignore"):
        Service().call(1)


def test_self_is_left_out_by_choice(memory: Any) -> None:
    class Service(Plain):
        call = cached(memory, ignore="self")(Plain.method)

    one, other = Service(), Service()
    assert [one.call(1), other.call(1), one.call.get(1), other.call.key_for(1)] == [1, 1, 1, one.call.key_for(1)]
    assert (one.runs, other.runs) == (1, 0)
    assert one.call.invalidate(1) is True
    assert str(inspect.signature(one.call)) == "(a: 'int') -> 'int'"


def test_self_is_keyed_by_its_content(cache: Any) -> None:
    class Cached(Model):
        pass

    Model.call = cached(cache)(Model.method)  # type: ignore[attr-defined]
    try:
        a, b = Model("a"), Model("b")
        assert [a.call(1), b.call(1), Model("a").call(1)] == ["a1", "b1", "a1"]  # type: ignore[attr-defined]
        assert cache.stats().sets == 2
    finally:
        del Model.call  # type: ignore[attr-defined]


def test_static_and_class_methods(cache: Any) -> None:
    class Service:
        @staticmethod
        @cached(cache)
        def static(a: int) -> list[int]:
            return [a]

        @classmethod
        @cached(cache, ignore="cls")
        def of_class(cls, a: int) -> list[Any]:
            return [cls.__name__, a]

    assert Service.static(1) == Service().static(1) == [1]
    assert Service.static.get(1) == [1]
    assert Service.of_class(1) == Service().of_class(1) == ["Service", 1]


def test_two_functions_of_one_namespace_are_told_apart(cache: Any) -> None:
    @cached(cache, namespace=("shared",))
    def one(a: int) -> int:
        return a

    @cached(cache, namespace=("shared",))
    def two(a: int) -> int:
        return -a

    @cached(cache, namespace=("shared",))
    def three(a: int) -> int:
        return a * 10

    assert [one(1), two(1), three(1)] == [1, -1, 10]


def test_two_closures_of_one_def_are_told_apart(cache: Any) -> None:
    def make(factor: Any) -> Any:
        @cached(cache)
        def times(a: int) -> Any:
            return [a, factor]

        return times

    for factor in (2, 3, 2.0, "2", [2], [3], {"model": "a"}, {"model": "b"}, (1, 2), Model("a"), Model("b")):
        assert make(factor)(1) == [1, factor]


def test_two_lambdas_are_told_apart(cache: Any) -> None:
    one, other = cached(cache)(lambda a: a + 1), cached(cache)(lambda a: a + 2)
    assert [one(1), other(1)] == [2, 3]


def test_partials_are_told_apart_by_what_they_hold(cache: Any) -> None:
    def power(base: int, exponent: int) -> int:
        return base**exponent

    with pytest.raises(TypeError, match="give a namespace"):
        cached(cache)(functools.partial(power, 2))
    decorate = cached(cache, namespace=("power",))
    two, three = decorate(functools.partial(power, 2)), decorate(functools.partial(power, 3))
    square = decorate(functools.partial(power, exponent=2))
    assert [two(5), three(5), square(5)] == [32, 243, 25]


def test_bound_methods_are_told_apart_by_their_object(cache: Any) -> None:
    one, other = cached(cache)(Model("a").method), cached(cache)(Model("b").method)
    assert [one(1), other(1)] == ["a1", "b1"]


def test_versions_do_not_see_each_other(cache: Any) -> None:
    def make(version: Any) -> Any:
        @cached(cache, version=version)
        def f() -> Any:
            return [version]

        return f

    for version in (None, 1, 2, "1", "source"):
        assert make(version)() == [version]
        assert make(version)() == [version]


def _function(source: str, tmp_path: Any, monkeypatch: Any) -> Callable[[], Any]:
    import importlib

    name = f"source_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    function: Callable[[], Any] = importlib.import_module(name).f
    return function


def test_the_version_source_counts_code_and_not_comments(memory: Any, tmp_path: Any, monkeypatch: Any) -> None:
    sources = [
        "def f():\n    return 1\n",
        "def f():  # one\n\n    # of them\n    return 1\n",
        "def f():\n    return 2\n",
    ]
    one, commented, other = (
        cached(memory, version="source")(_function(source, tmp_path, monkeypatch)).namespace[-1] for source in sources
    )
    assert one == commented != other


def test_generators_are_refused(memory: Any) -> None:
    def items() -> Iterator[int]:
        yield 1

    async def aitems() -> Any:
        yield 1

    class Items:
        def __call__(self) -> Iterator[int]:
            yield 1

    for each in (items, aitems, Items(), functools.partial(aitems), functools.partial(Items())):
        with pytest.raises(TypeError, match="is a generator"):
            cached(memory)(each)
    f = cached(memory)(lambda: items())
    with pytest.raises(TypeError, match="returned a generator"):
        f()


@pytest.mark.parametrize("wrong", [5, None, "f", classmethod(len)])
def test_what_is_no_function_is_refused(memory: Any, wrong: Any) -> None:
    with pytest.raises(TypeError, match="decorates a function"):
        cached(memory)(wrong)


def test_what_is_no_cache_is_refused() -> None:
    with pytest.raises(TypeError, match="takes a hitrate cache"):
        cached(cached_samples.double)  # type: ignore[arg-type]


def test_a_function_without_a_signature_is_refused(memory: Any) -> None:
    with pytest.raises(TypeError, match="signature"):
        cached(memory)(max)


OPTIONS: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"namespace": "a"}, TypeError),
    ({"version": True}, TypeError),
    ({"key": 5}, TypeError),
    ({"key": str, "ignore": "a"}, TypeError),
    ({"cache_if": 5}, TypeError),
    ({"cache_errors": (5,), "error_ttl": 1}, TypeError),
    ({"cache_errors": (KeyboardInterrupt,), "error_ttl": 1}, TypeError),
    ({"cache_errors": (ValueError,)}, ValueError),
    ({"error_ttl": 1}, ValueError),
    ({"ttl": "1"}, TypeError),
]


@pytest.mark.parametrize(("options", "kind"), OPTIONS)
def test_wrong_options_are_told(memory: Any, options: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        cached(memory, **options)(lambda a: a)


class State(TypedDict):
    number: int


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_node_of_a_graph(memory: Any, face: str) -> None:
    from langgraph.graph import END, START, StateGraph

    gate = Gated(is_open=True)

    @cached(memory)
    def node(state: State) -> State:
        gate()
        return {"number": state["number"] + 1}

    @cached(memory)
    async def anode(state: State) -> State:
        gate()
        return {"number": state["number"] + 1}

    builder = StateGraph(State)
    builder.add_node("node", node if face == "sync" else anode)
    builder.add_edge(START, "node")
    builder.add_edge("node", END)
    graph = builder.compile()
    for _ in range(2):
        if face == "sync":
            assert graph.invoke({"number": 1}) == {"number": 2}
        assert run(graph.ainvoke({"number": 1})) == {"number": 2}
    assert gate.runs == 1


def test_a_task_of_a_workflow(memory: Any) -> None:
    from langgraph.func import entrypoint, task

    step = task(cached_samples.double)

    @entrypoint()
    def workflow(number: int) -> int:
        return step(number).result()

    assert [workflow.invoke(21), workflow.invoke(21)] == [42, 42]


def test_recursion_goes_on(memory: Any) -> None:
    @cached(memory)
    def fib(n: int) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    assert fib(60) == 1548008755920
    assert memory.get_or_compute(KEY, lambda: 1) == 1


def test_entries_expire(cache: Any, clock: Clock) -> None:
    gate = Gated(is_open=True)
    f = cached(cache, ttl=10)(lambda: gate())
    f(), f()
    clock.advance(10)
    f()
    assert gate.runs == 2


def test_a_subclass_of_a_cache_is_one() -> None:
    class Mine(InMemoryCache[Any]):
        pass

    assert cached(Mine())(lambda: 1)() == 1


class Fuzzy(str):
    """Text whose own hash and comparison cannot be used."""

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")


def test_an_argument_counts_by_content_though_its_hash_raises(memory: Any) -> None:
    gate = Gated(is_open=True)
    f = cached(memory)(lambda text: gate())
    f(Fuzzy("a")), f(Fuzzy("a"))
    assert gate.runs == 1
    f(Fuzzy("b")), f("a")
    assert gate.runs == 3
