"""The app: which page is where, and who may change something."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from importlib.resources import files
from typing import Any

from click import ClickException
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from hitrate.compute.cache import ComputingCache
from hitrate.errors import HitrateError, words_of
from hitrate.inspect import pages
from hitrate.inspect.asking import Query, WrongRequestError
from hitrate.inspect.entry_page import entry
from hitrate.inspect.guard import Guard
from hitrate.inspect.history import History
from hitrate.inspect.pages import Inspector, NotAllowedError, NotThereError, Page
from hitrate.inspect.removal import preview, remove
from hitrate.inspect.rendering import as_html, as_json
from hitrate.inspect.scanning import Index
from hitrate.langchain.saved import Prices, checked

_PAGES: dict[str, Callable[[Inspector, Query], Page]] = {
    "overview": pages.overview,
    "namespaces": pages.namespaces,
    "entries": pages.entries,
    "expiry": pages.expiry,
    "entry": entry,
}
_STATUS: dict[type[Exception], int] = {
    WrongRequestError: 400,
    NotAllowedError: 403,
    NotThereError: 404,
    HitrateError: 503,
    ClickException: 503,  # the command's own error for a cache that cannot be opened
}
_READ_ONLY = "nothing can be removed here: the inspector was started without --allow-delete (allow_delete=True of app)"
_LONGEST_FORM = 10_000
_ASSETS = {"style.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}


def app(
    cache: ComputingCache[Any],
    *,
    name: str | None = None,
    allow_delete: bool = False,
    prices: Prices | None = None,
    clock: Callable[[], float] = time.time,
) -> ASGIApp:
    """Return the inspector of a cache as an ASGI app, to be mounted behind a login of the program's own.

    It asks for no token: everyone who can reach it can read every value of the cache. With ``allow_delete=True``
    whoever may reach it may remove entries, too; a page of another origin cannot.

    Args:
        cache: the cache, which stays the caller's to close.
        name: what it is called on the pages; what and where it is if not given.
        allow_delete: whether entries can be removed.
        prices: by the name of a model, dollars for a million input tokens and for a million output tokens; others are
            looked up with ``genai-prices``, if that is installed.
        clock: returns the seconds since the epoch.

    Raises:
        TypeError: it is no cache of hitrate's, or the prices are none.
    """
    if not isinstance(cache, ComputingCache):
        raise TypeError(f"cache is a cache of hitrate, not one of type {type(cache).__name__}")
    inspector = inspector_of(cache, name=name or repr(cache), prices=prices, clock=clock)
    return Guard(site(inspector, (lambda: nullcontext(cache)) if allow_delete else None))


def inspector_of(
    cache: ComputingCache[Any],
    *,
    name: str,
    prices: Prices | None = None,
    clock: Callable[[], float] = time.time,
    limits_known: bool = True,
) -> Inspector:
    """Return what the pages of a cache are made from."""
    given = checked(prices) or {}
    return Inspector(
        cache=cache,
        name=name,
        limits=cache._open_store().limits if limits_known else (None, None),
        limits_known=limits_known,
        prices=given,
        clock=clock,
        index=Index(cache, clock),
        history=History(cache, given, clock),
    )


def site(
    inspector: Inspector,
    changing: Callable[[], AbstractContextManager[ComputingCache[Any]]] | None,
) -> Starlette:
    """Return the pages without the guard; ``changing`` opens the cache to remove entries, None where only shown."""
    form_token = secrets.token_urlsafe()

    def answer(request: Request, name: str, page: Page, status: int = 200) -> Response:
        if request.scope["path"].endswith(".json"):
            return Response(as_json(page), status, media_type="application/json")
        base = request.scope.get("root_path", "")
        more = {
            "page_name": name,
            "allow_delete": changing is not None,
            "form_token": form_token,
            "query": request.scope["query_string"].decode(errors="replace"),
        }
        return Response(as_html(name, page, base, **more), status, media_type="text/html")

    def shows(name: str, page_of: Callable[[Query], Page]) -> Callable[[Request], Response]:
        # not a coroutine: Starlette runs it in a thread, since it reads the cache
        def show(request: Request) -> Response:
            inspector.history.start()
            try:
                return answer(request, name, page_of(Query(request.scope)))
            except tuple(_STATUS) as error:
                status = next(code for kind, code in _STATUS.items() if isinstance(error, kind))
                return fail(request, status, words_of(error) or type(error).__name__)

        return show

    def fail(request: Request, status: int, why: str) -> Response:
        return answer(request, "error", {"cache": inspector.name, "error": why}, status)

    async def delete(request: Request) -> Response:
        if changing is None:
            return fail(request, 403, _READ_ONLY)
        given = (await _body(request)).removeprefix(b"form_token=")
        if not secrets.compare_digest(given, form_token.encode()):
            return fail(request, 403, "this form is of another run of the inspector: go back, and load it again")
        return await run_in_threadpool(shows("delete", removed), request)

    def confirmed(query: Query) -> Page:
        if changing is None:
            raise NotAllowedError(_READ_ONLY)
        return preview(inspector, query)

    def removed(query: Query) -> Page:
        assert changing is not None
        with changing() as cache:
            return remove(inspector, cache, query)

    def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _ASSETS:
            return Response("hitrate: there is no such file\n", 404, media_type="text/plain")
        content = (files("hitrate.inspect") / "static" / name).read_bytes()
        return Response(content, media_type=_ASSETS[name])

    routes = [Route("/static/{name}", asset)]
    for name, make in _PAGES.items():
        page = shows(name, partial(make, inspector))
        routes += [Route(path, page) for path in (f"/{name}", f"/{name}.json", *(["/"] if name == "overview" else []))]
    for path in ("/delete", "/delete.json"):
        routes += [Route(path, shows("delete", confirmed)), Route(path, delete, methods=["POST"])]
    handlers: Any = {
        404: lambda request, error: fail(request, 404, "there is no such page"),
        405: lambda request, error: fail(request, 405, "this page is only to be looked at"),
    }
    return Starlette(routes=routes, exception_handlers=handlers)


async def _body(request: Request) -> bytes:
    """Return the beginning of the request's body, as much as any form of ours may have and as its sender sent."""
    body = b""
    with suppress(ClientDisconnect):
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LONGEST_FORM:
                break
    return body[:_LONGEST_FORM]
