"""Which embeddings share vectors: those of one model with equal settings, and no others."""

from __future__ import annotations

import asyncio
import json
from array import array
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from hitrate import InMemoryCache
from hitrate.langchain import CachedEmbeddings

if TYPE_CHECKING:
    from langchain_openai import OpenAIEmbeddings


class Fields(BaseModel, Embeddings):
    """As most embeddings of LangChain's partners: a pydantic model."""

    model_config = ConfigDict(arbitrary_types_allowed=True, protected_namespaces=())

    model: str = "small"
    dimensions: int | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    preprocess: Any = None
    base_url: str | None = None
    api_key: SecretStr | None = None
    max_retries: int = 2
    chunk_size: int = 1000
    show_progress_bar: bool = False
    call_count: int = 0
    centre: Any = None
    client: Any = Field(default=None, exclude=True)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        calls.append(self)
        self.call_count += 1
        return [[1.0] for _ in texts]

    def embed_query(self, text: str) -> list[float]:
        return [1.0]


class Others(Fields):
    """The same fields in another class."""


class Plain(Embeddings):
    """A class that keeps what it is made with."""

    def __init__(self, model: Any = "small", *, dimensions: int = 8, prefix: str = "", client: Any = None) -> None:
        self.model_name = model
        self._prefix = prefix
        self.dimensions = dimensions
        self.client = client
        self.calls = 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.calls += 1
        calls.append(self)
        return [[1.0] for _ in texts]

    def embed_query(self, text: str) -> list[float]:
        return [1.0]


calls: list[Any] = []


def share(one: Embeddings, two: Embeddings, model: str | None = None) -> bool:
    """Tell whether the second finds what the first embedded, and the first still does."""
    calls.clear()
    with InMemoryCache[Any]() as cache:
        for embeddings in (one, two, one):
            CachedEmbeddings(embeddings, cache, model=model).embed_documents(["a"])
    return len(calls) == 1


APART: dict[str, tuple[Embeddings, Embeddings]] = {
    "models": (Fields(model="small"), Fields(model="large")),
    "dimensions": (Fields(), Fields(dimensions=256)),
    "other dimensions": (Fields(dimensions=512), Fields(dimensions=256)),
    "what is passed to the model": (Fields(), Fields(model_kwargs={"normalize": True})),
    "what is passed beside a client": (
        Fields(model_kwargs={"of": object(), "normalize": True}),
        Fields(model_kwargs={"of": object(), "normalize": False}),
    ),
    "a function": (Fields(preprocess=str.lower), Fields(preprocess=lambda text: text.upper())),
    "an array": (Fields(centre=np.array([0.0])), Fields(centre=np.array([1.0]))),
    "models of a plain class": (Plain("small"), Plain("large")),
    "dimensions of a plain class": (Plain(), Plain(dimensions=9)),
    "a prefix that is kept privately": (Plain(), Plain(prefix="query: ")),
}

ALIKE: dict[str, tuple[Embeddings, Embeddings]] = {
    "equal": (Fields(dimensions=3), Fields(dimensions=3)),
    "secrets": (Fields(api_key=SecretStr("one")), Fields(api_key=SecretStr("two"))),
    "how it is asked": (Fields(), Fields(max_retries=9, chunk_size=7, show_progress_bar=True)),
    "clients": (Fields(client=object()), Fields(client=object())),
    "a default that is said": (Fields(), Fields(dimensions=None, model="small")),
    "plain classes": (Plain(), Plain()),
    "clients of plain classes": (Plain(client=object()), Plain(client=["of", "calls"])),
}


@pytest.mark.parametrize("model", [None, "name"])
@pytest.mark.parametrize(("one", "two"), APART.values(), ids=APART)
def test_what_changes_vectors_keeps_them_apart(one: Embeddings, two: Embeddings, model: str | None) -> None:
    assert not share(one, two, model)


@pytest.mark.parametrize("model", [None, "name"])
@pytest.mark.parametrize(("one", "two"), ALIKE.values(), ids=ALIKE)
def test_what_changes_no_vector_does_not(one: Embeddings, two: Embeddings, model: str | None) -> None:
    assert share(one, two, model)


def test_of_two_classes_the_program_says_whether_they_ask_one_model() -> None:
    assert not share(Fields(), Others())
    assert share(Fields(), Others(), "name")


def test_of_two_servers_the_program_says_whether_they_have_one_model() -> None:
    one, two = Fields(base_url="http://localhost:1"), Fields(base_url="http://localhost:2")
    assert not share(one, two)
    assert share(one, two, "name")


