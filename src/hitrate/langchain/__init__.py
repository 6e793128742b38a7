"""hitrate for LangChain: caches for embeddings, and a store of bytes.

A run does not fail because of its cache: whatever the cache does, the model runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hitrate.lazy import lazily

if TYPE_CHECKING:
    from hitrate.langchain.byte_store import ByteStore
    from hitrate.langchain.embeddings import CachedEmbeddings

_HOME = {
    "ByteStore": "byte_store",
    "CachedEmbeddings": "embeddings",
}

__all__ = ["ByteStore", "CachedEmbeddings"]


__getattr__, __dir__ = lazily(globals(), _HOME)
