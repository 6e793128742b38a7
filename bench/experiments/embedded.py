"""The time of 1,000 texts embedded through a cache, cold and warm, by a model that takes no time of its own."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.contenders import Missing
from bench.contenders.graphs import graph_caches
from bench.contenders.redis import socket_of_server
from bench.experiments.base import Conditions, Samples
from bench.experiments.whole_runs import Program, whole_runs

Opener = Callable[[Path], tuple[Any, Callable[[], None]]]
"""Returns embeddings over a new store, and what closes it."""

THEIRS = "CacheBackedEmbeddings"

_TEXTS = 1000
_CHARACTERS = 500
_NUMBERS = 1536
"""How many a vector has: as of a usual model, and each a float32."""


def measure(conditions: Conditions, *, where: str, awaited: bool = False) -> Samples:
    """Measure ours and LangChain's, each over a new store in each round.

    Args:
        conditions: how to run.
        where: ``"memory"``, ``"file"``: ours in SQLite, LangChain's in a ``LocalFileStore``, or ``"redis"``:
            LangChain's in langchain-community's ``RedisStore``.
        awaited: whether the texts are embedded by ``aembed_documents``.
    """
    texts = [f"{number} ".ljust(_CHARACTERS, "x") for number in range(_TEXTS)]
    vectors = [array("f", [(first + at) / 7919 for at in range(_NUMBERS)]).tolist() for first in range(_TEXTS)]
    try:
        openers = _openers(where, conditions.folder, dict(zip(texts, vectors, strict=True)))
    except ImportError as error:
        if not conditions.allow_missing:
            raise Missing(THEIRS, error) from error
        return {"cold": {}, "warm": {}}
    programs = {name: _program(opener, texts, awaited) for name, opener in openers.items()}
    return whole_runs(conditions, programs, vectors, awaited=awaited)


def _program(opener: Opener, texts: list[str], awaited: bool) -> Program:
    @contextmanager
    def program(folder: Path) -> Iterator[Callable[[], Any]]:
        embeddings, close = opener(folder)
        yield partial(embeddings.aembed_documents if awaited else embeddings.embed_documents, texts)
        close()

    return program


def _openers(where: str, base: Path, vectors: dict[str, list[float]]) -> dict[str, Opener]:
    from langchain_classic.embeddings import CacheBackedEmbeddings
    from langchain_classic.storage import InMemoryByteStore, LocalFileStore
    from langchain_core.embeddings import Embeddings

    from hitrate.langchain import CachedEmbeddings

    class Model(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [vectors[text] for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return vectors[text]

    model = Model()

    open_cache = graph_caches(where, base)["hitrate"]
    open_store: Callable[[Path], Any]
    if where == "memory":
        open_store = lambda folder: InMemoryByteStore()  # noqa: E731
    elif where == "file":
        open_store = LocalFileStore
    else:
        open_store = _redis_store(base)

    def ours(folder: Path) -> tuple[Any, Callable[[], None]]:
        at_the_end = ExitStack()
        cache = at_the_end.enter_context(open_cache(folder))
        return CachedEmbeddings(model, cache, model="bench"), at_the_end.close

    def theirs(folder: Path) -> tuple[Any, Callable[[], None]]:
        store = open_store(folder)
        made = CacheBackedEmbeddings.from_bytes_store(model, store, namespace="bench", key_encoder="blake2b")
        return made, lambda: None

    return {"hitrate": ours, THEIRS: theirs}


def _redis_store(base: Path) -> Callable[[Path], Any]:
    from langchain_community.storage import RedisStore
    from redis import Redis

    client = Redis(unix_socket_path=socket_of_server(base))
    return lambda folder: RedisStore(client=client, namespace=folder.name)
