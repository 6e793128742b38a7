"""The inspector on caches that servers keep."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from hitrate import open as open_cache
from inspector.serving import serving
from servers.shared import PATIENT_URL
from servers.valkey import Server


@pytest.fixture(params=["redis", "postgres", "tiered"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    name = uuid4().hex[:12]
    kind = "postgres" if request.param == "postgres" else "redis"
    server: str = request.getfixturevalue(f"{kind}_url")
    joint = "&" if "?" in server else "?"
    url = f"{server}{joint}{PATIENT_URL}&{'prefix=' + name + ':' if kind == 'redis' else 'table=t' + name}"
    with open_cache(url) as cache:
        cache.set({(("a", str(i % 3)), f"k{i}"): ("x" * i, 3600 if i % 2 else None) for i in range(30)})
        yield f"memory:+{url}" if request.param == "tiered" else url
        cache.clear()


def test_it_is_looked_into(url: str) -> None:
    with serving(url) as served:
        page = served.listed("entries", sort="bytes", order="down")
        assert (page["found"], page["entries"][0]["key"]) == (30, "k29")
        assert served.get("entry.json", ns='["a", "2"]', key="k29").json()["value"] == "x" * 29
        assert len(served.get("namespaces.json", under='["a"]').json()["namespaces"]) == 3
        assert served.get("overview.json").json()["stats"]["entries"] == 30
        assert served.get("expiry.json").json()["next"]
        assert {served.get(name).status_code for name in ("", "namespaces", "entries", "expiry")} == {200}


def test_a_server_that_goes_down_is_told(server: Server) -> None:
    with serving(f"{server.url}?{PATIENT_URL}") as served:
        assert served.get("overview").status_code == 200
        server.stop()
        answer = served.get("overview")
        assert answer.status_code == 503
        assert f"127.0.0.1:{server.port}" in answer.text
        while not (failure := served.get("entries.json", fresh=1).json()["failure"]):
            pass
        assert f"127.0.0.1:{server.port}" in failure
