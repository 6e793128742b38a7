"""The pages: what they link to is there, the site has all of them, and what commands print is what they say."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SITE = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
LIBRARIES = ("langgraph", "langchain", "diskcache")


def prose(page: Path) -> str:
    """Without code, in which brackets are no links."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made on GitHub."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_navigation_has_every_page_and_no_other() -> None:
    nav = SITE[SITE.index("\nnav:") :]
    named = {name for name in re.findall(r": ([\w/-]+\.md)$", nav, re.MULTILINE) if not name.startswith("api/")}
    at_the_root = {"index.md", "security.md", "contributing.md", "changelog.md"}
    assert named - at_the_root == {str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")}
    assert named >= at_the_root


def test_the_reference_has_every_public_package() -> None:
    packages = {path.parent.name for path in ROOT.glob("src/hitrate/*/__init__.py") if "__all__" in path.read_text()}
    described = (ROOT / ".ci/site.py").read_text(encoding="utf-8")
    assert packages
    for package in packages:
        assert f'"hitrate.{package}": "{package}"' in described
        assert f"hitrate.{package}: api/{package}.md" in SITE


def test_the_site_asks_for_nothing_from_elsewhere() -> None:
    assert "font: false" in SITE
    assert re.findall(r"https?://[^\s\"')]+", SITE + (ROOT / "docs/site.css").read_text(encoding="utf-8")) == []


def test_the_layers_are_drawn_without_loading_mermaid() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    script = "import sys; sys.path.insert(0, '.ci'); from diagrams import drawn; print(drawn(sys.stdin.read()))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, input=page, capture_output=True, text=True, check=True
    )
    (fence,) = re.findall(r"```mermaid\n(.*?)```", page, re.DOTALL)
    labels = [part for label in re.findall(r'\["(.*?)"\]', fence) for part in label.split("<br/>")]
    assert "mermaid" not in done.stdout
    assert labels
    assert [label for label in labels if f">{label}</text>" not in done.stdout] == []


def test_files_that_the_design_names_are_there() -> None:
    """Each ``name.py``, and each folder of the package, is somewhere in it, or in the folder that is named with it."""
    pages = [ROOT / "docs/architecture.md", *ROOT.glob("docs/design/*.md")]
    named = {
        name
        for page in pages
        for name in re.findall(r"[\w/]+\.py\b|\b[a-z_]+(?:/[a-z_]+)*/(?=[`\s])", page.read_text())
    }
    there = [
        f"{path.relative_to(ROOT)}{'/' * path.is_dir()}"
        for path in [*ROOT.rglob("src/hitrate/**/*"), ROOT / "tests/servers", ROOT / "conformance"]
    ]
    there += ["src/hitrate/"]
    assert len(named) > 50
    assert [name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in there)] == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_is_taken_along_is_told_as_the_page_says(library: str, tmp_path: Path) -> None:
    page = (ROOT / f"docs/moving/{library}.md").read_text(encoding="utf-8")
    theirs = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    console = re.search(r"```console\n\$ (.*?)\n(.*?)```", page, re.DOTALL)
    assert theirs
    assert console
    subprocess.run([sys.executable, "-c", theirs[1]], cwd=tmp_path, check=True, capture_output=True)
    command = [sys.executable, "-m", *shlex.split(console[1])]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (console[2], "")


def test_the_dashboard_and_other_files_are_whole() -> None:
    for path in ROOT.glob("docs/**/*.json"):
        json.loads(path.read_text(encoding="utf-8"))
