"""Frames of pandas and polars: exact in values, dtypes, labels and names, or refused by the name of the column."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import frame_values as pandas_values
import numpy as np
import pandas as pd
import polars as pl
import polars_values
import pyarrow as pa
import pytest
from frame_equality import assert_same

from hitrate import InMemoryCache, SqliteCache, stable_key
from hitrate.errors import SerializationError
from hitrate.serde import MsgpackSerializer

serde = MsgpackSerializer()
VALUES = {
    "scalars": pandas_values.SCALARS,
    "arrays": pandas_values.ARRAYS,
    "indexes": pandas_values.INDEXES,
    "series": pandas_values.SERIES,
    "frames": pandas_values.FRAMES,
    "polars series": polars_values.SERIES,
    "polars frames": polars_values.FRAMES,
}
CASES = [(kind, position) for kind, values in VALUES.items() for position in range(len(values))]


class Stranger:
    pass


@pytest.mark.parametrize(("kind", "position"), CASES)
def test_a_value_comes_back_as_it_was_and_with_its_key(kind: str, position: int) -> None:
    value = VALUES[kind][position]
    (back,) = serde.loads_typed(serde.dumps_typed([value]))
    assert_same(back, value)
    assert stable_key(back) == stable_key(value)
    assert_same(serde.loads_typed(serde.dumps_typed(value)), value)


def test_another_process_reads_the_same_values_and_makes_the_same_keys(tmp_path: Path) -> None:
    path = tmp_path / "frames.db"
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        cache.set({((kind,), str(i)): (VALUES[kind][i], None) for kind, i in CASES})
        keys = [stable_key(VALUES[kind][i]) for kind, i in CASES]
    script = f"""
        import sys
        sys.path[:0] = {[str(Path(__file__).parent)]!r}
        from test_serde_frames import CASES, VALUES, SqliteCache, assert_same, stable_key
        with SqliteCache(path={str(path)!r}, on_error="raise") as cache:
            for kind, i in CASES:
                key = ((kind,), str(i))
                assert_same(cache.get([key])[key], VALUES[kind][i])
        print([stable_key(VALUES[kind][i]) for kind, i in CASES])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == repr(keys)


def test_a_frame_from_memory_is_the_callers_own() -> None:
    cache = InMemoryCache[Any]()
    for name, value in (("pandas", pd.DataFrame({"a": [1, 2]})), ("masked", np.ma.array([1, 2], mask=[0, 1]))):
        key = (("own",), name)
        cache.set({key: ({"frame": value}, None)})
        for _ in range(3):
            mine = cache.get([key])[key]["frame"]
            if name == "pandas":
                mine.loc[0, "a"] = 99
                mine["b"] = 1
            else:
                mine[0] = 99
        back = cache.get([key])[key]["frame"]
        assert_same(back, value)


DIFFERENT: list[Any] = [
    pd.DataFrame({"a": [1, 2]}),
    pd.DataFrame({"a": [1, 3]}),
    pd.DataFrame({"a": [1, 2]}, dtype="int32"),
    pd.DataFrame({"a": [1, 2]}, dtype="Int64"),
    pd.DataFrame({"a": [1, 2]}, dtype="int64[pyarrow]"),
    pd.DataFrame({"a": [1.0, 2.0]}),
    pd.DataFrame({"b": [1, 2]}),
    pd.DataFrame({"a": [1, 2]}, index=[0, 2]),
    pd.DataFrame({"a": [1, 2]}, index=pd.Index([0, 1], name="i")),
    pd.DataFrame({"a": [1, 2]}, columns=pd.Index(["a"], name="c")),
    pd.DataFrame({"a": [2, 1]}, index=[1, 0]),
    pd.Series([1, 2], name="a"),
    pd.Series(["x"], dtype="str"),
    pd.Series(["x"], dtype="string"),
    pd.Series(["x"], dtype=object),
    pd.Series(["x"], dtype="category"),
    pd.Series([None], dtype=object),
    pd.Series([float("nan")], dtype=object),
    pd.Series([pd.NA], dtype=object),
    pd.Series([pd.NaT], dtype=object),
    pd.MultiIndex.from_tuples([("a", 1)]),
    pd.MultiIndex.from_tuples([("a", 2)]),
    pd.Timestamp(5, unit="s").as_unit("s"),
    pd.Timestamp(5, unit="s").as_unit("ns"),
    pl.DataFrame({"a": [1, 2]}),
    pl.DataFrame({"a": [1, None]}),
    pl.DataFrame({"a": [1, 0]}),
    pl.DataFrame({"a": [1, 2]}, schema={"a": pl.Int32}),
    pl.Series("a", [1, 2]),
    pl.Series("b", [1, 2]),
]


def test_different_content_has_different_keys() -> None:
    keys = {stable_key(value): value for value in DIFFERENT}
    assert len(keys) == len(DIFFERENT)


SAME: list[tuple[str, Any, Any]] = [
    ("chunks", pl.concat([pl.Series("a", [1]), pl.Series("a", [2])], rechunk=False), pl.Series("a", [1, 2])),
    ("nan", pd.Series([float("nan")]), pd.Series(np.array([0x7FF8000000000001], "u8").view("f8"))),
    ("blocks", pd.DataFrame({"a": [1], "b": [2]}), pd.DataFrame({"a": [1]}).assign(b=2)),
    ("order in memory", pd.DataFrame(np.ones((2, 3))), pd.DataFrame(np.asfortranarray(np.ones((2, 3))))),
    (
        "unused levels",
        pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])[:1],
        pd.MultiIndex.from_tuples([("a", 1)]),
    ),
    ("under the mask", pd.arrays.IntegerArray(np.array([1, 7]), np.array([False, True])), pd.array([1, None], "Int64")),
    (
        "storage of strings",
        pd.array(["a", None], dtype=pd.StringDtype("python")),
        pd.array(["a", None], dtype=pd.StringDtype("pyarrow")),
    ),
    (
        "strings in chunks",
        pd.concat([pd.Series(["a"], dtype="string"), pd.Series(["b"], dtype="string")], ignore_index=True),
        pd.Series(["a", "b"], dtype="string"),
    ),
]


