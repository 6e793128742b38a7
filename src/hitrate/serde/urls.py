"""What pydantic's core makes: URLs, and the time zones of the times that it parsed.

A URL is its text, which the library's own parser reads again. The classes of pydantic around it (``HttpUrl``,
``PostgresDsn``) are set back without their validation.
"""

from __future__ import annotations

import sys
from typing import Any

from pydantic_core import MultiHostUrl, TzInfo, Url

from hitrate.errors import DecodeError
from hitrate.serde.attributes import Attributes
from hitrate.serde.classes import ancestry, attribute
from hitrate.serde.forms import Form
from hitrate.serde.registry import Hook, Pack, Refused, made_again, register, register_classes

ZONE = 46
URL = 47
MULTI_HOST_URL = 48


def _decode_zone(data: bytes, hook: Hook) -> Any:
    if len(data) != 4:
        raise DecodeError("a stored time zone is none")
    return TzInfo(int.from_bytes(data, "big", signed=True))


def _url_of(kind: Any, text: str) -> Any:
    made = kind(text)
    if str(made) != text:
        raise DecodeError("a stored URL is none")
    return made


def _encode_url(obj: Any, pack: Pack) -> bytes:
    text = str(obj)
    if made_again(_url_of, type(obj), text) != obj:
        raise Refused("its text does not lead back to it")
    return text.encode()


def _form(cls: type) -> Form | None:
    networks: Any = sys.modules.get("pydantic.networks")
    if networks is None:
        return None
    if networks._BaseUrl in ancestry(cls):
        return _form_of_wrapped(cls, Url)
    return _form_of_wrapped(cls, MultiHostUrl) if networks._BaseMultiHostUrl in ancestry(cls) else None


def _form_of_wrapped(cls: type, kind: Any) -> Form:
    put_dict = Attributes(cls).put_dict
    constraints: Any = attribute(cls, "_constraints")
    schemes, longest = constraints.allowed_schemes, constraints.max_length
    host_required = constraints.host_required

    def may_be(url: Any) -> bool:
        """Tell whether the class allows it: pydantic checks that again when it copies one."""
        if schemes and url.scheme not in schemes:
            return False
        if host_required and not (url.host if kind is Url else any(each["host"] for each in url.hosts())):
            return False
        return not longest or len(str(url)) <= longest

    def dump(obj: Any, mark: str) -> list[Any]:
        if vars(obj).keys() != {"_url"} or type(obj._url) is not kind:
            raise Refused("it holds more than a URL")
        if not may_be(obj._url):
            raise Refused("its class does not allow such a URL")
        return [mark, obj._url]

    def restore(state: list[Any]) -> Any:
        _, url = state
        if type(url) is not kind or not may_be(url):
            raise DecodeError("a stored URL is none")
        made: Any = object.__new__(cls)
        put_dict(made, {"_url": url})
        return made

    return Form(cls, ["url"], dump, restore, open=cls.__module__ == "pydantic.networks")


register(
    ZONE,
    _decode_zone,
    types=[TzInfo],
    encode=lambda obj, pack: int(obj.utcoffset(None).total_seconds()).to_bytes(4, "big", signed=True),
)
register(URL, lambda data, hook: _url_of(Url, data.decode()), types=[Url], encode=_encode_url)
register(
    MULTI_HOST_URL,
    lambda data, hook: _url_of(MultiHostUrl, data.decode()),
    types=[MultiHostUrl],
    encode=_encode_url,
)
register_classes(_form)
