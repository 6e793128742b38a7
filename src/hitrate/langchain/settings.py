"""Settings of models and tools as content that can be part of a key: without secrets, clients and memory addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, SecretBytes, SecretStr, TypeAdapter
from pydantic_core import PydanticUndefined

from hitrate.compute.identity import identity_of, name_of
from hitrate.content.calls import content_key, key_of
from hitrate.content.options import PLAIN
from hitrate.langgraph.remembered import Remembered

CACHE_CONTROL: Final = "cache_control"
"""What tells a provider to keep a prompt: it changes the bill and not the answer."""

_SECRET: Final = frozenset(
    {"api-key", "api_key", "x-api-key", "authorization", "proxy-authorization", "cookie", "access_token", "password"}
)


HOW_IT_IS_ASKED: Final = frozenset(
    {
        *("timeout", "request_timeout", "default_request_timeout", "stream_chunk_timeout", "max_retries", "retries"),
        *("stream", "streaming", "stream_usage", "disable_streaming", "verbose"),
        *("openai_proxy", "anthropic_proxy", "proxy", "proxies"),
    }
)
"""Settings of a model that say how it is asked, and not what it answers."""


def key_of_parts(
    names: tuple[str, ...], parts: tuple[Any, ...], told: Callable[[], Mapping[str, Any]] | None = None
) -> str:
    """Return the key of the parts of a request.

    Args:
        names: of the parts, for errors and for ``explain``.
        parts: what counts, each of them.
        told: returns what ``explain`` tells in their place, by names; the parts when not given.

    Raises:
        TypeError: one has no content; the message says which, by its name.
    """
    try:
        return key_of((), parts, {}, PLAIN, told=told or (lambda: dict(zip(names, parts, strict=True))))
    except TypeError:
        return key_of(names, parts, {}, PLAIN)  # takes twice as long, and its error has the name


def settings(value: Any, is_lenient: bool = True) -> Any:
    """Return settings as content: functions and classes by their names, tools by their schemas, no secrets.

    What has no content is left in its place, and refused when the key is made.

    Args:
        value: the settings.
        is_lenient: whether what a function closes over does not count where it has no content.

    Raises:
        TypeError: it counts, and has none.
    """
    kind = type(value)
    if kind in PLAIN_TYPES:
        return value
    if isinstance(value, dict):
        return {
            name: settings(each, is_lenient)
            for name, each in value.items()
            if name != CACHE_CONTROL
            and not isinstance(each, (SecretStr, SecretBytes))
            and not (type(name) is str and name.lower() in _SECRET)
        }
    if kind is list or kind is tuple:
        return [settings(each, is_lenient) for each in value]
    if isinstance(value, (SecretStr, SecretBytes)):
        return None
    if isinstance(value, BaseTool):
        return tool_schema(value)
    if isinstance(value, type):
        return class_schema(value)
    if callable(value) and hasattr(value, "__code__"):
        return ["function", *name_of(value), identity_of(value, version=None, is_lenient=is_lenient).digest()]
    return value


PLAIN_TYPES: Final = frozenset({str, int, float, bool, bytes, type(None)})


def name_of_class(cls: type) -> str:
    """Return the module and qualified name of a class."""
    return f"{cls.__module__}:{cls.__qualname__}"


def _find_class_schema(cls: type) -> list[Any]:
    schema = None
    if issubclass(cls, BaseModel) or hasattr(cls, "__annotations__"):
        with suppress(Exception):  # without a schema, the name alone counts
            schema = content_key(TypeAdapter(cls).json_schema())
    return ["class", name_of_class(cls), schema]


class_schema = Remembered(_find_class_schema)
"""Returns a class by its name, and its schema if it has one."""


def tool_schema(tool: Any) -> Any:
    """Return what a model is told of a tool."""
    if isinstance(tool, dict):
        return settings(tool)
    stands_by, schema = _schema_of_tool(tool)
    if isinstance(tool, BaseTool) and stands_by != _what_it_is_made_of(tool):
        _, schema = _find_schema_of_tool(tool)
    return schema


def _find_schema_of_tool(tool: Any) -> tuple[Any, str]:
    schema = convert_to_openai_tool(tool)
    extras = getattr(tool, "extras", None)
    return _what_it_is_made_of(tool), content_key(settings(schema), settings(extras or {}))


def _what_it_is_made_of(tool: Any) -> tuple[Any, ...]:
    return tuple(getattr(tool, name, None) for name in ("name", "description", "args_schema", "extras"))


_schema_of_tool = Remembered(_find_schema_of_tool)


def fields_set(instance: BaseModel, base: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """Yield by name the fields of a model or tool that differ from their defaults, in the order of their names.

    Left out are secrets, what is not part of its content by its own declaration, and what ``base``, the class of all
    models or tools, has.
    """
    secret = getattr(instance, "lc_secrets", None) or {}
    for name, field in sorted(type(instance).model_fields.items()):
        if field.exclude or name in base.model_fields or name in secret or name.lower() in _SECRET:
            continue
        value = getattr(instance, name, None)
        if value is None or isinstance(value, (SecretStr, SecretBytes)):
            continue
        default = field.default
        if default is not PydanticUndefined and (value is default or (type(value) in PLAIN_TYPES and value == default)):
            continue
        yield name, value
