"""``hitrate.explain`` of the calls of models and tools: the parts of a key have the names that a user knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel, SecretStr
from sample_agents import Calls, SampleModel, agent_that_looks, asking, tool_that_looks

import hitrate
from hitrate import explain
from hitrate.langchain import CacheMiddleware, LLMCache


@pytest.fixture(autouse=True)
def _remembering() -> Iterator[None]:
    with hitrate.remember_parts():
        yield


@pytest.fixture
def cache() -> Iterator[Any]:
    with hitrate.InMemoryCache[Any]() as opened:
        yield opened


class Answer(BaseModel):
    """An answer."""

    text: str


class KeyedModel(SampleModel):
    api_key: SecretStr | None = None
    stop_words: tuple[str, ...] = ()


def says_x(messages: list[BaseMessage]) -> AIMessage:
    return AIMessage("x")


def keys_of(cache: Any, do: Callable[[], object]) -> list[Any]:
    """The full keys that were looked up."""
    keys: list[Any] = []
    cache.events = lambda event: keys.append((event.namespace, event.key)) if event.operation == "get" else None
    do()
    cache.events = None
    return keys


def differences(cache: Any, first: Callable[[], object], second: Callable[[], object]) -> dict[str, tuple[Any, Any]]:
    """What of the first key of one doing differs from that of another, by what is shown of it here and there."""
    first()
    key, *_ = keys_of(cache, second)
    near = explain(cache, key).nearest
    assert near, "the first call is not among the nearest"
    told = min((each.differences for each in near), key=len)
    return {each.name: (each.here and each.here.shown, each.there and each.there.shown) for each in told}


def asked(cache: Any, calls: Calls, text: str = "hi", *, scope: Any = None, **options: Any) -> Callable[[], object]:
    """Ask an agent of one model call."""
    settings = options.pop("settings", {})
    options.setdefault("tools", [tool_that_looks(calls)])
    model = KeyedModel(options.pop("answer", says_x), calls, **settings)
    return lambda: agent_that_looks(
        calls, [CacheMiddleware(cache, tools=["look"], scope=scope)], model=model, **options
    ).invoke(asking(text))


def test_the_parts_of_a_models_key_have_names(cache: Any, calls: Calls) -> None:
    key, *_ = keys_of(cache, asked(cache, calls, system_prompt="Be brief.", name="helper", scope="v1"))
    names = [each.name for each in explain(cache, key).parts]
    assert not [name for name in names if name.startswith("*")]
    assert {"scope", "agent", "system_prompt", "messages.0", "tools", "model.temperature", "model.class"} <= {*names}


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({}, {"system_prompt": "Be brief."}, {"system_prompt": ("['Be brief.', {}]", None)}),
        ({"system_prompt": "a"}, {"system_prompt": "b"}, {"system_prompt": ("['b', {}]", "['a', {}]")}),
        ({"text": "a"}, {"text": "b"}, {"messages.0": ("['human', 'b']", "['human', 'a']")}),
        ({"settings": {"temperature": 0.5}}, {}, {"model.temperature": ("0.0", "0.5")}),
        ({"settings": {"size": 1}}, {"settings": {"size": 2}}, {"model.size": ("2", "1")}),
        ({"scope": "v1"}, {"scope": "v2"}, {"scope": None}),
        ({"name": "one"}, {"name": "two"}, {"agent": ("'two'", "'one'")}),
        ({}, {"response_format": ToolStrategy(Answer)}, {"response_format": None, "tools": None, "tool_choice": None}),
    ],
    ids=[
        *("a new system prompt", "another system prompt", "another message", "a default setting", "another setting"),
        *("another scope", "another agent", "a response format"),
    ],
)
def test_what_differs_is_named(
    before: dict[str, Any], now: dict[str, Any], expected: dict[str, Any], cache: Any, calls: Calls
) -> None:
    told = differences(cache, asked(cache, calls, **before), asked(cache, calls, **now))
    assert told
    assert told.keys() <= expected.keys()
    for name, shown in expected.items():
        assert shown is None or told[name] == shown


def test_another_setting_that_is_no_plain_value_is_named(cache: Any, calls: Calls) -> None:
    one, other = ({"settings": {"stop_words": (word,)}} for word in ("a", "b"))
    assert [*differences(cache, asked(cache, calls, **one), asked(cache, calls, **other))] == ["model.stop_words"]


def test_another_tool_is_named_by_its_name(cache: Any, calls: Calls) -> None:
    @tool
    def look(q: str) -> str:
        """Look it up elsewhere."""
        return q

    told = differences(cache, asked(cache, calls), asked(cache, calls, tools=[look]))
    assert [*told] == ["tools.look"]


def test_another_order_of_tools_is_named(cache: Any, calls: Calls) -> None:
    @tool
    def other(q: str) -> str:
        """Another."""
        return q

    tools = [tool_that_looks(calls), other]
    told = differences(cache, asked(cache, calls, tools=tools), asked(cache, calls, tools=tools[::-1]))
    assert told == {"tools": ("['other', 'look']", "['look', 'other']")}


def test_a_secret_is_not_shown(cache: Any, calls: Calls) -> None:
    key, *_ = keys_of(cache, asked(cache, calls, settings={"api_key": SecretStr("sk-secret")}))
    explanation = explain(cache, key)
    assert explanation.parts
    assert "sk-secret" not in str(explanation)


def test_the_parts_of_a_tools_key_have_names(cache: Any, calls: Calls) -> None:
    agent = agent_that_looks(calls, [CacheMiddleware(cache, tools=["look"], key=lambda request: ["tenant", 1])])
    keys = keys_of(cache, lambda: agent.invoke(asking("a")))
    (of_tool,) = [key for key in keys if key[0][:2] == ("langchain", "tool")]
    parts = {each.name: each.shown for each in explain(cache, of_tool).parts}
    assert parts.keys() == {"scope", "tool", "args.q", "key"}
    assert parts["args.q"] == "'a'"


def test_the_parts_of_a_key_of_an_llm_cache_have_names(cache: Any, calls: Calls) -> None:
    model = SampleModel(says_x, calls, cache=LLMCache(cache))
    told = differences(
        cache, lambda: model.invoke([HumanMessage("a")]), lambda: model.invoke([HumanMessage("a"), HumanMessage("b")])
    )
    assert told == {"messages.1": ("['human', 'b']", None)}


def test_a_key_is_the_same_whether_its_parts_are_told_or_not(cache: Any, calls: Calls) -> None:
    ask = asked(cache, calls, system_prompt="Be brief.")
    told = keys_of(cache, ask)
    hitrate.remember_parts(0)
    assert keys_of(cache, ask) == told
