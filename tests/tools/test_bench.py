"""The benchmark's harness: it measures, scores and reports, whatever is installed. What it measures is not tested."""

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _bench_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture(autouse=True)
def _all_tests_stay_frozen(monkeypatch):
    """An experiment begins with a collection and ends with ``unfreeze``: the next would look at all tests again."""
    monkeypatch.setattr(gc, "unfreeze", lambda: None)


def bench(*arguments):
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def bench_here(monkeypatch):
    """The command in this process, and so are the experiments, which otherwise import everything anew."""
    from bench import __main__, runner, worker

    monkeypatch.setattr(runner, "_samples", worker.measure)
    return lambda *arguments: __main__.main([*map(str, arguments)])


def test_a_cell_is_measured_and_merged_into_the_report(bench_here, tmp_path):
    done = bench("--quick", "--allow-missing", "--no-plot", "--out", tmp_path, "memory.miss")
    assert done.returncode == 0, done.stderr
    assert bench_here("--quick", "--allow-missing", "--no-plot", "--out", tmp_path, "sqlite.miss10") == 0
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert set(results["cells"]) == {"memory.miss", "sqlite.miss10"}
    for cell in results["cells"].values():
        assert cell["quick"]
        assert cell["contenders"]["hitrate"]["value"] > 0
        assert cell["score"]["value"] > 0
    report = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "| 10 misses (quick) |" in report
    assert str(tmp_path) not in report


def test_whole_runs_and_hits_of_agents_are_measured(bench_here, monkeypatch, tmp_path):
    from bench.experiments import whole_runs

    monkeypatch.setattr(whole_runs, "_LEAST", 1)
    cells = ("agents.sends.memory.warm.sync", "agents.tasks.memory.cold.async", "agents.hit.memory.model.async")
    assert bench_here("--quick", "--allow-missing", "--no-plot", "--out", tmp_path, *cells) == 0
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert set(results["cells"]) == set(cells)
    for cell in results["cells"].values():
        assert cell["score"] is not None
    report = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "| in memory: a fan-out of 200 Sends, warm (quick) |" in report


