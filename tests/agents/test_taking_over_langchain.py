"""``hitrate import --from langchain``: what LangChain's own caches stored is a hit of ``LLMCache``."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import LLM, GenericFakeChatModel
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

from hitrate import SqliteCache
from hitrate.cli.app import run
from hitrate.langchain import LLMCache

URL = "sqlite:///c.db"
MODEL = json.dumps({"id": ["fake", "Model"], "name": "fake"}) + "---[('stop', None)]"


class TextModel(LLM):
    """A model of texts that answers what a test says, which is none of its settings."""

    def _call(self, prompt: str, *args: Any, **kwargs: Any) -> str:
        return str(self.metadata and self.metadata["answer"])

    @property
    def _llm_type(self) -> str:
        return "text model"


pytestmark = pytest.mark.filterwarnings("ignore:The default value of `allowed_objects`", "ignore:The function `loads`")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[], Any]:
    """Import what is in theirs.db, and return what the command says of it."""

    def run_it() -> Any:
        assert run(["import", URL, "theirs.db", "--from", "langchain", "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run_it


@pytest.fixture(params=["SQLiteCache", "SQLAlchemyMd5Cache"])
def theirs(request: pytest.FixtureRequest) -> Any:
    from langchain_community.cache import SQLAlchemyMd5Cache, SQLiteCache
    from sqlalchemy import create_engine

    if request.param == "SQLiteCache":
        cache: Any = SQLiteCache("theirs.db")
    else:
        cache = SQLAlchemyMd5Cache(create_engine("sqlite:///theirs.db"))
    yield cache
    cache.engine.dispose()


def written(*rows: tuple[Any, ...], table: str = "full_llm_cache") -> None:
    """Write rows of prompt, model, index and response to theirs.db, as the library's tables have them."""
    with closing(sqlite3.connect("theirs.db")) as con:
        con.execute(f"CREATE TABLE {table} (prompt, llm, idx, response)")
        con.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?)", rows)
        con.commit()


def test_the_next_run_of_the_same_program_hits(theirs: Any, told: Callable[[], Any]) -> None:
    answer = AIMessage(
        "hello",
        response_metadata={"finish_reason": "stop"},
        tool_calls=[{"name": "f", "args": {"lc": 1, "x": [1.5, None]}, "id": "call_1"}],
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
    )

    def asked(messages: list[AIMessage], cache: Any) -> tuple[AIMessage, str]:
        chat = GenericFakeChatModel(messages=iter(messages), cache=cache)
        text = TextModel(metadata={"answer": "once" if messages else "twice"}, cache=cache)
        return chat.invoke([HumanMessage("hi", id="1")]), text.invoke("a prompt")

    first = asked([answer], theirs)
    assert told() == {"stored": 2, "there": 0, "expired": 0, "left": {}}
    with SqliteCache("c.db") as cache:
        second = asked([], LLMCache(cache))
    assert (second[0].content, second[0].tool_calls) == (first[0].content, first[0].tool_calls)
    assert second[0].response_metadata == first[0].response_metadata
    assert second[1] == first[1] == "once"
    assert told()["there"] == 2


def test_each_kind_of_answer_comes_back_as_it_was(theirs: Any, told: Callable[[], Any]) -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    answers: dict[str, list[Generation]] = {
        "two": [Generation(text="one"), Generation(text="two", generation_info={"n": 1, "lc": {"a": [None]}})],
        "chunk": [GenerationChunk(text="é\n")],
        "chat": [ChatGeneration(message=AIMessage([{"type": "text", "text": "hi"}], usage_metadata=usage))],
        "chat chunk": [ChatGenerationChunk(message=AIMessageChunk("hi", chunk_position="last"))],
    }
    for prompt, answer in answers.items():
        theirs.update(prompt, MODEL, answer)
    assert told()["stored"] == 4
    with SqliteCache("c.db") as cache:
        found = {prompt: LLMCache(cache).lookup(prompt, MODEL) for prompt in answers}
    assert found == answers
    assert [[type(each) for each in found[prompt] or ()] for prompt in answers] == [
        [type(each) for each in answer] for answer in answers.values()
    ]


