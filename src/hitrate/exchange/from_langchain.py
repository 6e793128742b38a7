"""LangChain's SQLiteCache and SQLAlchemyMd5Cache on a file: answers of models, for ``hitrate.langchain.LLMCache``.

Prompt and model are columns there, so each answer gets the key that LLMCache makes of them, and the next run of the
same program hits.

Answers are JSON that names classes. It is read here and not by LangChain's ``loads``, which imports what it names: the
classes of an answer and of its message are told by their names, out of a closed list, and no others are made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from hitrate.exchange.foreign import Left, NotTheirs, left, record_of, table_of, text_of
from hitrate.records import Damaged, Record

_TABLES = ["full_llm_cache", "full_md5_llm_cache"]
_FILE = "file of LangChain's SQLiteCache or SQLAlchemyMd5Cache"
_MODULES = (["langchain", "schema"], ["langchain_core", "outputs"], ["langchain_core", "messages"])
"""How the names of the classes begin in the releases of LangChain so far."""
_ESCAPED = "__lc_escaped__"


def records_of(path: Path) -> Iterator[Record | Damaged]:
    """Yield what such a file holds.

    Raises:
        NotTheirs: it is none.
        ModuleNotFoundError: langchain is not installed.
    """
    record = _maker_of_records()
    for _, rows in groupby(_rows(path), key=lambda row: row[:2]):
        try:
            yield record(list(rows))
        except Exception as error:
            yield left(error)


def _rows(path: Path) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of each table that is there, those of one call after each other."""
    with table_of(path, "sqlite_master", "name", _FILE) as names:
        there = {name for (name,) in names}
    tables = [table for table in _TABLES if table.encode() in there]
    if not tables:
        raise NotTheirs(f"{path} is no {_FILE}: it has no table {' or '.join(_TABLES)}")
    for table in tables:
        with table_of(path, f"{table} ORDER BY prompt, llm, idx", "prompt, llm, idx, response", _FILE) as rows:
            yield from rows


def _maker_of_records() -> Callable[[list[tuple[Any, ...]]], Record | Damaged]:
    """Return what makes a record of the rows of one call."""
    try:
        from langchain_core.messages import AIMessage, AIMessageChunk
        from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

        from hitrate.langchain.llm import key_of_call, stored_form
        from hitrate.langchain.prompts import SettingWithoutContent
    except ImportError as error:
        raise ModuleNotFoundError(
            "LangChain's answers are of its classes, and it is not installed: "
            "pip install '.[langchain]' in hitrate's folder"
        ) from error
    messages = {cls.__name__: cls for cls in (AIMessage, AIMessageChunk)}
    answers = {cls.__name__: cls for cls in (Generation, GenerationChunk, ChatGeneration, ChatGenerationChunk)}

    def record(rows: list[tuple[Any, ...]]) -> Record | Damaged:
        prompt, llm_string = map(text_of, rows[0][:2])
        if [index for _, _, index, _ in rows] != list(range(len(rows))):
            raise Left("its parts are not those of one answer")
        try:
            namespace, key = key_of_call(prompt, llm_string)
        except SettingWithoutContent:
            raise Left("its model has a setting without content, so LLMCache has no key for it") from None
        stored = stored_form([generation(text_of(response)) for *_, response in rows], 0.0)
        if stored is None:
            raise Left("it is not whole: cut off, filtered or empty")
        return record_of(namespace, key, stored)

    def generation(response: str) -> Generation:
        try:
            given = json.loads(response)
        except ValueError:
            return Generation(text=response)  # the text alone, as its first releases stored it
        cls, fields = _named(given, answers)
        if "message" in fields:
            kind, of_message = _named(fields["message"], messages)
            fields["message"] = kind(**{name: _plain(each) for name, each in of_message.items()})
        made: Generation = cls(**{name: each if name == "message" else _plain(each) for name, each in fields.items()})
        return made

    return record


def _named(given: Any, classes: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the class that JSON names, and what it is made with."""
    if type(given) is not dict or given.get("lc") != 1 or given.get("type") != "constructor":
        raise Left("it is no answer of a model as LangChain stores it")
    name, fields = given.get("id"), given.get("kwargs")
    if type(name) is not list or name[:2] not in _MODULES or name[-1] not in classes or type(fields) is not dict:
        raise Left(f"it names {str(name)[:80]}, which is not made")
    return classes[name[-1]], dict(fields)


def _plain(value: Any) -> Any:
    """Return JSON as the value that it was before LangChain wrote it."""
    if type(value) is list:
        return [_plain(each) for each in value]
    if type(value) is not dict:
        return value
    if value.keys() == {_ESCAPED}:
        return value[_ESCAPED]
    if value.get("lc") == 1 and value.get("type") in ("constructor", "secret", "not_implemented"):
        raise Left("it holds an object of another class, which is not made")
    return {name: _plain(each) for name, each in value.items()}