@pytest.mark.parametrize("where", ["memory", "file"])
def test_a_trace_is_read_through_a_cache_that_evicts(bench_here, tmp_path, where):
    assert bench_here("--quick", "--allow-missing", "--no-plot", "--out", tmp_path, f"eviction.{where}.zipf-1.0") == 0
    [cell] = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["cells"].values()
    assert {"hitrate", "LRU", "S3-FIFO"} <= set(cell["contenders"])
    assert all(50 < each["value"] < 80 for each in cell["contenders"].values())
    assert "S3-FIFO" in (tmp_path / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("where", ["memory", "file"])
def test_seconds_saved_are_summed_up_by_worth(tmp_path, where):
    from bench.experiments import worth

    samples = worth.measure(conditions(tmp_path), where=where, trace="zipf-1.0", reads=30_000)["saved"]
    shares = {name: share for name, [share] in samples.items()}
    assert list(shares) == ["hitrate", "hitrate by default", "LRU", "GDSF"]
    assert shares["GDSF"] - 2 < shares["hitrate"] < shares["GDSF"] + 2
    assert 0 < shares["LRU"] < shares["GDSF"]


def test_percentiles_of_single_calls_are_reported(bench_here, tmp_path):
    assert bench_here("--quick", "--allow-missing", "--no-plot", "--out", tmp_path, "tails.memory.steady.") == 0
    cells = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["cells"]
    assert set(cells) == {f"tails.memory.steady.{part}" for part in ("p50", "p99", "p99.9", "worst")}
    for who in ("hitrate", "LangGraph"):
        values = [cell["contenders"][who]["value"] for cell in cells.values()]
        assert values == sorted(values)
    assert "LangGraph" in (tmp_path / "results.md").read_text(encoding="utf-8")


def conditions(tmp_path):
    from random import Random

    from bench.experiments.base import Conditions

    return Conditions(quick=True, folder=tmp_path, rng=Random(1), allow_missing=True, progress=lambda text: None)


@pytest.mark.parametrize(
    ("where", "situation", "parts"),
    [
        ("memory", "steady", {"p50", "p99", "p99.9", "worst"}),
        ("memory", "limit", {"p50", "p99", "p99.9", "worst", "first"}),
        ("memory", "due", {"p50", "p99", "p99.9", "worst", "until"}),
        ("memory", "clearing", {"p50", "p99", "p99.9", "worst", "stats"}),
        ("memory", "clear", {"worst"}),
        ("file", "steady", {"p50", "p99", "p99.9", "worst"}),
        ("file", "limit", {"p50", "p99", "p99.9", "worst", "first"}),
        ("file", "clearing", {"p50", "p99", "p99.9", "worst", "stats"}),
    ],
)
def test_every_situation_of_the_tails_is_measured(monkeypatch, tmp_path, where, situation, parts):
    from bench.experiments import tails

    monkeypatch.setattr(tails, "_CLEARING_SECONDS", 1)
    samples = tails.measure(conditions(tmp_path), where=where, situation=situation, rows=3_000)
    samples.pop("worst by percentile", None)
    assert set(samples) == parts
    assert all(number > 0 for part in samples.values() for [number] in [part["hitrate"]])


@pytest.mark.parametrize("what", ["limit", "beside"])
def test_sets_at_a_limit_and_beside_a_ttl_are_measured(tmp_path, what):
    from bench.experiments import own_sets

    [samples] = own_sets.measure(conditions(tmp_path), payload="D", what=what).values()
    assert len(samples) == 2
    assert all(number > 0 for numbers in samples.values() for number in numbers)


def test_every_cell_of_sets_has_a_twin_with_a_ttl_and_every_cell_of_hits_in_memory_more_keys():
    from bench.cells import CELLS

    for name, cell in CELLS.items():
        if cell.what.get("op") in ("set", "overwrite") and "ttl" not in cell.what:
            assert CELLS[f"{name}.ttl"].what == {**cell.what, "ttl": 3600}
    for kind in "MDSF":
        for ttl in ({}, {"ttl": 3600}):
            rows = {
                cell.what["rows"]
                for cell in CELLS.values()
                if cell.what.items() >= {"where": "memory", "op": "hit", "payload": kind, **ttl}.items()
                and cell.what.keys() - {"batch"} == {"where", "op", "payload", "rows", *ttl}
            }
            assert rows == {16, 1000, 100_000 if kind in "MD" else 10_000}


def test_entries_with_a_ttl_are_stored_with_it(tmp_path):
    from bench.contenders import FILES, MEMORY, Terms, open_contender
    from bench.payloads import NAMESPACE, PAYLOADS

    for number, kind in enumerate((MEMORY["hitrate"], FILES["hitrate"])):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        contender = open_contender(kind, payload=PAYLOADS["R"], folder=folder, terms=Terms(ttl=3600))
        contender.store({(NAMESPACE, "key"): "value"})
        [entry] = contender.cache.entries(NAMESPACE)
        assert entry.expires is not None
        contender.close()


def test_s3_fifo_keeps_what_was_read_twice_and_readmits_what_it_remembers(tmp_path):
    from bench.contenders.policies import S3Fifo

    policy = S3Fifo(10, tmp_path)
    assert [policy.read(key) for key in (0, 0, 0)] == [False, True, True]
    assert not any(policy.read(key) for key in range(1, 30))
    assert policy.read(0)
    assert not policy.read(19)
    assert not any(policy.read(key) for key in range(30, 40))
    assert policy.read(19)


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 500), (99, 990), (99.9, 999), (100, 1000)])
def test_a_percentile_is_the_least_that_so_many_do_not_exceed(percent, expected):
    from bench.percentiles import percentile

    assert percentile(range(1, 1001), percent) == expected


def test_a_word_with_a_dot_at_its_end_chooses_a_section():
    from bench.cells import choose

    for section in ("memory.", "tails.", "eviction."):
        assert {cell.name.partition(".")[0] + "." for cell in choose([section])} == {section}


def test_a_share_is_to_be_at_least_what_is_asked():
    from bench.cells import CELLS
    from bench.score import summarise, verdict

    cell = CELLS["eviction.memory.shifting"]
    found = [verdict(summarise(cell, {"hitrate": [value], "LRU": [65.0]})) for value in (60.0, 62.0, 64.0)]
    assert found == ["short", "met", "aim"]
    assert summarise(cell, {"hitrate": [0.0], "LRU": [65.0]})["score"]["value"] == 0


