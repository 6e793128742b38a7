"""hitrate for LangChain: a middleware for ``create_agent``, caches for models and embeddings, and a store of bytes.

A run does not fail because of its cache: whatever the cache does, the model or the tool runs.
"""

# What is where:
#
#   middleware.py                  CacheMiddleware: which calls of an agent are answered from a cache
#   model_calls.py, tool_calls.py  the key of a call, and what is kept of its result; spared.py: the call is made once
#   llm.py                         LLMCache; prompts.py: the two texts that LangChain gives it as a key
#   embeddings.py                  CachedEmbeddings; embedding_models.py: which vectors a model makes, vectors.py:
#                                  vectors as bytes
#   byte_store.py                  ByteStore
#   models.py                      which model answers; settings.py: its settings as content
#   history.py                     messages as a key has them; media.py: images, sound and files in them
#   answers.py                     which answers are good for other runs, and what makes an old one new
#   saved.py                       savings: what hits spared

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
