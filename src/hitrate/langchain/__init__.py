"""hitrate for LangChain: a middleware for ``create_agent``, caches for models and embeddings, and a store of bytes.

A run does not fail because of its cache: whatever the cache does, the model or the tool runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hitrate.lazy import lazily

if TYPE_CHECKING:
    from hitrate.langchain.byte_store import ByteStore
    from hitrate.langchain.embeddings import CachedEmbeddings
    from hitrate.langchain.llm import LLMCache
    from hitrate.langchain.middleware import CacheMiddleware
    from hitrate.langchain.saved import Savings, savings

_HOME = {
    "ByteStore": "byte_store",
    "CacheMiddleware": "middleware",
    "CachedEmbeddings": "embeddings",
    "LLMCache": "llm",
    "Savings": "saved",
    "savings": "saved",
}

__all__ = ["ByteStore", "CacheMiddleware", "CachedEmbeddings", "LLMCache", "Savings", "savings"]


__getattr__, __dir__ = lazily(globals(), _HOME)