def test_an_unknown_cell_is_refused():
    done = bench("no such cell")
    assert done.returncode == 2
    assert "no such cell" in done.stderr


def test_every_cell_of_the_list_has_an_experiment():
    from importlib.util import find_spec

    from bench.cells import CELLS

    assert all(find_spec(f"bench.experiments.{cell.experiment}") for cell in CELLS.values())


def test_ratios_are_taken_round_by_round():
    from bench.cells import CELLS
    from bench.score import summarise, verdict

    result = summarise(CELLS["memory.miss"], {"hitrate": [1.0, 10.0, 1.0], "LangGraph": [3.0, 30.0, 5.0]})
    assert result["score"]["value"] == 3.0
    assert verdict(result) == "met"


@pytest.mark.parametrize(("value", "expected"), [(0.4, "aim"), (0.9, "met"), (1.5, "short")])
def test_where_less_is_better_the_verdict_turns_round(value, expected):
    from bench.cells import CELLS
    from bench.score import summarise, verdict

    cell = CELLS["sqlite.asyncio200.block"]
    assert verdict(summarise(cell, {"hitrate": [value], "LangGraph": [1.0]})) == expected


def test_blocks_of_a_round_are_run_by_all_lanes():
    from random import Random

    from bench.timing import Effort, Lane, take_turns

    called = {"a": 0, "b": 0}

    def lane(name):
        def call(_):
            called[name] += 1

        return Lane(name, lambda number: (call, [None] * number), most=10)

    samples = take_turns([lane("a"), lane("b")], Effort(rounds=4, block=0.001), Random(1))
    assert {name: len(times) for name, times in samples.items()} == {"a": 4, "b": 4}
    assert min(called.values()) >= 4


def test_the_sizes_of_values_are_what_the_report_says():
    from random import Random

    from bench.payloads import PAYLOADS

    pytest.importorskip("langchain_core")
    sizes = {name: len(kind.dumps(kind.make(1, Random(1)))) for name, kind in PAYLOADS.items()}
    assert 900 <= sizes["D"] <= 1100
    assert 20_000 <= sizes["S"] <= 20_010
    assert 90 <= sizes["R"] <= 130
    for kind in PAYLOADS.values():
        value = kind.make(1, Random(1))
        assert kind.loads(kind.dumps(value)) == value


def test_growth_is_measured_a_size_after_the_other_and_merged_into_the_report(tmp_path):
    for rows in (1_000, 2_000):
        done = bench("--growth", rows, "--no-plot", "--out", tmp_path)
        assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "growth.json").read_text(encoding="utf-8"))
    assert set(results["sizes"]) == {"1000", "2000"}
    assert all(
        value > 0 for figures in results["sizes"].values() for name, value in figures.items() if name != "memory"
    )
    report = (tmp_path / "growth.md").read_text(encoding="utf-8")
    assert "| | 1,000 rows | 2,000 rows |" in report
    assert str(tmp_path) not in report


def test_a_cell_is_chosen_by_its_name_and_many_by_a_part_of_it():
    from bench.cells import choose

    assert [cell.name for cell in choose(["memory.hit.D"])] == ["memory.hit.D"]
    assert {cell.name for cell in choose(["hit.D.1000"])} > {"memory.hit.D.1000", "memory.hit.D.1000.ttl"}
    assert {cell.name.split(".")[0] for cell in choose(["memory."])} == {"memory"}


def test_the_readme_shows_what_was_measured():
    from bench.report import number

    cells = json.loads((ROOT / "docs" / "bench" / "results.json").read_text(encoding="utf-8"))["cells"]
    by_title = {f"{cell['group']}: {cell['title']}": cell for cell in cells.values()}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## How fast")[2].partition("\n## ")[0]
    _, _, *rows = [line for line in section.splitlines() if "|" in line]
    shown = [[column.strip() for column in row.strip("|").split("|")] for row in rows]
    for title, *columns in shown:
        ours, theirs = (by_title[title]["contenders"][who] for who in ("hitrate", "LangGraph"))
        unit = by_title[title]["unit"]
        assert columns == [
            f"{number(ours['value'])} {unit}",
            f"{number(theirs['value'])} {unit}",
            number(theirs["value"] / ours["value"] if "to_ours" not in theirs else theirs["to_ours"]),
        ]
    assert sum("with a TTL" in title for title, *_ in shown) >= 6
