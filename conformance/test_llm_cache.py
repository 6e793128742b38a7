"""``hitrate.langchain.LLMCache`` under LangChain's own suites for caches of models, as they are."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.caches import BaseCache
from langchain_tests.integration_tests.cache import AsyncCacheTestSuite, SyncCacheTestSuite

from hitrate.langchain import LLMCache


class TestLLMCache(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, hitrate_cache: Any) -> BaseCache:
        return LLMCache(hitrate_cache)


class TestLLMCacheAsync(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, hitrate_cache: Any) -> BaseCache:
        return LLMCache(hitrate_cache)
