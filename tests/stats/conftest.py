"""Caches on every backend, by their URLs."""

from __future__ import annotations

from uuid import uuid4

import pytest

from servers.shared import PATIENT_URL


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a cache that outlives its process, and that no other test has."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('tmp_path')}/cache.db"
    name = uuid4().hex[:12]
    server: str = request.getfixturevalue(f"{request.param}_url")
    joint = "&" if "?" in server else "?"
    return f"{server}{joint}{PATIENT_URL}&{'prefix=' + name + ':' if request.param == 'redis' else 'table=t' + name}"
