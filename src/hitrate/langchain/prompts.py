"""What LangChain gives its cache as a key, two texts, read as content: a prompt, and a model with its settings.

The prompt of a chat model is the JSON of its messages, with the ids of tool calls and with what tells one run from
another. The other text is made with ``repr`` and has memory addresses where a setting has no content: the next process
has others, and in this one another object may get the same.
"""

from __future__ import annotations

import ast
import json
import re
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from hitrate.content.calls import content_key
from hitrate.langchain.history import content_of, numbered
from hitrate.langchain.settings import CACHE_CONTROL, HOW_IT_IS_ASKED

_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
_MARK = "---"
_FUNCTIONS = (["function"], ["method"], ["partial"], ["builtin_function_or_method"])
_NAMES = ("model_name", "model", "model_id", "deployment_name")


class SettingWithoutContent(TypeError):
    """A model's settings have something that shows as its memory address alone."""


def prompt_of(text: str) -> Any:
    """Return a prompt as content: what its messages say, or the text of one that has none."""
    if not text.startswith('[{"'):
        return text
    try:
        given = json.loads(text)
    except ValueError:
        return text
    messages = [_message(each) for each in given]
    return text if None in messages else ["messages", content_of(messages)]  # type: ignore[arg-type]  # none is None


def told_prompt(prompt: Any) -> dict[str, Any]:
    """Return what ``prompt_of`` returned as ``explain`` tells it: each message by itself."""
    return {"prompt": prompt} if isinstance(prompt, str) else {"messages": numbered(prompt[1])}


def _message(given: Any) -> SimpleNamespace | None:
    """Return a message for ``content_of``, out of the JSON that LangChain made of it; None if it is none."""
    if type(given) is not dict or given.keys() != {"lc", "type", "id", "kwargs"} or given["type"] != "constructor":
        return None
    kwargs = given["kwargs"]
    if type(kwargs) is not dict or "content" not in kwargs or "messages" not in given["id"]:
        return None
    usual = {"additional_kwargs": {}, "__pydantic_extra__": {}, "type": given["id"][-1]}
    return SimpleNamespace(**usual | kwargs)


@lru_cache(maxsize=128)
def model_of(text: str) -> tuple[str, str]:
    """Return the name of a model, and a key of it and its settings.

    Raises:
        SettingWithoutContent: one of them is told by its memory address alone.
    """
    head, mark, tail = text.partition(_MARK) if text.startswith("{") else ("", "", text)
    model = _json(head) if mark else None
    _refuse_functions(model)
    given = _literal(tail)
    return _name(model, given), content_key(_plain(_answering(model)), _plain(_answering(given)))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return _checked(text)


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(_Sets().visit(ast.parse(text, mode="eval")))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _checked(text)


class _Sets(ast.NodeTransformer):
    """Turns what a frozenset shows as, which is no literal, into a set."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        is_set = isinstance(node.func, ast.Name) and node.func.id == "frozenset" and not node.keywords
        if is_set and len(node.args) == 1 and isinstance(node.args[0], ast.Set):
            return ast.Tuple([ast.Constant("frozenset"), node.args[0]], ast.Load())
        return node


def _checked(text: str) -> str:
    """Return a text as it is, unless it has an address outside of what it quotes."""
    if _ADDRESS.search(text):
        found = _ADDRESS.search(_LITERAL.sub("''", text))
        if found is not None:
            raise SettingWithoutContent(
                f"a setting of the model is told by its memory address alone, as in {_around(text, found.group())!r}; "
                f"another process has another one"
            )
    return text


def _refuse_functions(model: Any) -> None:
    """Refuse a model whose settings hold a function, of which LangChain tells no more than that it is one."""
    if isinstance(model, dict):
        if model.get("type") == "not_implemented" and [*model.get("id", ())][-1:] in _FUNCTIONS:
            raise SettingWithoutContent("a setting of the model is a function, and LangChain does not tell which")
        model = [*model.values()]
    if isinstance(model, list):
        for each in model:
            _refuse_functions(each)


def _around(text: str, address: str) -> str:
    at = text.index(address)
    return text[max(0, text.rfind("<", 0, at), at - 80) : at + len(address) + 1]


def _answering(given: Any) -> Any:
    """Return a model, or its settings as pairs, without what says how it is asked."""
    if isinstance(given, dict) and isinstance(given.get("kwargs"), dict):
        kwargs = {name: each for name, each in given["kwargs"].items() if name not in HOW_IT_IS_ASKED}
        return {**given, "kwargs": kwargs}
    if isinstance(given, list):
        return [
            each for each in given if not (isinstance(each, tuple) and len(each) == 2 and each[0] in HOW_IT_IS_ASKED)
        ]
    return given


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items() if name != CACHE_CONTROL}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _name(model: Any, given: Any) -> str:
    fields: dict[str, Any] = {}
    if isinstance(model, dict):
        kwargs = model.get("kwargs")
        fields |= kwargs if isinstance(kwargs, dict) else {}
    if isinstance(given, list):
        fields |= {each[0]: each[1] for each in given if isinstance(each, tuple) and len(each) == 2}
    for name in (*_NAMES, "_type"):
        if type(fields.get(name)) is str:
            return str(fields[name])
    if isinstance(model, dict) and isinstance(model.get("id"), list) and model["id"]:
        return str(model["id"][-1])
    return "model"
