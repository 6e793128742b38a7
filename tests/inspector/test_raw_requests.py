"""Requests that no browser sends, byte by byte: each is answered with a sentence, and none ends in a traceback."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hitrate import InMemoryCache
from hitrate.inspect import app
from hitrate.inspect.asgi import inspector_of, site
from hitrate.inspect.guard import Guard


def asked(pages: Any, path: str, query: bytes = b"", *, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    """Return the status and the body of the answer; the sender goes away before the request's body has come."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": [(b"host", b"inspector.test"), *((name.encode(), text.encode()) for name, text in headers.items())],
    }
    asyncio.run(pages(scope, receive, send))
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent[1:])


@pytest.mark.parametrize("query", [b"\xff", b"q=\xff", b"q=\xc3", b'ns=["a"]&key=\xed\xa0\x80', b"\xffq=a", b"q=%ff"])
@pytest.mark.parametrize("path", ["/overview.json", "/entries", "/entry.json", "/delete", "/nothing"])
def test_a_query_that_is_no_text_is_told(path: str, query: bytes) -> None:
    status, body = asked(app(InMemoryCache[Any](), allow_delete=True), path, query)
    assert (status, b"there is no such page" in body) == (404, True) if path == "/nothing" else (400, False)
    assert path == "/nothing" or b"not in UTF-8" in body


def test_a_query_in_utf8_need_not_be_quoted() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    cache.set({(("\u00e9",), "k"): ("value", None)})
    assert asked(app(cache), "/entry.json", 'ns=["\u00e9"]&key=k'.encode())[0] == 200
    assert asked(app(cache), "/entry", 'ns=["\u00e9"]&key=k'.encode())[0] == 200


def test_a_query_that_is_no_text_has_no_token() -> None:
    pages = Guard(site(inspector_of(InMemoryCache[Any](), name="c"), None), "a-token", ["inspector.test"])
    assert asked(pages, "/overview.json", b"token=\xff")[0] == 403
    assert asked(pages, "/overview.json", b"token=a-token")[0] == 200


def test_who_goes_away_while_removing_removes_nothing() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    cache.set({(("a",), "k"): ("value", None)})
    pages = app(cache, allow_delete=True)
    assert asked(pages, "/delete", b"all=1", method="POST", origin="http://inspector.test")[0] == 403
    assert cache.stats().entries == 1