def test_a_text_that_an_early_release_stored_is_taken(told: Callable[[], Any]) -> None:
    written(("p", MODEL, 0, "plain text"))
    assert told()["stored"] == 1
    with SqliteCache("c.db") as cache:
        assert LLMCache(cache).lookup("p", MODEL) == [Generation(text="plain text")]
        assert LLMCache(cache).lookup("q", MODEL) is None


def test_both_tables_of_a_file_are_taken(told: Callable[[], Any]) -> None:
    written(("p", MODEL, 0, dumps(Generation(text="one"))))
    written(("q", MODEL, 0, dumps(Generation(text="two"))), table="full_md5_llm_cache")
    assert told()["stored"] == 2


HOSTILE = [
    '{"lc": 1, "type": "constructor", "id": ["langchain_core", "prompts", "PromptTemplate"], "kwargs": {}}',
    '{"lc": 1, "type": "constructor", "id": ["os", "mkdir"], "kwargs": {"path": "boom"}}',
    '{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "output", "Generation"], "kwargs": []}',
    '{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "output", "ChatGeneration"], "kwargs": {}}',
    '{"lc": 1, "type": "constructor", "id": ["boom", "outputs", "Generation"], "kwargs": {"text": "x"}}',
    '{"lc": 1, "type": "constructor", "id": "Generation", "kwargs": {"text": "x"}}',
    '{"lc": 1, "type": "secret", "id": ["HOME"]}',
    '{"lc": 2, "type": "constructor", "id": ["os", "mkdir"], "args": ["boom"]}',
    '{"a": 1}',
    "[]",
    "[" * 100_000,
    dumps(Generation(text="x", generation_info={"a": object()})),
    dumps(Generation(text="x")).replace('"x"', '{"lc": 1, "type": "secret", "id": ["HOME"]}'),
    dumps(Generation(text="")),
    dumps(ChatGeneration(message=AIMessage("x", response_metadata={"finish_reason": "length"}))),
    dumps(ChatGeneration(message=HumanMessage("x"))),
    None,
    b"\xff",
    5,
]


@pytest.mark.parametrize("response", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_answer_is_left(told: Callable[[], Any], response: Any) -> None:
    written(("bad", MODEL, 0, response), ("good", MODEL, 0, dumps(Generation(text="fine"))))
    found = told()
    assert (found["stored"], sum(found["left"].values())) == (1, 1)
    assert not Path("boom").exists()


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([("p", MODEL, 1)], "its parts are not those of one answer"),
        ([("p", MODEL, 0), ("p", MODEL, 0)], "its parts are not those of one answer"),
        ([("p", "{}---[('f', <object at 0x7f0000000000>)]", 0)], "its model has a setting without content"),
        ([(None, MODEL, 0)], "it cannot be read"),
        ([("p", b"\xff", 0)], "it cannot be read"),
    ],
)
def test_an_answer_whose_call_cannot_be_known_is_left(
    told: Callable[[], Any], rows: list[tuple[Any, ...]], why: str
) -> None:
    written(*[(*row, dumps(Generation(text="x"))) for row in rows])
    found = told()
    assert found["stored"] == 0
    assert [reason.startswith(why) for reason in found["left"]] == [True]


@pytest.mark.parametrize("what", ["nothing", "a folder", "junk", "another database"])
def test_what_is_none_of_theirs_is_refused_and_no_cache_is_made(capsys: pytest.CaptureFixture[str], what: str) -> None:
    if what == "a folder":
        Path("theirs.db").mkdir()
    elif what == "junk":
        Path("theirs.db").write_bytes(b"junk" * 1000)
    elif what == "another database":
        sqlite3.connect("theirs.db").execute("CREATE TABLE t (a)").connection.close()
    assert run(["import", URL, "theirs.db", "--from", "langchain"]) == 3
    out, err = capsys.readouterr()
    assert (out, "theirs.db" in err) == ("", True)
    assert not Path("c.db").exists()
