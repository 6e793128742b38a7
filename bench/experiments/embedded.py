"""The time of 1,000 texts embedded through a cache, cold and warm, by a model that takes no time of its own."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.contenders import Missing
from bench.experiments.base import Conditions, Samples
from bench.timing import no_collections

THEIRS = "CacheBackedEmbeddings"

_TEXTS = 1000
_CHARACTERS = 500
_NUMBERS = 1536
"""How many a vector has: as of a usual model, and each a float32."""


def measure(conditions: Conditions, *, where: str) -> Samples:
    """Measure ours and LangChain's, each over a new store in each round.

    Args:
        conditions: how to run.
        where: ``"memory"``, or ``"file"``: ours in SQLite, LangChain's in a ``LocalFileStore``.
    """
    texts = [f"{number} ".ljust(_CHARACTERS, "x") for number in range(_TEXTS)]
    vectors = [array("f", [(first + at) / 7919 for at in range(_NUMBERS)]).tolist() for first in range(_TEXTS)]
    try:
        openers = _openers(where, dict(zip(texts, vectors, strict=True)))
    except ImportError as error:
        if not conditions.allow_missing:
            raise Missing(THEIRS, error) from error
        return {"cold": {}, "warm": {}}
    samples: Samples = {"cold": {name: [] for name in openers}, "warm": {name: [] for name in openers}}
    with no_collections():
        for number in range(3 if conditions.quick else 15):
            conditions.progress(f"round {number + 1}")
            for name in conditions.rng.sample([*openers], len(openers)):
                folder = conditions.folder / f"{name}-{number}"
                folder.mkdir()
                embeddings, close = openers[name](folder)
                for part in ("cold", "warm"):
                    gc.collect()
                    started = time.perf_counter_ns()
                    returned = embeddings.embed_documents(texts)
                    samples[part][name].append((time.perf_counter_ns() - started) / 1e6)
                    if returned != vectors:
                        raise AssertionError(f"{name} returned something else")
                close()
    return samples


def _openers(
    where: str, vectors: dict[str, list[float]]
) -> dict[str, Callable[[Path], tuple[Any, Callable[[], None]]]]:
    from langchain_classic.embeddings import CacheBackedEmbeddings
    from langchain_classic.storage import InMemoryByteStore, LocalFileStore
    from langchain_core.embeddings import Embeddings

    from hitrate import InMemoryCache, SqliteCache
    from hitrate.langchain import CachedEmbeddings

    class Model(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [vectors[text] for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return vectors[text]

    model = Model()

    def ours(folder: Path) -> tuple[Any, Callable[[], None]]:
        cache: Any = InMemoryCache() if where == "memory" else SqliteCache(path=folder / "cache.db")
        return CachedEmbeddings(model, cache, model="bench"), cache.close

    def theirs(folder: Path) -> tuple[Any, Callable[[], None]]:
        store: Any = InMemoryByteStore() if where == "memory" else LocalFileStore(folder)
        made = CacheBackedEmbeddings.from_bytes_store(model, store, namespace="bench", key_encoder="blake2b")
        return made, lambda: None

    return {"hitrate": ours, THEIRS: theirs}
