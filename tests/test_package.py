"""The package as it is installed: its public names, what importing it costs, and that it is typed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from importlib import import_module
from importlib.metadata import metadata, version
from importlib.resources import files
from pathlib import Path

import pytest

import hitrate

CODECS_AND_STORES = ("ormsgpack", "apsw", "xxhash")
OPTIONAL = ("langgraph", "langchain_core", "pydantic", "numpy", "pytest", "hypothesis", "cryptography", "rich")
PACKAGES = ("hitrate", "hitrate.langchain", "hitrate.langgraph", "hitrate.serde", "hitrate.testing")

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "hitrate"
FOLDERS = sorted(init.parent for init in SOURCE.rglob("__init__.py"))


def imported_by(statement: str) -> set[str]:
    """Return the top-level packages that a statement imports, in a process of its own."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-I", "-c", code]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("module", PACKAGES)
def test_every_public_name_is_there_and_listed(module: str) -> None:
    package = import_module(module)
    assert sorted(package.__all__) == list(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)


def test_the_public_names() -> None:
    assert {"BaseCache", "InMemoryCache", "SqliteCache"} <= set(hitrate.__all__)
    assert hitrate.InMemoryCache is import_module("hitrate.memory").InMemoryCache
    assert hitrate.SqliteCache is import_module("hitrate.sqlite").SqliteCache
    assert hitrate.BaseCache is import_module("hitrate.base").BaseCache


@pytest.mark.parametrize("module", PACKAGES)
def test_an_unknown_name_is_an_attribute_error(module: str) -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        import_module(module).Nothing  # noqa: B018


def test_importing_the_package_imports_nothing_else() -> None:
    assert not imported_by("import hitrate").intersection(CODECS_AND_STORES + OPTIONAL)


@pytest.mark.parametrize("name", ["InMemoryCache", "SqliteCache"])
def test_a_cache_needs_no_optional_package(name: str) -> None:
    options = "path=':memory:'" if name == "SqliteCache" else ""
    use = (
        f"import hitrate; c = hitrate.{name}({options}); c.set({{(('n',), 'k'): ([1], None)}}); c.get([(('n',), 'k')])"
    )
    assert not imported_by(use).intersection(OPTIONAL)


def test_an_in_memory_cache_does_not_import_sqlite() -> None:
    assert "apsw" not in imported_by("import hitrate; hitrate.InMemoryCache()")
    assert "apsw" not in imported_by("from hitrate.langgraph import InMemoryCache")


def test_the_clocks_for_tests_need_no_test_tool() -> None:
    assert not imported_by("from hitrate.testing import Clock, WallClock").intersection(OPTIONAL)


def test_the_package_is_typed() -> None:
    assert files("hitrate").joinpath("py.typed").is_file()


def test_the_metadata() -> None:
    assert version("hitrate") == "0.1.0"
    about = metadata("hitrate")
    assert about["Requires-Python"] == ">=3.11"
    assert about["License-Expression"] == "MIT"
    needed = [line for line in about.get_all("Requires-Dist") or () if "extra ==" not in line]
    assert sorted(line.partition(">")[0] for line in needed) == ["apsw", "ormsgpack", "xxhash"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(SOURCE.parent).as_posix())
def test_the_map_of_each_package_names_its_files(folder: Path) -> None:
    """That of the whole is in docs/architecture.md, that of each part in its ``__init__.py``."""
    page = ROOT / "docs" / "architecture.md" if folder == SOURCE else folder / "__init__.py"
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"\b\w+\.py\b", text))
    there = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    assert there <= named
    packages = [path.parent.name for path in folder.glob("*/__init__.py")]
    assert [name for name in packages if f"{name}/" not in text] == []
    everywhere = {path.name for path in SOURCE.rglob("*.py")}
    assert named <= everywhere


def test_two_classes_have_one_name_only_where_they_do_one_job() -> None:
    """In two stores, or as a cache and LangGraph's variant of it; the contract's are named after what they try."""
    homes: dict[str, list[Path]] = defaultdict(list)
    for path in sorted({*SOURCE.rglob("*.py")} - {*SOURCE.glob("testing/**/*.py")}):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(path)
    for name, paths in homes.items():
        folders = {path.parent for path in paths}
        same_job = len(folders) == len(paths) and {path.parent.parent.name for path in paths} == {"stores"}
        variant = folders == {SOURCE, SOURCE / "langgraph"} and len(paths) == 2
        assert len(paths) == 1 or same_job or variant, f"{name}: {[*map(str, paths)]}"