@pytest.mark.parametrize(("name", "a", "b"), SAME, ids=[name for name, *_ in SAME])
def test_layout_does_not_count_in_a_key(name: str, a: Any, b: Any) -> None:
    assert stable_key(a) == stable_key(b)


def _with_column(name: Any, column: Any) -> pd.DataFrame:
    made = pd.DataFrame({"good": [1]})
    made[name] = column
    return made


LISTS = pd.ArrowDtype(pa.list_(pa.int64()))
REFUSED: list[tuple[str, Any, str]] = [
    ("object", _with_column("bad", pd.Series([Stranger()])), r"value\['bad'\]\[0\] exactly: \S*Stranger"),
    ("tuple label", _with_column(("bad", 1), pd.Series([Stranger()])), r"\('bad', 1\)"),
    ("sparse", _with_column("bad", pd.arrays.SparseArray([0])), "column 'bad': the dtype Sparse"),
    (
        "arrow list",
        _with_column("bad", pd.array([[1]], dtype=LISTS)),
        "column 'bad': .*list",
    ),
    ("object in an index", pd.DataFrame({"a": [1]}, index=pd.Index([Stranger()])), "Stranger"),
    ("series", pd.Series([Stranger()]), r"value\['values'\]\[0\]"),
    ("attrs", pd.DataFrame({"a": [1]}), r"value\['attrs'\]\['who'\]"),
    ("offset", pd.DateOffset(months=1), "no name gives back the frequency"),
    ("normalized offset", pd.offsets.MonthBegin(normalize=True), "no name gives back the frequency"),
    ("holidays", pd.offsets.CustomBusinessDay(holidays=["2024-01-01"]), "no name gives back the frequency"),
    ("years beyond Python's", pd.Timestamp(np.datetime64(2**40, "s")).tz_localize("UTC"), "such years"),
    ("polars object", pl.DataFrame({"good": [1], "bad": pl.Series([Stranger()])}), "column 'bad': the dtype Object"),
    ("polars times", pl.DataFrame({"bad": pl.Series([2**60]).cast(pl.Datetime("ms"))}), "column 'bad': .*cannot show"),
    ("lazy frame", pl.LazyFrame({"a": [1]}), "LazyFrame"),
    ("expression", pl.col("a"), "Expr"),
    ("missing array", pl.Series([None, [1]], dtype=pl.Array(pl.Int8, 1)), "missing"),
]
REFUSED[6][1].attrs["who"] = Stranger()


@pytest.mark.parametrize(("name", "value", "message"), REFUSED, ids=[name for name, *_ in REFUSED])
def test_what_cannot_be_exact_is_refused_by_name(name: str, value: Any, message: str) -> None:
    with pytest.raises(SerializationError, match=message):
        serde.dumps_typed(value)


@pytest.mark.parametrize("position", [0, 2, 11])
def test_a_key_names_the_column_too(position: int) -> None:
    with pytest.raises(TypeError, match="bad"):
        stable_key(REFUSED[position][1])


class SubFrame(pd.DataFrame):
    @property
    def _constructor(self) -> Any:
        return SubFrame


def test_subclasses_are_refused() -> None:
    with pytest.raises(SerializationError, match="SubFrame"):
        serde.dumps_typed(SubFrame({"a": [1]}))


def test_a_large_frame_of_numbers_takes_a_fraction_of_a_second() -> None:
    import time

    frame = pd.DataFrame(np.arange(2_000_000.0).reshape(-1, 10))
    started = time.process_time()
    assert_same(serde.loads_typed(serde.dumps_typed(frame)), frame)
    assert stable_key(frame) == stable_key(frame.copy())
    assert time.process_time() - started < 5


def test_libraries_are_loaded_by_the_program_and_not_by_what_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "frames.db"
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        cache.set({(("f",), "pandas"): (pd.DataFrame({"a": ["x"]}), None), (("f",), "polars"): (pl.Series([1]), None)})
    script = f"""
        import sys
        from hitrate import SqliteCache
        with SqliteCache(path={str(path)!r}) as cache:
            assert cache.get([(("f",), "pandas"), (("f",), "polars")]) == {{}}
        assert not {{"pandas", "polars", "pyarrow", "numpy"}} & {{*sys.modules}}
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_pandas_works_without_pyarrow() -> None:
    script = """
        import sys
        sys.modules["pyarrow"] = None
        import pandas as pd
        from hitrate import MsgpackSerializer, stable_key
        serde = MsgpackSerializer()
        frame = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.array([1, None], "Int64")})
        back = serde.loads_typed(serde.dumps_typed(frame))
        pd.testing.assert_frame_equal(back, frame)
        assert stable_key(back) == stable_key(frame)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_release_of_a_library_that_is_not_known_spoils_no_other_type() -> None:
    script = """
        import logging, sys, types
        sys.modules["polars"] = types.ModuleType("polars")
        told = []
        logging.getLogger("hitrate").addFilter(lambda record: told.append(record.getMessage()))
        import pandas as pd
        from hitrate import MsgpackSerializer, stable_key
        serde = MsgpackSerializer()
        for _ in range(2):
            assert serde.loads_typed(serde.dumps_typed(pd.Series([1]))).tolist() == [1]
            assert stable_key(pd.Series([1])) == stable_key(pd.Series([1]))
        assert len(told) == 1 and "types of polars are not stored" in told[0], told
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
