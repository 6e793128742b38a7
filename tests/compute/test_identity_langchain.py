"""Chat models, embeddings, tools and chains have content: their class and settings, without secrets and clients."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.chat_models import init_chat_model
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models.fake_chat_models import (
    FakeListChatModel,
    FakeMessagesListChatModel,
    GenericFakeChatModel,
    ParrotFakeChatModel,
)
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnableParallel, RunnablePassthrough
from langchain_core.tools import tool
from pydantic import BaseModel

from hitrate import cached, stable_key


def node(cache: Any, model: Any) -> Any:
    @cached(cache)
    def run(text: str) -> str:
        return str(model.invoke(text).content)

    return run


def test_a_node_over_a_model_just_works(cache: Any) -> None:
    for _ in range(2):
        answers = [node(cache, FakeListChatModel(responses=[answer]))("hello") for answer in ("yes", "no")]
        assert answers == ["yes", "no"]
    assert cache.stats().sets == 2


class Answer(BaseModel):
    text: str


@tool
def search(query: str) -> str:
    """Search."""
    return query


@tool
def lookup(query: str) -> str:
    """Look up."""
    return query


def models(provider: str, **options: Any) -> Any:
    # Not above: every process that collects this would import them, which takes seconds.
    if provider == "openai":
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(**{"model": "m-1", "api_key": "secret", **options})
    from langchain_anthropic import ChatAnthropic

    made: Any = ChatAnthropic
    return made(**{"model": "m-1", "api_key": "secret", **options})


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_models_of_providers(provider: str) -> None:
    def model(**options: Any) -> Any:
        return models(provider, **options)

    apart = [
        *(model(), model(model="m-2"), model(temperature=0.5), model(temperature=0), model(max_tokens=7)),
        *(model(base_url="http://localhost:1/"), model(default_headers={"a": "b"})),
        *(model().bind(stop=["x"]), model().bind_tools([search]), model().bind_tools([lookup])),
        *(model().with_structured_output(Answer), model().with_retry(), model().with_fallbacks([model(max_tokens=8)])),
    ]
    keys = [stable_key(each) for each in apart]
    assert len(set(keys)) == len(apart)
    assert keys[0] == stable_key(model(api_key="another")) == stable_key(model(callbacks=[]))
    assert stable_key(model(temperature=0)) == stable_key(model(temperature=0.0))


def test_a_model_that_was_used_is_the_same() -> None:
    model = models("anthropic")
    key = stable_key(model)
    assert model._client is not None
    assert stable_key(model) == key


def test_models_for_tests_chains_and_embeddings() -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "a {x}"), MessagesPlaceholder("m")])
    model = FakeListChatModel(responses=["a"])
    apart = [
        *(model, FakeListChatModel(responses=["b"]), FakeListChatModel(responses=["a"], sleep=0.5)),
        FakeMessagesListChatModel(responses=[AIMessage("a")]),
        GenericFakeChatModel(messages=iter([AIMessage("a")])),
        GenericFakeChatModel(messages=iter([AIMessage("b")])),
        ParrotFakeChatModel(),
        *(DeterministicFakeEmbedding(size=3), DeterministicFakeEmbedding(size=4)),
        *(prompt, prompt.partial(x="1"), ChatPromptTemplate.from_messages([("system", "b {x}")])),
        *(prompt | model, prompt | model | (lambda message: message.content), prompt | model | (lambda message: 1)),
        RunnableParallel(a=model, b=RunnablePassthrough()),
        RunnableParallel(a=model, c=RunnablePassthrough()),
        *(RunnableLambda(len), RunnableLambda(str), search, lookup),
        *(RunnablePassthrough.assign(z=lambda _: 1), RunnablePassthrough.assign(z=lambda _: 2)),
        model.configurable_fields(responses=ConfigurableField(id="r")),
    ]
    keys = [stable_key(each) for each in apart]
    assert len(set(keys)) == len(keys)
    assert stable_key(FakeListChatModel(responses=["a"])) == keys[0]
    assert stable_key(model.with_config(tags=["x"])) == stable_key(model.with_config(callbacks=[]))


def test_init_chat_model() -> None:
    make = init_chat_model
    apart = [
        make("openai:m-1", api_key="k"),
        make("openai:m-2", api_key="k"),
        make("openai:m-1", api_key="k", configurable_fields="any"),
        make("openai:m-1", api_key="k", configurable_fields="any", temperature=1),
        make(temperature=0),
        make(temperature=0).bind_tools([search]),
    ]
    keys = [stable_key(each) for each in apart]
    assert len(set(keys)) == len(keys)
    assert keys[2] == stable_key(make("openai:m-1", api_key="another", configurable_fields="any"))


class Own(FakeListChatModel):
    style: str = "plain"


class OwnConnected(FakeListChatModel):
    connection: Any = None


def test_models_of_ones_own() -> None:
    assert stable_key(Own(responses=["a"])) != stable_key(FakeListChatModel(responses=["a"]))
    assert stable_key(Own(responses=["a"])) != stable_key(Own(responses=["a"], style="curt"))
    with pytest.raises(TypeError, match=r"\.connection is of type builtins.object"):
        stable_key(OwnConnected(responses=["a"], connection=object()))
    assert stable_key(OwnConnected(responses=["a"], connection=object()), ignore="connection")
