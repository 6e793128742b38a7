"""Cached functions in the libraries that take functions: each reads from them what it reads from any function."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pydantic
import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool, tool
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.store.memory import InMemoryStore

from compute import hosted_samples
from compute.callers import run
from compute.documented_samples import Documented
from compute.hosted_samples import Body, Context, Data, Doubling, Model, Other, State, Two
from hitrate import cached

NODES: dict[str, Callable[[Any], tuple[Any, Any, Any]]] = {
    "functions": lambda d: (d(hosted_samples.route), d(hosted_samples.one), d(hosted_samples.two)),
    "coroutine functions": lambda d: (d(hosted_samples.aroute), d(hosted_samples.aone), d(hosted_samples.atwo)),
    "an object": lambda d: (d(hosted_samples.route), d(hosted_samples.one), d(Two())),
    "a method": lambda d: (d(hosted_samples.route), d(hosted_samples.one), Two().method),
    "a coroutine method": lambda d: (d(hosted_samples.route), d(hosted_samples.one), Two().amethod),
}


@pytest.mark.parametrize("kind", NODES)
def test_a_node_keeps_its_input_schema_and_its_edges(memory: Any, kind: str) -> None:
    route, one, two = NODES[kind](cached(memory, namespace=("nodes",)))
    builder = StateGraph(State)
    builder.add_node("route", route)
    builder.add_node("one", one)
    builder.add_node("two", two)
    builder.add_edge(START, "route")
    builder.add_edge("one", "two")
    graph = builder.compile()
    for _ in range(2):
        assert run(graph.ainvoke({"question": "x"}))["answer"] == "s3"
    edges = [(edge.source, edge.target) for edge in graph.get_graph().edges if edge.conditional]
    assert edges == [("route", "one")]


@pytest.mark.parametrize("kind", ["function", "coroutine function"])
def test_a_conditional_edge_keeps_its_targets(memory: Any, kind: str) -> None:
    def where(state: State) -> Literal["node"]:
        return "node"

    async def awhere(state: State) -> Literal["node"]:
        return "node"

    builder = StateGraph(State)
    builder.add_node("node", lambda state: {"answer": "1"})
    builder.add_conditional_edges(START, cached(memory)(where if kind == "function" else awhere))
    graph = builder.compile()
    assert run(graph.ainvoke({"question": "x"}))["answer"] == "1"
    assert [(edge.source, edge.target) for edge in graph.get_graph().edges if edge.conditional] == [
        ("__start__", "node")
    ]


def _answer(node: Any) -> Any:
    builder = StateGraph(State, context_schema=Context)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile(store=InMemoryStore()).invoke({"question": "x"}, context=Context("ada"))["answer"]


@pytest.mark.parametrize("parameter", ["runtime", "config", "store"])
def test_what_a_graph_injects_is_told(memory: Any, parameter: str) -> None:
    with pytest.raises(TypeError, match=rf"(?s)argument {parameter} cannot be part of a key.*ignore="):
        _answer(cached(memory)(getattr(hosted_samples, f"with_{parameter}")))


@pytest.mark.parametrize("parameter", ["runtime", "config", "writer", "store"])
def test_what_a_graph_injects_can_be_left_out(memory: Any, parameter: str) -> None:
    node = cached(memory, ignore=parameter)(getattr(hosted_samples, f"with_{parameter}"))
    assert _answer(node) == _answer(node) == "ada"
    assert memory.stats().sets == 1


def test_tasks_and_entrypoints(memory: Any) -> None:
    @cached(memory)
    def double(n: int) -> int:
        return n * 2

    @cached(memory)
    async def adouble(n: int) -> int:
        return n * 2

    @entrypoint()
    @cached(memory)
    def workflow(n: int) -> int:
        return task(double)(n).result()

    @entrypoint()
    async def aworkflow(n: int) -> int:
        return await task(adouble)(n)

    assert workflow.invoke(2) == run(aworkflow.ainvoke(2)) == 4


def test_methods_of_a_pydantic_model() -> None:
    assert (Model(n=3).square(), Model(n=4).square(), run(Model(n=5).asquare())) == (9, 16, 25)
    assert (Model(n=3).square.get(), Model(n=3).square.invalidate(), Model(n=3).square.get()) == (9, True, None)
    assert (Model(n=3).next, Model(n=3).twice, Model(n=3).thrice, Model.static(3)) == (4, 6, 9, 3)
    assert list(Model.model_fields) == ["n"]
    assert Model.model_validate({"n": "3"}).model_dump() == {"n": 3, "twice": 6}
    assert [type(Model.of(1)), type(Other.of(1)), type(Model.of(1))] == [Model, Other, Model]
    assert (Data(3).square(), Data(4).square()) == (9, 16)


def test_validate_call_over_and_under_it(memory: Any) -> None:
    @pydantic.validate_call
    @cached(memory)
    def over(a: int) -> list[Any]:
        """Over."""
        return [a]

    @cached(memory)
    @pydantic.validate_call
    def under(a: int) -> list[Any]:
        return [a]

    @pydantic.validate_call
    @cached(memory)
    async def aover(a: int) -> list[Any]:
        return [a]

    assert over("1") == under("1") == run(aover("1")) == [1]  # type: ignore[arg-type]
    assert over.__doc__ == "Over."
    assert inspect.iscoroutinefunction(aover)
    assert pydantic.validate_call(Documented().method)("1") == 1  # type: ignore[arg-type]
    with pytest.raises(pydantic.ValidationError):
        over("x")  # type: ignore[arg-type]


def test_a_tool_is_no_function(memory: Any) -> None:
    def add(a: int) -> int:
        """Add."""
        return a

    with pytest.raises(TypeError, match=r"of type StructuredTool: write @tool, or what else makes it, above @cached"):
        cached(memory)(tool(add))  # type: ignore[type-var]


def test_tools(memory: Any) -> None:
    @tool(parse_docstring=True)
    @cached(memory)
    def add(a: int, b: int = 2) -> int:
        """Add two numbers.

        Args:
            a: one.
            b: the other.
        """
        return a + b

    @tool
    @cached(memory)
    async def aadd(a: int, b: int = 2) -> int:
        """Add two numbers."""
        return a + b

    assert add.invoke({"a": 1}) == run(aadd.ainvoke({"a": 1})) == 3
    assert add.args["a"] == {"description": "one.", "title": "A", "type": "integer"}
    assert aadd.coroutine is not None
    assert Doubling().invoke({"a": 2}) == run(Doubling().ainvoke({"a": 2})) == 4
    assert list(Doubling().args) == ["a"]
    method = StructuredTool.from_function(Documented().method)
    assert (method.name, method.description, list(method.args)) == ("method", "Return the number.", ["number"])
    assert method.invoke({"number": 1}) == 1


def test_runnables(memory: Any) -> None:
    async def anext(n: int) -> int:
        return n + 1

    assert RunnableLambda(cached(memory)(lambda n: n + 1)).invoke(1) == 2
    assert run(RunnableLambda(cached(memory)(anext)).ainvoke(1)) == 2


def test_routes_and_dependencies(memory: Any) -> None:
    app = FastAPI()

    @cached(memory)
    def double(q: int = 5) -> int:
        return q * 2

    @cached(memory)
    async def triple(q: int = 5) -> int:
        return q * 3

    service = Documented()

    @app.get("/all")
    def all_of_them(
        a: Annotated[int, Depends(double)],
        b: Annotated[int, Depends(triple)],
        c: Annotated[int, Depends(service.method)],
    ) -> list[int]:
        return [a, b, c]

    @app.get("/sync/{n}")
    @cached(memory)
    def sync(n: int, q: str = "d") -> dict[str, Any]:
        """Say what was asked."""
        return {"n": n, "q": q}

    @app.get("/async/{n}")
    @cached(memory)
    async def not_sync(n: int, q: str = "d") -> dict[str, Any]:
        return {"n": n, "q": q}

    @app.post("/body")
    @cached(memory)
    def with_body(body: Annotated[Body, "from the request"]) -> Body:
        return body

    app.get("/method")(service.method)
    with TestClient(app) as client:
        for _ in range(2):
            assert client.get("/all?q=1&number=7").json() == [2, 3, 7]
            assert client.get("/sync/3").json() == client.get("/async/3").json() == {"n": 3, "q": "d"}
            assert client.post("/body", json={"a": 1}).json() == {"a": 1}
            assert client.get("/method?number=4").json() == 4
        assert client.get("/sync/x").status_code == 422
        assert client.get("/openapi.json").json()["paths"]["/sync/{n}"]["get"]["description"] == "Say what was asked."


def test_a_coroutine_function_runs_in_the_loop_of_its_host(memory: Any) -> None:
    @cached(memory)
    async def loop_of(n: int) -> bool:
        return asyncio.get_running_loop() is not None

    app = FastAPI()
    app.get("/{n}")(loop_of)
    with TestClient(app) as client:
        assert client.get("/1").json() is True