def test_two_names_are_two_models() -> None:
    calls.clear()
    with InMemoryCache[Any]() as cache:
        for model in ("m1", "m2", "m1"):
            CachedEmbeddings(Plain(), cache, model=model).embed_documents(["a"])
    assert len(calls) == 2


def test_a_setting_that_is_changed_afterwards_counts() -> None:
    calls.clear()
    inner = Plain()
    with InMemoryCache[Any]() as cache:
        embeddings = CachedEmbeddings(inner, cache)
        embeddings.embed_documents(["a"])
        inner.dimensions = 3
        embeddings.embed_documents(["a"])
        inner.dimensions = 8
        embeddings.embed_documents(["a"])
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("embeddings", "name"),
    [(Fields(), "small"), (Plain("large"), "large"), (Fields(model="http://localhost:8080"), "http://localhost:8080")],
)
def test_the_name_of_a_model_is_taken_from_the_embeddings(embeddings: Embeddings, name: str) -> None:
    with InMemoryCache[Any]() as cache:
        assert CachedEmbeddings(embeddings, cache).model == name


@pytest.mark.parametrize("embeddings", [DeterministicFakeEmbedding(size=3), Plain(None), Plain(3), Plain("")])
def test_embeddings_that_do_not_tell_their_model_need_a_name(embeddings: Embeddings) -> None:
    with InMemoryCache[Any]() as cache, pytest.raises(ValueError, match=r"two models must not share.*model='...'"):
        CachedEmbeddings(embeddings, cache)


def test_real_fake_embeddings_of_two_sizes_are_apart() -> None:
    with InMemoryCache[Any]() as cache:
        for size in (3, 4, 3):
            embeddings = CachedEmbeddings(DeterministicFakeEmbedding(size=size), cache, model="fake")
            assert embeddings.embed_documents(["a"]) == DeterministicFakeEmbedding(size=size).embed_documents(["a"])
            assert embeddings.embed_query("b") == DeterministicFakeEmbedding(size=size).embed_query("b")


def test_embeddings_over_cached_ones_do_not_wait_for_themselves() -> None:
    with InMemoryCache[Any]() as cache:
        inner = CachedEmbeddings(Plain(), cache)
        assert CachedEmbeddings(inner, cache).embed_documents(["a"]) == [[1.0]]
        assert CachedEmbeddings(inner, cache, model="small").embed_documents(["b"]) == [[1.0]]


def _openai(asked: list[Any], **settings: Any) -> OpenAIEmbeddings:
    """Embeddings of OpenAI's, whose client is answered here as the service does."""
    from langchain_openai import OpenAIEmbeddings

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        asked.append(body["input"])
        numbers = [[float(len(text)), 0.5, 0.1][: body.get("dimensions", 3)] for text in body["input"]]
        encoded = [b64encode(array("f", vector).tobytes()).decode() for vector in numbers]
        data = [{"object": "embedding", "index": at, "embedding": each} for at, each in enumerate(encoded)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return httpx.Response(200, json={"object": "list", "model": body["model"], "data": data, "usage": usage})

    transport = httpx.MockTransport(answer)
    return OpenAIEmbeddings(
        api_key=SecretStr("none"),
        check_embedding_ctx_length=False,
        http_client=httpx.Client(transport=transport),
        http_async_client=httpx.AsyncClient(transport=transport),
        **settings,
    )


def test_real_embeddings_of_openai() -> None:
    asked: list[Any] = []
    expected = [[1.0, 0.5, float(np.float32(0.1))], [2.0, 0.5, float(np.float32(0.1))]]
    with InMemoryCache[Any]() as cache:
        for _ in range(2):  # the second has other clients
            embeddings = CachedEmbeddings(_openai(asked, model="text-embedding-3-small"), cache)
            assert embeddings.model == "text-embedding-3-small"
            assert embeddings.embed_documents(["a", "bb"]) == expected
            assert asyncio.run(embeddings.aembed_documents(["bb", "a"])) == expected[::-1]
        assert asked == [["a", "bb"]]
        smaller = CachedEmbeddings(_openai(asked, model="text-embedding-3-small", dimensions=2), cache)
        assert smaller.embed_documents(["a"]) == [[1.0, 0.5]]
        larger = CachedEmbeddings(_openai(asked, model="text-embedding-3-large"), cache)
        assert larger.embed_documents(["a"]) == expected[:1]
    assert asked == [["a", "bb"], ["a"], ["a"]]
