"""Pages as HTML and as JSON."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hitrate.cli.printing import key_text, one_line, shown, size, span
from hitrate.inspect import charts, drawing
from hitrate.inspect.amounts import count, dollars, name_of, percent, seconds
from hitrate.inspect.asking import query_of


def as_json(page: dict[str, Any]) -> bytes:
    """Return a page as JSON in ASCII: any key can be in it, lone surrogates included."""
    return json.dumps(_finite(page), allow_nan=False, indent=1).encode("ascii")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return repr(value) if value in (float("inf"), float("-inf")) or value != value else value


def as_html(template: str, page: dict[str, Any], base: str, **more: Any) -> bytes:
    """Return a page as HTML; the paths of the app begin with ``base``, and ``more`` is what else it needs."""
    text = _environment().get_template(f"{template}.html").render(page=page, base=base, **more)
    return text.encode("utf-8", "backslashreplace")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hitrate.inspect"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        shown=shown,
        line=one_line,
        key=key_text,
        size=size,
        span=span,
        count=count,
        percent=percent,
        name=name_of,
        seconds=seconds,
        dollars=dollars,
        tuple=tuple,
        tojson_ascii=json.dumps,
    )
    environment.globals.update(query_of=query_of, charts=charts, drawing=drawing)
    return environment
