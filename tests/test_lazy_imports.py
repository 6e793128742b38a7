"""Public names are imported when first used: what goes wrong then is told as it is, not as a name that is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ERRORS = {
    "AttributeError": "import math; math.fragment",
    "FrozenInstanceError": "import dataclasses; raise dataclasses.FrozenInstanceError('fragment')",
    "ImportError": "from math import fragment",
    "ModuleNotFoundError": "import fragment",
    "RuntimeError": "raise RuntimeError('fragment')",
    "SyntaxError": "raise SyntaxError('fragment')",
    "KeyboardInterrupt": "raise KeyboardInterrupt('fragment')",
    "SystemExit": "raise SystemExit('fragment')",
}
"""What the top of a library raises, by the name of the error, which always says "fragment"."""

WAYS = {
    "from hitrate import": "from hitrate import MsgpackSerializer",
    "the attribute": "import hitrate; hitrate.MsgpackSerializer",
    "hasattr": "import hitrate; hasattr(hitrate, 'MsgpackSerializer')",
    "getattr with a default": "import hitrate; getattr(hitrate, 'MsgpackSerializer', None)",
    "import *": "from hitrate import *",
    "from hitrate.serde import": "from hitrate.serde import MsgpackSerializer",
    "hasattr of hitrate.serde": "import hitrate.serde; hasattr(hitrate.serde, 'MsgpackSerializer')",
    "import * of hitrate.serde": "from hitrate.serde import *",
    "a cache's first value": "import hitrate; hitrate.InMemoryCache().set({(('n',), 'k'): ([1], None)})",
}

REPORT = """
try:
    {statement}
except BaseException as error:
    while error is not None:
        print(type(error).__name__, ascii(str(error)))
        error = error.__cause__
"""


def raised_by(statement: str, libraries: Path) -> list[str]:
    """Return what a statement raises in a process of its own, which finds these libraries first: type and message,
    and the same of its cause, and of the cause's.
    """
    code = f"import sys\nsys.path.insert(0, {str(libraries)!r})\n{REPORT.format(statement=statement)}"
    if "import *" in statement:
        code = code.replace(statement, f"exec({statement!r}, {{}})")
    done = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", ["AttributeError", "ImportError", "RuntimeError"])
def test_what_a_broken_library_raises_is_told_by_each_way_to_a_name(way: str, error: str, tmp_path: Path) -> None:
    tmp_path.joinpath("ormsgpack.py").write_text(ERRORS[error])
    told = raised_by(WAYS[way], tmp_path)
    assert told[-1].startswith(f"{error} ")
    assert "fragment" in told[0]
    assert "MsgpackSerializer" not in told[0]


@pytest.mark.parametrize("error", [error for error in ERRORS if error not in ("AttributeError", "FrozenInstanceError")])
def test_an_error_comes_out_as_it_is(error: str, tmp_path: Path) -> None:
    tmp_path.joinpath("ormsgpack.py").write_text(ERRORS[error])
    (only,) = raised_by("from hitrate import MsgpackSerializer", tmp_path)
    assert only.startswith(f"{error} ")
    assert "fragment" in only


@pytest.mark.parametrize("error", ["AttributeError", "FrozenInstanceError"])
def test_an_attribute_error_is_the_cause_of_an_import_error_that_says_it(error: str, tmp_path: Path) -> None:
    """As it is, Python would drop it for an ImportError of its own: "cannot import name"."""
    tmp_path.joinpath("ormsgpack.py").write_text(ERRORS[error])
    first, second = raised_by("from hitrate import MsgpackSerializer", tmp_path)
    assert first.startswith("ImportError ")
    assert f"cannot be imported: {error}: " in first
    assert "fragment" in first
    assert second.startswith(f"{error} ")


def test_a_release_of_a_library_that_lacks_something_is_told_by_what_it_lacks(tmp_path: Path) -> None:
    broken = "import sys, ormsgpack; del ormsgpack.OPT_PASSTHROUGH_TUPLE; import hitrate; hitrate.MsgpackSerializer"
    told = raised_by(broken, tmp_path)
    assert "module 'ormsgpack' has no attribute 'OPT_PASSTHROUGH_TUPLE'" in told[0]


@pytest.mark.parametrize(
    ("library", "statement"),
    [
        ("apsw", "from hitrate import SqliteCache; SqliteCache(path=':memory:')"),
        ("xxhash", "from hitrate import SqliteCache; SqliteCache(path=':memory:')"),
        ("redis", "from hitrate import RedisCache; RedisCache('redis://localhost')"),
        ("hiredis", "from hitrate import RedisCache; RedisCache('redis://localhost')"),
        ("psycopg", "from hitrate import PostgresCache; PostgresCache('postgresql://localhost')"),
        ("psycopg_pool", "from hitrate import PostgresCache; PostgresCache(object())"),
        ("langgraph", "from hitrate.langgraph import InMemoryCache"),
        ("langchain_core", "from hitrate.langchain import CachedEmbeddings"),
        ("cryptography", "from hitrate.serde import EncryptedSerializer"),
        pytest.param(
            "backports",
            "from hitrate.serde import ZstdSerializer",
            marks=pytest.mark.skipif(sys.version_info >= (3, 14), reason="the standard library has zstd"),
        ),
        ("hypothesis", "from hitrate.testing import CacheContract"),
    ],
)
@pytest.mark.parametrize("error", ["AttributeError", "ImportError", "ModuleNotFoundError"])
def test_a_broken_library_is_not_taken_for_one_that_is_missing(
    library: str, statement: str, error: str, tmp_path: Path
) -> None:
    package = tmp_path / library
    package.mkdir()
    package.joinpath("__init__.py").write_text(ERRORS[error])
    told = raised_by(statement, tmp_path)
    assert told[-1].startswith(f"{error} ")
    assert "fragment" in told[0]
    assert "pip install" not in told[0]
