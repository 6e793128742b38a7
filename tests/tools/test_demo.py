"""The demo, on a small library: each act runs in two processes, and tells when something is wrong."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

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


def library_in(folder: Path) -> Path:
    for name, source in SOURCES.items():
        path = folder / "library" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return folder / "library"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return library_in(tmp_path)


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of the demo."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import agent_act
    import graph_act
    import librarian
    import library
    import researcher
    import study

    return SimpleNamespace(
        agent_act=agent_act,
        graph_act=graph_act,
        librarian=librarian,
        library=library,
        researcher=researcher,
        study=study,
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The demo, which has run where a file of an earlier one lay."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "cache.db").write_text("of an earlier version")
    where = ["--folder", folder, "--library", library_in(tmp_path_factory.mktemp("library"))]
    command = [sys.executable, EXAMPLES / "demo.py", *where, "--pace", "0"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_second_process_of_each_act_makes_the_same_from_the_cache(done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stderr) == (0, "")
    graph, agent = (
        [line.split() for line in act.splitlines()] for act in done.stdout.split("Second act: an agent answers")
    )
    assert ["nodes", "run", "6", "1"] in graph
    assert ["hits", "0", "5"] in graph
    assert "Both runs made the same index" in done.stdout
    # Of the five questions the first has two documents, of four others nothing is found.
    assert ["calls", "of", "the", "model", "11", "0"] in agent
    assert ["calls", "of", "tools", "13", "0"] in agent
    assert ["hits", "0", "24"] in agent
    (tokens,) = (row for row in agent if row[:1] == ["tokens"] and row[1] != "saved")
    assert tokens[1] != "0"
    assert ["tokens", "saved", "0", tokens[1]] in agent
    assert "Both runs gave the same answers" in done.stdout


def test_the_output_is_plain_text_when_it_is_no_terminal(done: subprocess.CompletedProcess[str]) -> None:
    shown = done.stdout
    assert shown.isascii()
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "cold run: 6 of 6" in shown
    assert "cold run: 5 of 5" in shown
    assert {"time", "seconds", "bytes", "calls", "tokens"} <= {line.split()[0] for line in shown.splitlines() if line}


def test_a_difference_is_a_failure(examples: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cold = examples.graph_act.Account(executed=6, hits=0, seconds=2.0, stored=1, digest="a" * 64, facts=["A fact."])
    warm = replace(cold, executed=1, hits=5, seconds=1.0)
    assert examples.graph_act.judge(cold, warm) == 0
    assert examples.graph_act.judge(cold, replace(warm, digest="b" * 64)) == 1
    assert examples.graph_act.judge(cold, replace(warm, executed=6, hits=0)) == 1
    assert capsys.readouterr().out.count("FAILED") == 2


def test_another_answer_a_call_that_ran_and_tokens_that_do_not_add_up_are_failures(
    examples: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = examples.agent_act.judge
    cold = examples.agent_act.Account(
        models=2,
        tools=1,
        tokens=90,
        seconds=2.0,
        hits=0,
        tokens_saved=0,
        seconds_saved=0.0,
        spared=[],
        answers=["One."],
    )
    warm = replace(cold, models=0, tools=0, tokens=0, seconds=1.0, hits=3, tokens_saved=90, seconds_saved=1.5)
    assert judge(cold, warm) == 0
    assert judge(cold, replace(warm, answers=["Another."])) == 1
    assert judge(cold, replace(warm, models=1)) == 1
    assert judge(cold, replace(warm, tools=1)) == 1
    assert judge(cold, replace(warm, tokens_saved=89)) == 1
    assert capsys.readouterr().out.count("FAILED") == 4


def test_the_agent_looks_at_documents_again_that_have_changed(examples: Any, library: Path, tmp_path: Path) -> None:
    from hitrate import SqliteCache

    def ask(cache: Any) -> tuple[Any, list[str]]:
        bill = examples.researcher.Bill()
        return bill, list(examples.researcher.research(cache, str(library), bill, seconds=0))

    with SqliteCache[Any](path=tmp_path / "agent.db") as cache:
        cold, before = ask(cache)
        assert "worker.py (10 lines of code, 1 functions): A worker takes jobs" in before[0]
        assert (cold.models, cold.tools) == (11, 13)
        warm, again = ask(cache)
        assert again == before
        assert (warm.models, warm.tools, warm.tokens) == (0, 0, 0)
        (library / "worker.py").write_text(SOURCES["worker.py"].replace("A worker takes jobs", "A worker picks jobs"))
        changed, after = ask(cache)
        assert "A worker picks jobs" in after[0]
        assert changed.tools == 13


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (1, 1.0), ("1", 1), ((1,), [1]), ({1}, frozenset({1})), ({"a": 1}, {"a": 2}), ([], [[]]), (b"a", "a")],
)
def test_the_canonical_form_tells_values_and_types_apart(examples: Any, one: Any, other: Any) -> None:
    assert examples.graph_act.canonical(one) == examples.graph_act.canonical(one)
    assert examples.graph_act.canonical(one) != examples.graph_act.canonical(other)


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
