"""No module waits for itself while it is imported; what is imported for type checkers or by a function is left out."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent.parent / "src"


def modules_in(root: Path) -> dict[str, str]:
    return {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file.read_text("utf-8")
        for file in root.rglob("*.py")
    }


def imports_at_once(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run when the module does, and not when one of its functions does."""
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement
        elif isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            yield from imports_at_once(statement.orelse)
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            parts = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
            parts += [handler.body for handler in getattr(statement, "handlers", [])]
            for part in parts:
                yield from imports_at_once(part)


def graph_of(modules: Mapping[str, str]) -> dict[str, set[str]]:
    graph = {}
    for name, source in modules.items():
        named: set[str] = set()
        for statement in imports_at_once(ast.parse(source).body):
            if isinstance(statement, ast.Import):
                named.update(alias.name for alias in statement.names)
            elif statement.module is not None:
                whole = {alias: f"{statement.module}.{alias.name}" for alias in statement.names}
                named.update(each if each in modules else statement.module for each in whole.values())
        graph[name] = named & modules.keys() - {name}
    return graph


def test_no_module_imports_itself_in_a_circle() -> None:
    modules = modules_in(SOURCES)
    assert len(modules) > 100
    list(graphlib.TopologicalSorter(graph_of(modules)).static_order())


def test_a_circle_is_found() -> None:
    modules = {"a": "from b import x", "b": "try:\n    import c\nexcept OSError: pass", "c": "def f(): ...\nimport a"}
    with pytest.raises(graphlib.CycleError):
        list(graphlib.TopologicalSorter(graph_of(modules)).static_order())


def test_what_is_imported_for_type_checkers_or_by_a_function_makes_no_circle() -> None:
    modules = {"a": "import b", "b": "if TYPE_CHECKING:\n    import a\ndef f():\n    import a"}
    assert list(graphlib.TopologicalSorter(graph_of(modules)).static_order()) == ["b", "a"]
