"""The demo, on a small library: it runs twice in two processes, and tells when something is wrong."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

SOURCES = {
    "queue_of_jobs.py": '"""A queue of jobs. Jobs wait in the queue until a worker takes a job."""\nimport sys\n',
    "worker.py": (
        "import sys\nimport os.path\nfrom queue_of_jobs import Job\n\n# takes\n\n"
        "class Worker:\n"
        '    """A worker takes jobs from the queue, one after another."""\n\n'
        "    def work(self, jobs):\n"
        "        for job in jobs:\n"
        "            if job and not job.done:\n"
        "                job()\n"
        "        return [job for job in jobs if job.done]\n"
    ),
    "inner/broken.py": "this is { no Python\n",
    "inner/empty.py": "",
    "tests/test_worker.py": "import nothing\n",
    "notes.txt": "no source",
}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    for name, source in SOURCES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return folder


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of the demo."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import demo
    import library
    import study

    return SimpleNamespace(demo=demo, library=library, study=study)


def run_demo(tmp_path: Path, library: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLES / "demo.py", "--folder", tmp_path / "demo", "--library", library]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_second_process_makes_the_same_from_the_cache(tmp_path: Path, library: Path) -> None:
    left_over = tmp_path / "demo" / "cache.db"
    left_over.parent.mkdir()
    left_over.write_text("of an earlier version")
    done = run_demo(tmp_path, library)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["nodes", "run", "6", "1"] in rows
    assert ["hits", "0", "5"] in rows
    assert "Both runs made the same index" in done.stdout


def test_the_output_is_plain_text_when_it_is_no_terminal(tmp_path: Path, library: Path) -> None:
    shown = run_demo(tmp_path, library).stdout
    assert shown.isascii()
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "cold run: 6 of 6" in shown
    assert {"time", "seconds", "bytes"} <= {line.split()[0] for line in shown.splitlines() if line}


def test_a_difference_is_a_failure(examples: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cold = examples.demo.Account(executed=6, hits=0, seconds=2.0, stored=1, digest="a" * 64, facts=["A fact."])
    warm = replace(cold, executed=1, hits=5, seconds=1.0)
    assert examples.demo.judge(cold, warm) == 0
    assert examples.demo.judge(cold, replace(warm, digest="b" * 64)) == 1
    assert examples.demo.judge(cold, replace(warm, executed=6, hits=0)) == 1
    assert capsys.readouterr().out.count("FAILED") == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (1, 1.0), ("1", 1), ((1,), [1]), ({1}, frozenset({1})), ({"a": 1}, {"a": 2}), ([], [[]]), (b"a", "a")],
)
def test_the_canonical_form_tells_values_and_types_apart(examples: Any, one: Any, other: Any) -> None:
    assert examples.demo.canonical(one) == examples.demo.canonical(one)
    assert examples.demo.canonical(one) != examples.demo.canonical(other)


def test_only_what_has_changed_is_studied_again(examples: Any, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hitrate.langgraph import InMemoryCache

    studied: list[str] = []
    study = examples.study.study
    monkeypatch.setattr(examples.library, "study", lambda document: (studied.append(document.name), study(document))[1])
    graph = examples.library.library_graph(InMemoryCache())
    graph.invoke({"folder": str(library)})
    assert sorted(studied) == ["inner/broken.py", "inner/empty.py", "queue_of_jobs.py", "worker.py"]
    studied.clear()
    (library / "worker.py").write_text(SOURCES["worker.py"] + "\nclass Another:\n    pass\n")
    index = graph.invoke({"folder": str(library)})["index"]
    assert studied == ["worker.py"]
    assert index.classes == 2


def test_a_document_is_parsed_measured_and_summarised(examples: Any, library: Path) -> None:
    path = library / "worker.py"
    report = examples.study.study(examples.study.Document("worker.py", str(path), "digest"))
    assert report.lines == {"code": 10, "comment": 1, "blank": 3}
    assert (report.classes, report.functions) == (1, 1)
    assert report.complexity == (("work", 6),)
    assert report.imports == {"sys", "os", "queue_of_jobs"}
    assert report.summary == ("A worker takes jobs from the queue, one after another.",)
    assert report.terms["queue"] == 1
