"""Which vectors an embedding model makes, by content: its name, and those of its settings that change them.

A setting counts unless it is known not to change a vector: two models never share vectors by guess, and one whose
settings differ in what does not matter is embedded anew.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from langchain_core.embeddings import Embeddings

from hitrate.compute.identity import identity_of as identity_of_function
from hitrate.content.calls import content_key

_MODEL_NAMES: Final = ("model", "model_name", "model_id", "deployment", "deployment_name", "repo_id")
"""What the attributes that hold a model's name are called."""

_KNOWN: Final = (
    *_MODEL_NAMES,
    *("dimension", "dimensions", "output_dimension", "output_dimensionality", "size", "task", "task_type"),
    *("input_type", "encoding_format", "normalize", "prefix", "query_prefix", "document_prefix", "instruction"),
    *("embed_instruction", "query_instruction", "truncate", "truncation", "version", "revision"),
)
"""Attributes that count of any embeddings, those included that do not list their settings."""

_NO_MATTER = re.compile(
    r"key$|keys$|token$|secret|password|credential|organization|project|user_agent|client|session|timeout|retr|retries|"
    r"batch|chunk_size|concurren|threads|workers|multi_process|progress|verbose|logger|callback|header|prox|cache|"
    r"request_|rate_limit|metadata|tags|calls?$|count$|counter$|usage"
)
"""Settings by whose names it is plain that they say how, or how often, a model is asked and not what it answers."""

_WHERE = re.compile(r"url$|endpoint$|base$|host$|server$|region|location")
"""Settings that say where a model is; they tell it from others unless the program gave it a name."""

_SCALARS: Final = (str, int, float, bool, bytes)


def name_of_model(embeddings: Embeddings) -> str | None:
    """Return the name that embeddings give to their model; None if they give none."""
    for attribute in _MODEL_NAMES:
        name = getattr(embeddings, attribute, None)
        if isinstance(name, str) and name:
            return str(name)
    return None


def identity_of(embeddings: Embeddings, *, named: bool) -> list[Any]:
    """Return what tells the vectors of some embeddings from those of others, as content.

    Args:
        embeddings: the embeddings, as they are now.
        named: whether the program named their model. If not, their class counts, and where their model is.
    """
    cls = type(embeddings)
    of_class = "" if named else f"{cls.__module__}:{cls.__qualname__}"
    return [of_class, dict(sorted(_settings(embeddings, named)))]


def _settings(embeddings: Embeddings, named: bool) -> Iterator[tuple[str, Any]]:
    """Yield the settings of some embeddings that count, as content."""
    cls: Any = type(embeddings)
    fields: Mapping[str, Any] = getattr(cls, "__pydantic_fields__", None) or {}
    for name in _names(cls):
        if not _counts(name, named):
            continue
        value = getattr(embeddings, name, None)
        if fields:
            field = fields.get(name)
            # Fields at their defaults do not count: a release of a library that adds a field changes no key.
            if field is not None and (field.exclude or _equal(value, field.default)):
                continue
        elif not isinstance(value, _TOLD):
            value = getattr(embeddings, f"_{name}", None)
            if not isinstance(value, _TOLD):
                continue  # attributes of such a class that are no settings, such as a client or a list of its calls
        if value is None or (isinstance(value, (dict, list, tuple)) and not value):
            continue
        if not isinstance(value, _SCALARS):
            value = _content(value)
            if value is None:
                continue
        yield name, value


_TOLD: Final = (*_SCALARS, dict, tuple)
"""Types of the attributes that are settings, in a class that does not declare its fields."""


@lru_cache(maxsize=256)
def _names(cls: Any) -> tuple[str, ...]:
    """Return the names of what may be settings: a pydantic model's fields, or what another class is made with."""
    fields = getattr(cls, "__pydantic_fields__", None)
    if fields:
        return (*fields, *(name for name in _KNOWN if name not in fields and hasattr(cls, name)))
    try:
        parameters = inspect.signature(cls).parameters
    except (TypeError, ValueError):  # a class written in C has no signature
        return _KNOWN
    return (*dict.fromkeys((*_KNOWN, *parameters)),)


@lru_cache(maxsize=4096)
def _counts(name: str, named: bool) -> bool:
    return name in _KNOWN or not (_NO_MATTER.search(name) or (named and _WHERE.search(name)))


def _equal(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, _SCALARS) and type(value) is type(default) and value == default)


def _content(value: Any) -> str | None:
    """Return a digest of a setting: of a dict what has any, of functions what they do; None for a client or a lock."""
    if isinstance(value, dict):
        value = {name: each if isinstance(each, _SCALARS) else _content(each) for name, each in value.items()}
    elif isinstance(value, (list, tuple)):
        value = [each if isinstance(each, _SCALARS) else _content(each) for each in value]
    elif isinstance(value, type):
        value = f"{value.__module__}:{value.__qualname__}"
    elif hasattr(value, "__code__") and hasattr(value, "__qualname__"):
        try:
            value = identity_of_function(value, version=None).digest()
        except TypeError:
            return None
    try:
        return content_key(value)
    except TypeError:
        return None
