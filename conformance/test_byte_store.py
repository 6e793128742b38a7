"""``hitrate.langchain.ByteStore`` under LangChain's own suites for stores, as they are."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.stores import BaseStore
from langchain_tests.integration_tests.base_store import BaseStoreAsyncTests, BaseStoreSyncTests

from hitrate.langchain import ByteStore

VALUES = (b"", b"\x00\xff", b"a value")


class TestByteStore(BaseStoreSyncTests[bytes]):
    @pytest.fixture
    def kv_store(self, hitrate_cache: Any) -> BaseStore[str, bytes]:
        return ByteStore(hitrate_cache)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return VALUES


class TestByteStoreAsync(BaseStoreAsyncTests[bytes]):
    @pytest.fixture
    async def kv_store(self, hitrate_cache: Any) -> BaseStore[str, bytes]:
        return ByteStore(hitrate_cache)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return VALUES
