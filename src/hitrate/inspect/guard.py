"""Who may ask: the checks before every request, and the headers of every answer.

A page on loopback can be reached by any program of this machine, and by any site that is open in the same browser. So
a token is asked for, which ``hitrate serve`` prints; a Host of another name is refused (DNS rebinding: a site's name
that suddenly means 127.0.0.1), and so is what a page of another origin posts.
"""

from __future__ import annotations

from collections.abc import Collection
from secrets import compare_digest
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hitrate.inspect.asking import WrongRequestError, pairs_of

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not no-referrer: with that, browsers send "Origin: null" with a form, which could not be checked.
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_SAFE = ("GET", "HEAD")


class Guard:
    """Lets a request through to the app, or refuses it.

    Args:
        app: the pages.
        token: what a request has to give; None where the program itself decides who may ask.
        hosts: the values of Host that are ours; None for any.
    """

    def __init__(self, app: ASGIApp, token: str | None = None, hosts: Collection[str] | None = None) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts
        # Cookies do not tell ports apart: two inspectors on one machine would take each other's.
        self._cookie = "hitrate_" + "".join(filter(str.isdigit, max(hosts or [""]).rpartition(":")[2]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        request = Request(scope)
        answer = self._refused(request) or self._admitted(request)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refused(self, request: Request) -> Response | None:
        """Return the refusal of a request to another host name or from another origin; None if it may go on."""
        host = request.headers.get("host", "")
        if self._hosts is not None and host not in self._hosts:
            return _refusal(f"this inspector is at {min(self._hosts)}, and under no other name")
        origin = request.headers.get("origin")
        if origin is not None and _host_of(origin) != host:
            return _refusal("this was sent by a page of another origin")
        if origin is None and request.method not in _SAFE:
            return _refusal("a change is to be sent by a page of the inspector's, which says so in the header Origin")
        return None

    def _admitted(self, request: Request) -> Response | None:
        """Return the answer that takes the place of the page; None to show the page."""
        if self._token is None:
            return None
        try:
            query = pairs_of(request.scope)
        except WrongRequestError:
            query = []
        for name, given in query:
            if name == "token" and self._is_right(given):
                return self._with_cookie(request, [each for each in query if each[0] != "token"])
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_right(given):
            return None
        if self._is_right(request.cookies.get(self._cookie, "")):
            return None
        return _refusal("the token is missing or wrong: open the address that hitrate serve printed")

    def _with_cookie(self, request: Request, query: list[tuple[str, str]]) -> Response | None:
        """Have a browser keep the token in a cookie, so that it leaves the address and the history; None for others."""
        if "text/html" not in request.headers.get("accept", ""):
            return None
        rest = urlencode(query, errors="surrogatepass")
        path = request.scope["raw_path"].decode("ascii")
        place = f"{request.scope['scheme']}://{request.headers['host']}{path}{'?' if rest else ''}{rest}"
        answer = RedirectResponse(place, status_code=303)
        answer.set_cookie(self._cookie, self._token or "", httponly=True, samesite="strict")
        return answer

    def _is_right(self, given: str) -> bool:
        return compare_digest(given.encode("utf-8", "surrogatepass"), (self._token or "").encode())


def _host_of(origin: str) -> str:
    """Return the host and port of an origin; of what is none, such as ``null``, all of it."""
    try:
        return urlsplit(origin).netloc or origin
    except ValueError:  # brackets around no IPv6 address
        return origin


def _refusal(why: str) -> Response:
    return PlainTextResponse(f"hitrate: {why}\n", status_code=403)
