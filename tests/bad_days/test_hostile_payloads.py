"""Forged entries that try to run code, and classes that are gone or changed: misses, and nothing is run."""

from __future__ import annotations

import enum
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bad_day_files import NAMESPACE, ask, key
from bad_day_processes import run
from ormsgpack import Ext, packb
from pydantic import BaseModel, model_validator

from hitrate import SqliteCache
from hitrate.entry import ENCODING_CODES, checksum, fingerprint
from hitrate.keys import encode_namespace, encode_text
from hitrate.serde import MsgpackSerializer
from hitrate.serde.registry import DECODERS
from hitrate.stores.sqlite.snapshots import wal_index

KEY = key("forged")
ran: list[str] = []
"""What code of these classes has run."""
armed: list[bool] = []


def note(name: str) -> None:
    if armed:
        ran.append(name)


class Pickled:
    def __reduce__(self) -> Any:
        return note, ("__reduce__",)


def act() -> None:
    note("a function")


class Base:
    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        note("__new__")
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        note("__setstate__")

    def __reduce__(self) -> Any:
        note("__reduce__")
        return super().__reduce__()

    def __setattr__(self, name: str, value: Any) -> None:
        note("__setattr__")
        object.__setattr__(self, name, value)


@dataclass
class Data(Base):
    value: Any = None

    def __post_init__(self) -> None:
        note("__post_init__")


class Plain(Base):
    pass


class Model(BaseModel):
    value: Any = None

    def __init__(self, **data: Any) -> None:
        note("__init__")
        super().__init__(**data)

    @model_validator(mode="before")
    @classmethod
    def validate_all(cls, data: Any) -> Any:
        note("validator")
        return data

    def model_post_init(self, context: Any) -> None:
        note("model_post_init")

    def __setstate__(self, state: Any) -> None:
        note("__setstate__")


class Pair(NamedTuple):
    first: Any
    second: Any


class Colour(enum.Enum):
    RED = 1

    @classmethod
    def _missing_(cls, value: Any) -> Any:
        note("_missing_")


serde = MsgpackSerializer()
GENUINE = [serde.dumps_typed(each) for each in (Data(1), Model(value=1), Pair(1, 2), Colour.RED)]
MARKS = [
    f"{module}:{name}#{fingerprint_}"
    for module, name in (
        *((__name__, name) for name in ("Data", "Model", "Pair", "Colour", "Plain", "Pickled", "act", "Base.__new__")),
        *(("bad_day_canary", name) for name in ("Bird", "Bird.fly", "", "sing")),
        *(("bad_day_canary.deeper", "Bird"), ("os", "system"), ("builtins", "eval"), ("subprocess", "Popen")),
        *(("builtins", "exec"), ("pickle", "loads"), ("importlib", "import_module"), ("posix", "system")),
    )
    for fingerprint_ in ("", "0", "000000000000")
]
ARGUMENTS: list[Any] = [[], ["touch canary"], [{"value": 1}], [1, 2], [{}, [], None], [{"__class__": "Bird"}, {}, {}]]


def ext(code: int, state: Any) -> bytes:
    return packb(Ext(code, state if type(state) is bytes else packb(state)))


