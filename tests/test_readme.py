"""The examples of the README, and of the pages that teach, run as they stand and print what is said."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    "README.md": 4,
    "docs/backend.md": 1,
    "docs/compute-once.md": 11,
    "docs/inspector.md": 1,
    "docs/langchain.md": 6,
    "docs/langgraph.md": 5,
    "docs/moving/cashews.md": 2,
    "docs/moving/diskcache.md": 2,
    "docs/moving/joblib.md": 2,
    "docs/moving/langchain.md": 2,
    "docs/moving/langgraph.md": 2,
    "docs/operations.md": 2,
    "docs/own-types.md": 1,
    "docs/serializers.md": 1,
    "docs/why-a-miss.md": 3,
}
"""The pages whose examples are run, and how many each has."""

SUNSET = "ignore:`langchain-community` is being sunset:DeprecationWarning"
"""What LangChain's package of caches says when it is imported."""


def examples(text: str) -> list[tuple[str, str]]:
    return re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL)


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize(("page", "count"), PAGES.items())
def test_every_example_is_tested(page: str, count: int) -> None:
    assert len(examples(text_of(page))) == text_of(page).count("```python") == count


STARTER = """
import gc, json, os, sys
import langchain.agents, langgraph.graph

gc.freeze()
for order in sys.stdin:
    code, folder = json.loads(order)
    child = os.fork()
    if not child:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
os.chdir(folder)
for number, name in ((1, "out"), (2, "err")):
    os.dup2(os.open(f"../{name}", os.O_CREAT | os.O_WRONLY), number)
__code = compile(code, "<string>", "exec")
for __name in [name for name in globals() if not name.startswith("__")]:
    del globals()[__name]
exec(__code)
"""
"""A Python that has imported what takes a second, though nothing of hitrate. For each example it becomes a new process,
which has nothing but the example in its ``__main__``, and ends as any other.
"""


@pytest.fixture(scope="module")
def starter() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-W", "error", "-W", SUNSET, "-c", STARTER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        yield starter


@pytest.mark.parametrize(("code", "printed"), [each for page in PAGES for each in examples(text_of(page))])
def test_an_example_prints_what_it_says(
    starter: subprocess.Popen[str], code: str, printed: str, tmp_path: Path
) -> None:
    assert starter.stdin
    assert starter.stdout
    (tmp_path / "here").mkdir()
    print(json.dumps([code, str(tmp_path / "here")]), file=starter.stdin, flush=True)
    ended = starter.stdout.readline().strip()
    assert (ended, (tmp_path / "err").read_text()) == ("0", "")
    assert (tmp_path / "out").read_text() == printed


def test_what_it_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_commands_it_names_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|\$ )make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
