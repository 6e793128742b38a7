"""Who may ask, and what every answer says to browsers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from hitrate import InMemoryCache
from hitrate.inspect.asgi import inspector_of, site
from hitrate.inspect.guard import Guard
from inspector.conftest import client_of

HOST = "127.0.0.1:8642"
TOKEN = "a-token"
BROWSER = {"accept": "text/html,*/*"}


@pytest.fixture
def pages() -> Iterator[Guard]:
    with InMemoryCache[Any]() as cache:
        yield Guard(site(inspector_of(cache, name="c"), None), TOKEN, [HOST, "localhost:8642"])


@pytest.fixture
def client(pages: Guard) -> TestClient:
    return TestClient(pages, base_url=f"http://{HOST}")


def test_without_the_token_nothing_is_shown(client: TestClient) -> None:
    for path in ("/", "/overview.json", "/static/style.css", "/nothing"):
        answer = client.get(path)
        assert answer.status_code == 403
        assert "token" in answer.text


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é", "%00", "%ED%A0%80", "%FF"])
def test_a_wrong_token_is_refused(client: TestClient, token: str) -> None:
    assert client.get(f"/?token={token}").status_code == 403
    assert client.get("/", headers={"authorization": b"Bearer " + token.encode()}).status_code == 403
    assert client.get("/", headers={"cookie": f"hitrate_8642={token}".encode()}).status_code == 403


def test_a_browser_keeps_the_token_in_a_cookie_and_it_leaves_the_address(client: TestClient) -> None:
    answer = client.get(f"/entries?q=a&token={TOKEN}&page=2", headers=BROWSER, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"http://{HOST}/entries?q=a&page=2"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/", headers=BROWSER).status_code == 200


def test_the_way_back_never_leads_elsewhere(client: TestClient) -> None:
    answer = client.get(f"http://{HOST}//elsewhere.test/?token={TOKEN}", headers=BROWSER, follow_redirects=False)
    assert answer.headers["location"].startswith(f"http://{HOST}/")


def test_a_program_gives_the_token_each_time(client: TestClient) -> None:
    assert client.get(f"/overview.json?token={TOKEN}").json()["cache"] == "c"
    assert client.get("/overview.json", headers={"authorization": f"Bearer {TOKEN}"}).json()["cache"] == "c"
    assert client.get("/overview.json").status_code == 403


@pytest.mark.parametrize(
    "host", ["elsewhere.test", "elsewhere.test:8642", "127.0.0.1", "127.0.0.1:8643", "127.0.0.1:8642.x", ""]
)
def test_another_host_is_refused(client: TestClient, host: str) -> None:
    answer = client.get(f"/?token={TOKEN}", headers={"host": host})
    assert answer.status_code == 403
    assert client.get(f"/?token={TOKEN}", headers={"host": "localhost:8642"}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        *("http://elsewhere.test", "null", "http://127.0.0.1", f"http://{HOST}.x", "http://x@y"),
        *("http://[", "http://]", "http://[x]:1", "http://[::1", "//[", "[", "", "\u00ff".encode()),
    ],
)
def test_another_origin_is_refused(client: TestClient, origin: str) -> None:
    for method in ("GET", "POST"):
        assert client.request(method, f"/delete?all=1&token={TOKEN}", headers={"origin": origin}).status_code == 403
    assert client.get(f"/?token={TOKEN}", headers={"origin": f"http://{HOST}"}).status_code == 200


def test_every_answer_forbids_what_the_pages_do_not_need(client: TestClient) -> None:
    for path in (f"/?token={TOKEN}", "/", f"/static/style.css?token={TOKEN}", f"/none?token={TOKEN}"):
        headers = client.get(path).headers
        policy = dict(each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


def test_pages_fetch_nothing_from_elsewhere_and_have_nothing_inline() -> None:
    with InMemoryCache[Any]() as cache:
        client = client_of(cache, allow_delete=True)
        for page in ("", "namespaces", "entries", "expiry", "delete?all=1"):
            text = client.get(f"/{page}").text
            assert "http:" not in text.replace("http://www.w3.org/2000/svg", "")
            assert "https:" not in text
            assert " style=" not in text
            assert " onclick=" not in text
            assert "<style" not in text


def test_other_protocols_are_not_answered(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"/?token={TOKEN}"):
        pass
