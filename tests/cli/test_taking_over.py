"""``hitrate import --from``: real caches of other libraries, and hostile ones."""

from __future__ import annotations

import json
import os
import pickle
import sqlite3
from collections import deque
from pathlib import Path
from typing import Any, TypedDict

import diskcache
import ormsgpack
import pytest
from langchain_core.messages import AIMessage
from langgraph.cache.sqlite import SqliteCache as TheirCache
from langgraph.graph import START, StateGraph
from langgraph.types import CachePolicy, Send

from cli.conftest import Command
from hitrate import SqliteCache
from hitrate.exchange import from_diskcache
from hitrate.exchange.foreign import NotTheirs
from hitrate.langgraph import SqliteCache as GraphCache

URL = "sqlite:///c.db"


MKDIR = ormsgpack.Ext(0, b"\x93\xa2os\xa5mkdir\xa4boom")


class Boom:
    """A pickle of it calls something."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("boom",)


class State(TypedDict):
    question: str
    answer: str


def graph_of(ran: list[str], cache: Any) -> Any:
    def ask(state: State) -> dict[str, str]:
        ran.append(state["question"])
        return {"answer": state["question"].upper()}

    builder = StateGraph(State)
    builder.add_node("ask, then answer", ask, cache_policy=CachePolicy())
    builder.add_edge(START, "ask, then answer")
    return builder.compile(cache=cache)


def their_file(**values: tuple[str, bytes]) -> None:
    con = sqlite3.connect("theirs.db")
    con.execute("CREATE TABLE IF NOT EXISTS cache (ns TEXT, key TEXT, expiry REAL, encoding TEXT NOT NULL, val BLOB)")
    con.executemany("INSERT INTO cache VALUES ('a,b', ?, NULL, ?, ?)", [(key, *each) for key, each in values.items()])
    con.commit()
    con.close()


def test_a_graph_hits_what_it_stored_with_langgraphs_own_cache(hitrate: Command) -> None:
    ran: list[str] = []
    theirs = TheirCache(path="theirs.db")
    answer = graph_of(ran, theirs)
    # Their own cache cannot read a name with a comma back; what it stored is there all the same.
    theirs.get = lambda keys: {}  # type: ignore[method-assign]
    answer.invoke({"question": "where?"})
    theirs._conn.close()
    assert hitrate("import", URL, "theirs.db", "--from", "langgraph").out == "stored 1, there already 0, expired 0\n"
    with GraphCache("c.db") as cache:
        assert graph_of(ran, cache).invoke({"question": "where?"}) == {"question": "where?", "answer": "WHERE?"}
    assert ran == ["where?"]


def test_values_of_langgraphs_cache_come_as_it_would_give_them(hitrate: Command) -> None:
    values = {
        "writes": deque([("messages", [AIMessage("hi", id="1")]), ("n", 1)]),
        "send": Send("node", {"a": 1}),
        "none": None,
        "bytes": b"\x00",
        "set": {1, 2},
    }
    theirs = TheirCache(path="theirs.db")
    theirs.set({(("x", "y"), key): (value, None) for key, value in values.items()})
    theirs.set({(("x", "y"), "gone"): (1, -5), (("x", "y"), "soon"): (1, 1000)})
    theirs._conn.close()
    told = hitrate("import", URL, "theirs.db", "--from", "langgraph", "--json").json
    assert told == {"stored": 6, "there": 0, "expired": 1, "left": {}}
    with SqliteCache("c.db") as cache:
        found = cache.get([(("x", "y"), key) for key in [*values, "soon"]])
        assert {key: value for (_, key), value in found.items()} == {**values, "soon": 1}
        assert {info.key: info.expires is not None for info in cache.entries()}["soon"]


@pytest.mark.parametrize(
    ("encoding", "payload"),
    [
        ("pickle", pickle.dumps(Boom())),
        ("msgpack", ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(["os", "mkdir", "boom"])))),
        ("msgpack", ormsgpack.packb(ormsgpack.Ext(2, ormsgpack.packb(["os", "mkdir", {"path": "boom"}])))),
        ("msgpack", ormsgpack.packb([ormsgpack.Ext(1, ormsgpack.packb(["subprocess", "Popen", [["mkdir", "boom"]]]))])),
        ("msgpack", ormsgpack.packb(ormsgpack.Ext(3, ormsgpack.packb(["pathlib", "Path", "boom", "mkdir"])))),
        ("msgpack", ormsgpack.packb(ormsgpack.Ext(3, ormsgpack.packb(["datetime", "datetime"])))),
        ("msgpack", ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(["builtins", "set", MKDIR])))),
        ("msgpack", ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb([["os"], {"a": 1}, 1])))),
        ("msgpack", ormsgpack.packb(ormsgpack.Ext(99, b"\x01"))),
        ("msgpack", b"\x91" * 900 + b"\xc0"),
        ("msgpack", b"\xc1"),
        ("json", b'{"lc": 2, "type": "constructor", "id": ["os", "mkdir"], "args": ["boom"]}'),
        ("json", b'{"\\u006cc": 2, "type": "constructor", "id": ["os", "mkdir"], "args": ["boom"]}'),
        ("json", b"["),
        ("odd", b""),
    ],
)  # fmt: skip
def test_what_langgraphs_cache_names_is_neither_imported_nor_called(
    hitrate: Command, encoding: str, payload: bytes
) -> None:
    their_file(bad=(encoding, payload), good=("msgpack", ormsgpack.packb("fine")))
    told = hitrate("import", URL, "theirs.db", "--from", "langgraph", "--json").json
    assert (told["stored"], sum(told["left"].values())) == (1, 1)
    assert not Path("boom").exists()


def test_a_diskcache_is_taken_over(hitrate: Command) -> None:
    values = {"text": "é" * 10, "long": "x" * 100_000, "raw": b"b", "blob": b"b" * 100_000, "int": 3, "float": 1.5}
    with diskcache.Cache("theirs") as theirs:
        for key, value in values.items():
            theirs.set(key, value, tag="t")
        theirs.set("soon", "v", expire=1000)
        theirs.set("gone", "v", expire=2000)
        theirs.set(7, "by number")
        theirs.set("pickled", {"a": 1})
        theirs.set(("tuple", 1), "by tuple")
    con = sqlite3.connect("theirs/cache.db")
    con.execute("UPDATE Cache SET expire_time = 1.5 WHERE key = 'gone'")
    con.commit()
    con.close()
    before = {path: path.read_bytes() for path in Path("theirs").rglob("*") if path.is_file()}
    told = hitrate("import", URL, "theirs", "--from", "diskcache", "--json").json
    assert (told["stored"], told["expired"]) == (8, 1)
    assert told["left"] == {"it is a pickle, which is never loaded": 1, "its key is a pickle": 1}
    with SqliteCache("c.db") as cache:
        found = cache.get([(("diskcache",), key) for key in values])
        assert {key: value for (_, key), value in found.items()} == values
        assert cache.get([(("diskcache", "int"), "7")]) == {(("diskcache", "int"), "7"): "by number"}
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("when", ["closed", "in use"])
def test_no_file_is_left_in_a_folder_that_is_taken_over(hitrate: Command, when: str) -> None:
    theirs = diskcache.Cache("theirs")
    theirs["k"] = "v"
    if when == "closed":
        theirs.close()
    before = {each.name: each.read_bytes() for each in Path("theirs").iterdir() if not each.name.endswith("-shm")}
    names = sorted(os.listdir("theirs"))
    assert ("cache.db-wal" in names) is (when == "in use")
    assert hitrate("import", URL, "theirs", "--from", "diskcache", "--json").json["stored"] == 1
    assert sorted(os.listdir("theirs")) == names
    assert {name: (Path("theirs") / name).read_bytes() for name in before} == before
    theirs.close()


def test_a_file_that_is_written_to_while_it_is_taken_over_is_told() -> None:
    with diskcache.Cache("theirs") as theirs:
        theirs["k"] = "v"
    rows = from_diskcache.records_of(Path("theirs"))
    next(rows)
    with diskcache.Cache("theirs") as theirs:
        theirs["l"] = "w"
    with pytest.raises(NotTheirs, match="was written to while it was read"):
        list(rows)


def test_a_fanout_cache_and_a_json_disk_are_taken_over(hitrate: Command) -> None:
    with diskcache.FanoutCache("theirs", shards=3, disk=diskcache.JSONDisk) as theirs:
        for i in range(50):
            theirs.set(f"k{i}", {"i": [i], "long": "x" * 1000 * i})
    assert hitrate("import", URL, "theirs", "--from", "diskcache", "--json").json["stored"] == 50
    with SqliteCache("c.db") as cache:
        assert cache.get([(("diskcache",), "k40")]) == {(("diskcache",), "k40"): {"i": [40], "long": "x" * 40_000}}


@pytest.mark.parametrize(
    "filename", ["../secret.val", "/etc/passwd", "aa/bb/../../../secret.val", "aa/bb/ab.val", "", None, 5]
)
def test_a_diskcache_names_no_file_outside_of_its_folder(hitrate: Command, filename: Any) -> None:
    Path("secret.val").write_text("secret")
    with diskcache.Cache("theirs") as theirs:
        theirs.set("k", "x" * 100_000)
    Path("theirs/aa/bb").mkdir(parents=True, exist_ok=True)
    Path("theirs/aa/bb/ab.val").symlink_to(Path("secret.val").absolute())
    con = sqlite3.connect("theirs/cache.db")
    con.execute("UPDATE Cache SET filename = ?", (filename,))
    con.commit()
    con.close()
    told = hitrate("import", URL, "theirs", "--from", "diskcache", "--json").json
    assert (told["stored"], sum(told["left"].values())) == (0, 1)


@pytest.mark.parametrize("library", ["langgraph", "diskcache"])
@pytest.mark.parametrize("what", ["nothing", "a folder", "junk", "another database"])
def test_what_is_none_of_theirs_is_refused_and_no_cache_is_made(hitrate: Command, library: str, what: str) -> None:
    if what == "a folder":
        Path("theirs").mkdir()
    elif what == "junk":
        Path("theirs").write_bytes(b"junk" * 1000)
    elif what == "another database":
        sqlite3.connect("theirs").execute("CREATE TABLE t (a)").connection.close()
    answer = hitrate("import", URL, "theirs", "--from", library)
    assert (answer.code, answer.out) == (3, "")
    assert "theirs" in answer.err
    assert not Path("c.db").exists()


def test_no_hint_for_graphs_is_given_of_what_a_graph_stored(shell: Command) -> None:
    with GraphCache("c.db") as cache:
        graph_of([], cache).invoke({"question": "where?"})
    (namespace,) = shell("ls", URL, "--json").json
    where = json.dumps(namespace["namespace"])
    assert shell("keys", URL, where).err == ""
    assert shell("clear", URL, "--namespace", where, "--yes").err == ""
