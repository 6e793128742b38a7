"""The examples of the README, and of the pages that teach, run as they stand and print what is said."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    "README.md": 4,
    "docs/backend.md": 1,
    "docs/compute-once.md": 10,
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


@pytest.mark.parametrize(("code", "printed"), [each for page in PAGES for each in examples(text_of(page))])
def test_an_example_prints_what_it_says(code: str, printed: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-W", SUNSET, "-c", code]
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
