"""Removing entries: only where that is allowed, after a look at how many, by a form of the inspector's own."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from hitrate import SqliteCache
from hitrate.testing import Clock
from inspector.conftest import client_of, listed

ORIGIN = {"origin": "http://inspector.test"}


@pytest.fixture
def client(cache: SqliteCache[Any]) -> TestClient:
    cache.set({(("a", str(i % 2)), f"k{i}"): (i, None) for i in range(10)})
    cache.set({(("a",), "own"): (1, None), (("b",), "k"): (1, None), ((), "root"): (1, None)})
    return client_of(cache, allow_delete=True)


def confirm(client: TestClient, **query: str) -> Any:
    """Press the button of the page that asks; return what is said then."""
    asked = client.get("/delete", params=query)
    assert asked.status_code == 200, asked.text
    action = re.search(r'action="([^"]+)"', asked.text)
    token = re.search(r'name="form_token" value="([^"]+)"', asked.text)
    assert action is not None
    assert token is not None
    path = action[1].replace("&amp;", "&").replace("/delete?", "/delete.json?")
    answer = client.post(path, data={"form_token": token[1]}, headers=ORIGIN)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ({"all": "1"}, 13),
        ({"ns": '["a"]'}, 1),
        ({"ns": "[]"}, 1),
        ({"ns": '["none"]'}, 0),
        ({"under": '["a"]'}, 11),
        ({"under": '["a", "0"]'}, 5),
        ({"ns": '["a", "1"]', "key": "k1"}, 1),
    ],
    ids=str,
)
def test_what_is_told_before_is_what_goes(
    cache: SqliteCache[Any], client: TestClient, query: dict[str, str], meant: int
) -> None:
    listed(client, "entries")
    before = cache.stats().entries
    assert client.get("/delete.json", params=query).json()["entries"] == meant
    assert cache.stats().entries == before
    assert confirm(client, **query)["removed"] == meant
    assert cache.stats().entries == before - meant
    assert listed(client, "entries")["found"] == before - meant


def test_what_was_removed_is_out_of_the_list_at_once(cache: SqliteCache[Any], client: TestClient) -> None:
    listed(client, "entries")
    confirm(client, ns='["a", "1"]', key="k1")
    confirm(client, under='["b"]')
    page = client.get("/entries.json", params={"q": "k"}).json()
    assert page["found"] == 9
    assert "k1" not in {each["key"] for each in page["entries"]}
    rows = client.get("/namespaces.json").json()["namespaces"]
    assert {tuple(row["namespace"]): row["entries"] for row in rows} == {("a",): 10, (): 1}


def test_what_has_expired_can_be_removed(tmp_path: Any) -> None:
    clock = Clock()
    with SqliteCache[Any](tmp_path / "c.db", clock=clock) as cache:
        cache.set({(("a",), f"k{i}"): (i, 10 if i < 3 else None) for i in range(5)})
        clock.advance(11)
        client = client_of(cache, allow_delete=True, clock=clock)
        meant = client.get("/delete.json", params={"expired": 1}).json()["entries"]
        assert confirm(client, expired="1")["removed"] == meant == 3


def test_a_form_without_its_token_removes_nothing(cache: SqliteCache[Any], client: TestClient) -> None:
    for data in ({}, {"form_token": ""}, {"form_token": "wrong"}, {"form_token": "\ud800".encode("utf-8", "replace")}):
        assert client.post("/delete?all=1", data=data, headers=ORIGIN).status_code == 403
    assert client.post("/delete?all=1", content=b"form_token=" + b"x" * 1_000_000, headers=ORIGIN).status_code == 403
    assert cache.stats().entries == 13


def test_only_a_page_of_the_inspector_removes(cache: SqliteCache[Any], client: TestClient) -> None:
    token = re.search(r'value="([^"]+)"', client.get("/delete?all=1").text)
    assert token is not None
    data = {"form_token": token[1]}
    assert client.post("/delete?all=1", data=data).status_code == 403
    assert client.post("/delete?all=1", data=data, headers={"origin": "http://elsewhere.test"}).status_code == 403
    assert client.get(f"/delete?all=1&form_token={token[1]}").status_code == 200  # it asks, and no more
    assert cache.stats().entries == 13


def test_an_inspector_that_only_shows_removes_nothing(cache: SqliteCache[Any], client: TestClient) -> None:
    reader = client_of(cache)
    for page in ("", "entries", "namespaces", "expiry"):
        assert "/delete" not in reader.get(f"/{page}").text
    assert reader.get("/delete?all=1").status_code == 403
    assert reader.post("/delete?all=1", headers=ORIGIN).status_code == 403
    assert cache.stats().entries == 13


@pytest.mark.parametrize("query", ["", "?key=k", "?ns=[]&under=[]", "?all=1&expired=1", "?under=[]&key=k", "?ns=x"])
def test_it_is_said_what_is_to_be_removed(client: TestClient, query: str) -> None:
    assert client.get(f"/delete{query}").status_code == 400