def forgeries() -> Iterator[tuple[str, bytes]]:
    """Yield (encoding, payload) pairs that name what is to be run, under every tag that is known."""
    bomb = pickle.dumps(Pickled())
    import_bomb = b"cbad_day_canary\nsing\n(tR."
    for encoding in ("pickle", "cloudpickle", "json", "bytearray", "msgpack", "writes", "str", "bytes", "null", "yaml"):
        for payload in (bomb, import_bomb, b'{"lc":1,"type":"constructor","id":["bad_day_canary","Bird"],"kwargs":{}}'):
            yield encoding, payload
    for encoding in ("msgpack", "writes"):
        for code in sorted({*DECODERS, *range(8), 127}):
            for content in (bomb, import_bomb):
                yield encoding, ext(code, content)
                yield encoding, ext(code, [content])
            for mark in MARKS[::3] if code != 1 else MARKS:
                for arguments in ARGUMENTS if code == 1 else ARGUMENTS[:3]:
                    yield encoding, ext(code, [mark, *arguments])
                yield encoding, ext(code, [mark.partition(":")[0], mark.partition(":")[2], ["touch canary"], {}])
    for _, payload in GENUINE:  # the true mark of a class with a state that is not its own
        yield "msgpack", payload
        for old, new in ((b"\x01", b"\xc0"), (b"value", b"other"), (b"\x01", b"\x91\x01"), (b"\xa1", b"\xa0")):
            yield "msgpack", payload.replace(old, new)


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that leaves a file behind if it is imported; the file."""
    left = tmp_path / "imported"
    folder = tmp_path / "modules"
    folder.mkdir()
    sing = f"open({str(left)!r}, 'w').close()"
    body = f"{sing}\nclass Bird:\n    def __init__(*_): {sing}\ndef sing(*_): {sing}\n"
    (folder / "bad_day_canary.py").write_text(body)
    monkeypatch.syspath_prepend(str(folder))
    return left


def test_no_forged_payload_runs_or_imports_anything(path: Path, canary: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    tried = hits = 0
    with SqliteCache[Any](path=path, on_error="miss") as cache:
        cache.set({KEY: ("placeholder", None), key("beside"): ("beside", None)})
        assert wal_index(str(path)) is not None  # which imports what reads in quick succession need
        modules = set(sys.modules)
        identity = fingerprint(encode_namespace(NAMESPACE), encode_text(KEY[1]))
        handle = cache._store._connections.open()  # type: ignore[attr-defined]
        armed.append(True)
        try:
            for encoding, payload in forgeries():
                columns = (ENCODING_CODES.get(encoding, encoding), payload, checksum(identity, encoding, payload, None))
                handle.execute(
                    "UPDATE hitrate_entries SET encoding = ?, payload = ?, checksum = ? WHERE id = 1", columns
                )
                found = cache.get([KEY, key("beside")])
                tried += 1
                hits += KEY in found
                assert found.pop(key("beside")) == "beside"
                assert ran == [], (encoding, payload)
        finally:
            armed.clear()
        handle.close()
        stats = cache.stats()
        assert stats.errors == stats.misses == tried - hits
        assert hits >= len(GENUINE)  # that the forgeries reach the decoder at all
    assert tried > 3000
    assert not canary.exists()
    assert not (tmp_path / "canary").exists()
    assert {name for name in set(sys.modules) - modules if not name.startswith(("hitrate", "encodings"))} == set()


def test_the_canaries_would_sing() -> None:
    armed.append(True)
    try:
        pickle.loads(pickle.dumps(Pickled()))
        Data(1)
        Model(value=1)
        assert {"__reduce__", "__new__", "__setattr__", "__post_init__", "__init__", "validator"} <= set(ran)
    finally:
        armed.clear()
        ran.clear()


SHAPES = """
import enum
from dataclasses import dataclass
from typing import NamedTuple
from pydantic import BaseModel

NAMES = ["Same", "Gone", "MoreFields", "FewerFields", "OtherType", "NotADataclass", "Model", "Pair", "Colour"]

@dataclass
class Same:
    a: int = 1
"""
OLD = """
@dataclass
class Gone:
    a: int = 1
@dataclass
class MoreFields:
    a: int = 1
@dataclass
class FewerFields:
    a: int = 1
    b: int = 2
@dataclass
class OtherType:
    a: int = 1
@dataclass
class NotADataclass:
    a: int = 1
class Model(BaseModel):
    a: int = 1
class Pair(NamedTuple):
    a: int = 1
    b: int = 2
class Colour(enum.Enum):
    RED = 1

def make(name):
    return Colour.RED if name == "Colour" else globals()[name]()
"""
NEW = """
@dataclass
class MoreFields:
    a: int = 1
    b: int = 2
@dataclass
class FewerFields:
    a: int = 1
@dataclass
class OtherType:
    a: str = "1"
class NotADataclass:
    a = 1
class Model(BaseModel):
    a: int = 1
    b: int = 2
class Pair(NamedTuple):
    b: int = 2
    a: int = 1
class Colour(enum.Enum):
    BLUE = 1
"""
CHANGED = ["Gone", "MoreFields", "FewerFields", "OtherType", "NotADataclass", "Model", "Pair", "Colour"]


def test_an_instance_of_a_class_that_is_gone_or_has_changed_is_a_miss(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    for folder, body in (("old", OLD), ("new", NEW)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bad_day_shapes.py").write_text(SHAPES + body)
    run("store_instance", tmp_path / "old", path)
    names = ["Same", *CHANGED]
    unchanged = run("load_instances", tmp_path / "old", path, names)
    assert unchanged["errors"] == 0
    assert list(unchanged["found"]) == [*names, "plain"]
    changed = run("load_instances", tmp_path / "new", path, names)
    assert changed["found"] == {"Same": "Same(a=1)", "plain": "'plain'"}
    assert changed["errors"] == changed["misses"] == len(CHANGED)
    missing = run("load_instances", None, path, names)
    assert missing["found"] == {"plain": "'plain'"}
    assert missing["errors"] == len(names)
    assert ask(path, "SELECT count(*) FROM hitrate_entries") == len(names) + 1
