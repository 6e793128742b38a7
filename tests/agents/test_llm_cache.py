"""LangChain's cache of models: what is found again, how it comes back, and that it never fails a call."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.language_models import LLM
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from sample_agents import Calls, Run, SampleModel, agent_that_looks, asking, call_of, looks_up, thread

import hitrate
from hitrate.langchain import LLMCache


@pytest.fixture
def as_global() -> Iterator[Callable[[Any], None]]:
    before = get_llm_cache()
    yield set_llm_cache
    set_llm_cache(before)


def echo(messages: list[BaseMessage]) -> AIMessage:
    return AIMessage(f"You said {messages[-1].text}.")


def test_a_model_answers_once(cache: Any, calls: Calls, run: Run) -> None:
    model = SampleModel(echo, calls, cache=LLMCache(cache))
    first, second = (run(model, "x") for _ in range(2))
    assert calls["model"] == 1
    assert second.content == first.content == "You said x."
    assert (second.usage_metadata["input_tokens"], second.usage_metadata["output_tokens"]) == (10, 5)
    assert second.id is None


def test_a_global_cache(in_memory: Any, calls: Calls, run: Run, as_global: Callable[[Any], None]) -> None:
    as_global(LLMCache(in_memory))
    for _ in range(2):
        run(SampleModel(echo, calls), "x")
    assert calls["model"] == 1


def test_a_loop_of_two_calls_is_warm_at_its_second_run(cache: Any, calls: Calls, run: Run) -> None:
    for _ in range(2):
        model = SampleModel(looks_up, calls, cache=LLMCache(cache))
        assert run(agent_that_looks(calls, [], model=model), asking("x"))["messages"][-1].text == "It is X."
    assert calls["model"] == 2


def test_a_thread_that_asks_again_keeps_all_its_messages(in_memory: Any, calls: Calls, run: Run) -> None:
    model = SampleModel(echo, calls, cache=LLMCache(in_memory))
    builder = StateGraph(MessagesState)
    builder.add_node("ask", lambda state: {"messages": [model.invoke([state["messages"][-1]])]})
    graph = builder.add_edge(START, "ask").compile(checkpointer=InMemorySaver())
    for question in ("hi", "how", "hi"):
        messages = run(graph, {"messages": [HumanMessage(question)]}, thread("1"))["messages"]
    assert [each.text for each in messages][-2:] == ["hi", "You said hi."]
    assert len(messages) == 6
    assert calls["model"] == 2


def test_each_hit_is_a_copy(in_memory: Any, calls: Calls) -> None:
    model = SampleModel(echo, calls, cache=LLMCache(in_memory))
    for _ in range(3):
        answer = model.invoke("x")
        assert answer.content == "You said x."
        answer.content = "changed"
    assert calls["model"] == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.bind(stop=["."]),
        lambda model: SampleModel(echo, model._calls, cache=model.cache, temperature=0.7, model_name="sample-2"),
        lambda model: model.bind(tools=[{"type": "function", "function": {"name": "look"}}]),
    ],
)
def test_settings_tell_calls_apart(change: Callable[[Any], Any], in_memory: Any, calls: Calls) -> None:
    class Telling(SampleModel):
        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"model_name": self.model_name}

    model = Telling(echo, calls, cache=LLMCache(in_memory))
    for _ in range(2):
        model.invoke("x")
        change(model).invoke("x")
    assert calls["model"] == 2


def test_a_set_among_the_settings_counts_by_what_is_in_it(in_memory: Any) -> None:
    cache = LLMCache(in_memory)
    cache.update("x", "[('stop', {'a', 'b'}), ('model', 'm')]", [Generation(text="y")])
    assert cache.lookup("x", "[('stop', {'b', 'a'}), ('model', 'm')]") == [Generation(text="y")]
    assert cache.lookup("x", "[('stop', {'b', 'c'}), ('model', 'm')]") is None


ADDRESSES = {
    "a function": "[('f', <function ask at 0x7f41e0b2c0d0>), ('model', 'm')]",
    "an object": "[('client', <client.Client object at 0x7f41e0b2c0d0>)]",
    "a bound method": "[('f', <bound method A.b of <__main__.A object at 0x7f41e0b2c0d0>>)]",
    "in a dict": "[('more', {'f': functools.partial(<function f at 0x10ab34560>, 1)})]",
    "of a model that is serialised": '{"lc": 1, "id": ["m"]}---[(\'f\', <function <lambda> at 0x7f41e0b2c0d0>)]',
    "a function that LangChain serialised": '{"lc": 1, "id": ["m"], "kwargs": {"f": {"lc": 1, '
    '"type": "not_implemented", "id": ["builtins", "function"]}}}---[(\'stop\', None)]',
}


@pytest.mark.parametrize("what", ADDRESSES)
def test_what_shows_as_an_address_keeps_a_call_out(what: str, in_memory: Any, caplog: Any) -> None:
    """Another process has another address, and another function may get this one."""
    cache = LLMCache(in_memory)
    for _ in range(2):
        cache.update("x", ADDRESSES[what], [Generation(text="y")])
        assert cache.lookup("x", ADDRESSES[what]) is None
    assert in_memory.stats().entries == 0
    assert caplog.text.count("runs uncached (logged once)") == 1


def test_two_bound_functions_never_share(in_memory: Any, calls: Calls) -> None:
    model = SampleModel(echo, calls, cache=LLMCache(in_memory))
    for _ in range(2):
        for function in (lambda: 1, lambda: 2):
            model.bind(f=function).invoke("x")
    assert calls["model"] == 4


@pytest.mark.parametrize(
    "quoted", ["[('d', 'see <f at 0x7f41e0b2c0d0>')]", "[('d', \"it's 0x7f41e0b2c0d0\"), ('k', <class 'a.B'>)]"]
)
def test_a_text_that_looks_like_an_address_is_none(quoted: str, in_memory: Any) -> None:
    cache = LLMCache(in_memory)
    cache.update("x", quoted, [Generation(text="y")])
    assert cache.lookup("x", quoted) == [Generation(text="y")]


def test_prompts_of_text_are_as_they_are(cache: Any, run: Run) -> None:
    asked: list[str] = []

    class Text(LLM):
        @property
        def _llm_type(self) -> str:
            return "text"

        def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **more: Any) -> str:
            asked.append(prompt)
            return prompt.upper()

    model = Text(cache=LLMCache(cache))
    for prompt in ("x", "y", "x", "[{}]", '[{"', '[{"'):
        assert run(model, prompt) == prompt.upper()
    assert asked == ["x", "y", "[{}]", '[{"']


def test_an_image_counts_by_its_bytes(in_memory: Any, calls: Calls) -> None:
    model = SampleModel(echo, calls, cache=LLMCache(in_memory))
    for data in ("aGVsbG8=", "aGVsbG8=", "aGVsbG8h"):
        model.invoke([HumanMessage([{"type": "image", "base64": data, "mime_type": "image/png"}])])
    assert calls["model"] == 2


def test_ids_do_not_count_and_results_do(in_memory: Any, calls: Calls) -> None:
    model = SampleModel(echo, calls, cache=LLMCache(in_memory))
    for result in ("X", "X", "Y"):
        call = call_of("look", q="x")
        model.invoke(
            [HumanMessage("x"), AIMessage("", tool_calls=[call]), ToolMessage(result, tool_call_id=call["id"])]
        )
    assert calls["model"] == 2


def test_an_answer_that_was_cut_off_is_not_kept(in_memory: Any, calls: Calls, run: Run) -> None:
    model = SampleModel(
        lambda messages: AIMessage("Once", response_metadata={"finish_reason": "length"}),
        calls,
        cache=LLMCache(in_memory),
    )
    for _ in range(2):
        run(model, "x")
    assert calls["model"] == 2


class _Broken(hitrate.InMemoryCache[Any]):
    def get(self, keys: Any) -> Any:
        raise ZeroDivisionError("broken")

    def set(self, pairs: Any) -> Any:
        raise ZeroDivisionError("broken")

    async def aget(self, keys: Any) -> Any:
        raise ZeroDivisionError("broken")

    def aset(self, pairs: Any) -> Any:
        raise ZeroDivisionError("broken")


@pytest.mark.parametrize("closed", [True, False])
def test_errors_are_misses(closed: bool, calls: Calls, run: Run, caplog: Any) -> None:
    cache = hitrate.InMemoryCache[Any]() if closed else _Broken()
    if closed:
        cache.close()
    model = SampleModel(echo, calls, cache=LLMCache(cache))
    for _ in range(2):
        assert run(model, "x").text == "You said x."
    assert calls["model"] == 2
    assert "runs uncached (logged once)" in caplog.text


def test_an_entry_of_another_shape_is_a_miss(in_memory: Any) -> None:
    cache = LLMCache(in_memory)
    cache.update("x", "m", [Generation(text="y")])
    full_key = cache._key("x", "m")
    assert full_key is not None
    for hostile in (1, [0.0, 0, 0, [["code", "y", None]]], [0.0, 0, 0, [["chat", 1, None]]], [0.0, "1", 0, []]):
        in_memory.set({full_key: (hostile, None)})
        assert cache.lookup("x", "m") is None


def test_generations_come_back_as_they_were(cache: Any) -> None:
    ours = LLMCache(cache)
    chat = ChatGeneration(message=AIMessage("y", response_metadata={"a": 1}), generation_info={"finish_reason": "stop"})
    for number, kept in enumerate(([Generation(text="y", generation_info={"a": [1]})], [chat, chat])):
        ours.update(str(number), "m", kept)
        assert ours.lookup(str(number), "m") == kept
        assert asyncio.run(ours.alookup(str(number), "m")) == kept


def test_scopes_bypass_and_refresh(cache: Any, calls: Calls, run: Run) -> None:
    model = SampleModel(echo, calls, cache=LLMCache(cache))

    def made() -> int:
        before = calls["model"]
        run(model, "x")
        return calls["model"] - before

    assert (made(), made()) == (1, 0)
    with hitrate.scope("acme"):
        assert (made(), made()) == (1, 0)
    with hitrate.bypass():
        assert (made(), made()) == (1, 1)
    with hitrate.refresh():
        assert (made(), made()) == (1, 1)
    assert made() == 0


def test_a_ttl(open_cache: Any, calls: Calls, clock: Any) -> None:
    model = SampleModel(echo, calls, cache=LLMCache(open_cache(), ttl=60))
    for seconds, number in ((0, 1), (59, 1), (2, 2)):
        clock.advance(seconds)
        model.invoke("x")
        assert calls["model"] == number


@pytest.mark.parametrize("face", ["clear", "aclear"])
def test_clear_removes_the_answers_of_models_alone(face: str, cache: Any, calls: Calls) -> None:
    cache.set({(("mine",), "k"): (1, None)})
    ours = LLMCache(cache)
    model = SampleModel(echo, calls, cache=ours)
    for number in (1, 2):
        model.invoke("x")
        assert calls["model"] == number
        if face == "clear":
            ours.clear()
        else:
            asyncio.run(ours.aclear())
    assert cache.get([(("mine",), "k")]) == {(("mine",), "k"): 1}


def test_async_methods_use_no_threads(in_memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import langchain_core.caches

    def refuse(*args: Any) -> Any:
        raise AssertionError("an executor")

    monkeypatch.setattr(langchain_core.caches, "run_in_executor", refuse)
    ours = LLMCache(in_memory)

    async def main() -> Any:
        await ours.aupdate("x", "m", [Generation(text="y")])
        found = await ours.alookup("x", "m")
        await ours.aclear()
        return found, await ours.alookup("x", "m")

    assert asyncio.run(main()) == ([Generation(text="y")], None)


def test_another_process_finds_the_answer(tmp_path: Any) -> None:
    code = f"""
import hitrate
from hitrate.langchain import LLMCache
from langchain_core.language_models import FakeListChatModel
with hitrate.SqliteCache(path={str(tmp_path / "c.db")!r}) as cache:
    model = FakeListChatModel(responses=["a", "b"], cache=LLMCache(cache))
    print(model.bind(stop=["."], kinds=frozenset("abcdef")).invoke("x").text, model.i)
"""
    with redirect_stdout(StringIO()) as printed:
        exec(code, {})
    assert printed.getvalue() == "a 1\n"
    again = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert again.stdout == "a 0\n"


def test_options_are_checked() -> None:
    with pytest.raises(TypeError, match="takes a hitrate cache"):
        LLMCache({})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="TTL"):
        LLMCache(hitrate.InMemoryCache(), ttl="1h")  # type: ignore[arg-type]
