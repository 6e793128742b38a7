"""What hits spared: tokens by model in ``stats()``, and records by namespace, model and tool, with money."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration
from sample_agents import Calls, Run, SampleModel, agent_that_looks, asking, looks_up

import hitrate
from hitrate.langchain import CacheMiddleware, LLMCache, savings


def test_tokens_of_hits_are_counted_by_model(cache: Any, calls: Calls, run: Run) -> None:
    agent = agent_that_looks(calls, [CacheMiddleware(cache, tools=["look"])])
    run(agent, asking("x"))
    assert cache.stats().tokens_saved == {}
    run(agent, asking("x"))
    run(agent, asking("x"))
    assert cache.stats().tokens_saved == {"sample-1": {"input": 40, "output": 20}}
    other = SampleModel(looks_up, calls, model_name="sample-2")
    for _ in range(2):
        run(agent_that_looks(calls, [CacheMiddleware(cache)], model=other), asking("x"))
    assert cache.stats().tokens_saved == {
        "sample-1": {"input": 40, "output": 20},
        "sample-2": {"input": 20, "output": 10},
    }


def test_an_llm_cache_counts_them_too(cache: Any, calls: Calls, run: Run) -> None:
    class Telling(SampleModel):
        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"model_name": self.model_name}

    ours = LLMCache(cache, prices={"sample-1": (1.0, 2.0)})
    model = Telling(looks_up, calls, cache=ours)
    for _ in range(3):
        run(model, "x")
    assert cache.stats().tokens_saved == {"sample-1": {"input": 20, "output": 10}}
    (record,) = ours.savings()
    assert (record.namespace, record.hits, record.misses) == (("langchain", "llm", "sample-1"), 2, 1)
    assert record.dollars == pytest.approx(40 / 1_000_000)


def test_savings_are_told_by_model_and_tool(in_memory: Any, calls: Calls, run: Run) -> None:
    middleware = CacheMiddleware(in_memory, tools=["look"], prices={"sample-1": (3.0, 15.0)})
    for _ in range(3):
        run(agent_that_looks(calls, [middleware]), asking("x"))
    records = {each.namespace: each for each in middleware.savings()}
    assert {*records} == {("langchain", "model", "sample-1"), ("langchain", "tool", "look")}
    model, tool = records["langchain", "model", "sample-1"], records["langchain", "tool", "look"]
    assert (model.hits, model.misses, model.input_tokens, model.output_tokens) == (4, 2, 40, 20)
    assert model.dollars == pytest.approx((40 * 3 + 20 * 15) / 1_000_000)
    assert model.hit_rate == pytest.approx(2 / 3)
    assert (tool.hits, tool.misses, tool.input_tokens, tool.dollars) == (2, 1, 0, None)
    assert tool.seconds_spent > 0
    assert savings(in_memory)[0].dollars is None


def test_a_tool_that_is_not_worth_its_place_is_seen(in_memory: Any, calls: Calls, run: Run) -> None:
    """What it takes to find the result of a tool that takes no time is more than it saves."""
    middleware = CacheMiddleware(in_memory, models=False, tools=["look"])
    for number in range(20):
        run(agent_that_looks(calls, [middleware]), asking(str(number)))
    (record,) = middleware.savings()
    assert (record.hits, record.misses, record.seconds_saved) == (0, 20, 0.0)
    assert record.seconds_spent > record.seconds_saved


def test_the_seconds_of_a_call_are_those_of_its_handler(in_memory: Any, calls: Calls) -> None:
    from time import perf_counter

    def answer(messages: list[BaseMessage]) -> AIMessage:
        end = perf_counter() + 0.05
        while perf_counter() < end:
            pass
        return AIMessage("done", tool_calls=[])

    agent = agent_that_looks(calls, [CacheMiddleware(in_memory)], model=SampleModel(answer, calls))
    for _ in range(3):
        agent.invoke(asking("x"))
    (record,) = savings(in_memory)
    assert record.seconds_saved >= 0.1


def test_genai_prices_tells_the_price_of_models_that_it_knows(in_memory: Any, calls: Calls) -> None:
    from genai_prices import Usage, calc_price

    for name in ("gpt-4o", "no-such-model"):
        agent = agent_that_looks(
            calls, [CacheMiddleware(in_memory)], model=SampleModel(looks_up, calls, model_name=name)
        )
        for _ in range(2):
            agent.invoke(asking("x"))
    records = {each.model: each for each in savings(in_memory)}
    expected = calc_price(Usage(input_tokens=20, output_tokens=10), model_ref="gpt-4o").total_price
    assert records["gpt-4o"].dollars == pytest.approx(float(expected))
    assert records["no-such-model"].dollars is None
    own = {each.model: each.dollars for each in savings(in_memory, prices={"gpt-4o": (0.0, 0.0)})}
    assert own == {"gpt-4o": 0.0, "no-such-model": None}


def test_without_genai_prices_tokens_alone_are_told(
    in_memory: Any, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    agent = agent_that_looks(
        calls, [CacheMiddleware(in_memory)], model=SampleModel(looks_up, calls, model_name="gpt-4o")
    )
    for _ in range(2):
        agent.invoke(asking("x"))
    (record,) = savings(in_memory)
    assert (record.input_tokens, record.dollars) == (20, None)


def test_a_tiered_cache_tells_them_too(calls: Calls, tmp_path: Any, run: Run) -> None:
    near, far = hitrate.InMemoryCache[Any](), hitrate.SqliteCache[Any](path=tmp_path / "cache.db")
    with hitrate.TieredCache[Any](near, far) as cache:
        for _ in range(2):
            run(agent_that_looks(calls, [CacheMiddleware(cache, tools=["look"])]), asking("x"))
        assert cache.stats().tokens_saved == {"sample-1": {"input": 20, "output": 10}}


def test_the_usage_of_one_call_is_counted_once_for_several_generations(in_memory: Any) -> None:
    cache = LLMCache(in_memory)
    usage: Any = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    answers = [ChatGeneration(message=AIMessage(text, usage_metadata=usage)) for text in ("a", "b", "c")]
    cache.update("x", "m", answers)
    assert cache.lookup("x", "m") is not None
    assert in_memory.stats().tokens_saved == {"model": {"input": 10, "output": 5}}


@pytest.mark.parametrize("prices", [[1], {"m": 3}, {"m": (1,)}, {"m": ("1", "2")}], ids=str)
def test_what_are_no_prices_is_refused(prices: Any, in_memory: Any) -> None:
    for take in (CacheMiddleware, LLMCache, savings):
        with pytest.raises(TypeError, match="prices are dollars"):
            take(in_memory, prices=prices)
