"""The benchmark's harness: it measures, scores and reports, whatever is installed. What it measures is not tested."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _bench_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def bench(*arguments):
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_cell_is_measured_and_merged_into_the_report(tmp_path):
    for cell in ("memory.miss", "sqlite.miss10"):
        done = bench("--quick", "--allow-missing", "--no-plot", "--out", tmp_path, cell)
        assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert set(results["cells"]) == {"memory.miss", "sqlite.miss10"}
    for cell in results["cells"].values():
        assert cell["quick"]
        assert cell["contenders"]["hitrate"]["value"] > 0
        assert cell["score"]["value"] > 0
    report = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "| 10 misses (quick) |" in report
    assert str(tmp_path) not in report


def test_whole_runs_and_hits_of_agents_are_measured(tmp_path):
    cells = ("agents.sends.memory.warm.sync", "agents.tasks.memory.cold.async", "agents.hit.memory.model.async")
    done = bench("--quick", "--allow-missing", "--no-plot", "--out", tmp_path, *cells)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert set(results["cells"]) == set(cells)
    for cell in results["cells"].values():
        assert cell["score"] is not None
    report = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "| in memory: a fan-out of 200 Sends, warm (quick) |" in report


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
