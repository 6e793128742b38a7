"""The examples of the README, and of the pages that teach, run as they stand and print what is said."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LESSON = (ROOT / "docs" / "compute-once.md").read_text(encoding="utf-8")
GRAPHS = (ROOT / "docs" / "langgraph.md").read_text(encoding="utf-8")
AGENTS = (ROOT / "docs" / "langchain.md").read_text(encoding="utf-8")


def examples(text: str) -> list[tuple[str, str]]:
    return re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL)


def test_every_example_is_tested() -> None:
    assert len(examples(README)) == README.count("```python") == 3
    assert len(examples(LESSON)) == LESSON.count("```python") == 7
    assert len(examples(GRAPHS)) == GRAPHS.count("```python") == 4
    assert len(examples(AGENTS)) == AGENTS.count("```python") == 4


@pytest.mark.parametrize(("code", "printed"), examples(README) + examples(LESSON) + examples(GRAPHS) + examples(AGENTS))
def test_an_example_prints_what_it_says(code: str, printed: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == printed


def test_what_it_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_commands_it_names_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|\$ )make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
