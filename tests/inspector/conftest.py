from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from hitrate import SqliteCache
from hitrate.inspect import app

Look = Callable[..., Any]

HOSTILE = "</pre><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
"""What would run, were a key or a value ever written as markup."""


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[SqliteCache[Any]]:
    with SqliteCache(tmp_path / "c.db") as cache:
        yield cache


def client_of(cache: Any, **options: Any) -> TestClient:
    return TestClient(app(cache, **options), base_url="http://inspector.test")


@pytest.fixture
def client(cache: SqliteCache[Any]) -> TestClient:
    return client_of(cache)


def listed(client: TestClient, path: str, **query: Any) -> Any:
    """Return the JSON of a page as soon as there is a list of entries that began after this call."""
    deadline = time.monotonic() + 30
    page = client.get(f"/{path}.json", params={**query, "fresh": 1}).json()
    while page["listed"] is None or page["reading"] is not None:
        assert time.monotonic() < deadline, page
        page = client.get(f"/{path}.json", params=query).json()
    return page
