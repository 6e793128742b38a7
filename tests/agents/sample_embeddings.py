"""Embedding models for tests: they note what they are asked, and each text has a vector of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from langchain_core.embeddings import Embeddings

OpenCache = Callable[..., Any]


class Model(Embeddings):
    """Embeds a text as its length and a number that is no float32; a query as something else.

    Args:
        vector: of a text, if not that.
    """

    def __init__(self, vector: Callable[[str], Any] | None = None) -> None:
        self.batches: list[list[str]] = []
        self.queries: list[str] = []
        self._vector = vector or (lambda text: [float(len(text)), 0.1])

    @property
    def texts(self) -> list[str]:
        """All texts that were embedded as documents."""
        return [text for batch in self.batches for text in batch]

    def embed_documents(self, texts: list[str]) -> list[Any]:
        self.batches.append(texts)
        return [self._vector(text) for text in texts]

    def embed_query(self, text: str) -> list[Any]:
        self.queries.append(text)
        return [0.5, *self._vector(text)]

    async def aembed_documents(self, texts: list[str]) -> list[Any]:
        await asyncio.sleep(0)
        return self.embed_documents(texts)

    async def aembed_query(self, text: str) -> list[Any]:
        await asyncio.sleep(0)
        return self.embed_query(text)


class Face:
    """One of the two faces of embeddings."""

    def __init__(self, name: str) -> None:
        self.is_async = name == "async"

    def documents(self, embeddings: Embeddings, texts: list[str]) -> Any:
        if self.is_async:
            return asyncio.run(embeddings.aembed_documents(texts))
        return embeddings.embed_documents(texts)

    def query(self, embeddings: Embeddings, text: str) -> Any:
        if self.is_async:
            return asyncio.run(embeddings.aembed_query(text))
        return embeddings.embed_query(text)
