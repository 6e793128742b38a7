"""No module waits for itself, neither while it is imported nor when a function imports what it needs.

What is imported for type checkers alone is left out. So are the families of types that ``serde/registry.py`` and
``content/rules.py`` import by the names in their tables: each enters itself there, and the tables know none of them.
"""

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


def imports_in(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run, with the module or with one of its functions."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for each in node.orelse:
            yield from imports_in(each)
    else:
        for child in ast.iter_child_nodes(node):
            yield from imports_in(child)


def graph_of(modules: Mapping[str, str]) -> dict[str, set[str]]:
    graph = {}
    for name, source in modules.items():
        named: set[str] = set()
        for statement in imports_in(ast.parse(source)):
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


@pytest.mark.parametrize(
    "last", ["import a", "def f(): ...\nimport a", "def f():\n    from a import x", "class C:\n    import a"]
)
def test_a_circle_is_found(last: str) -> None:
    modules = {"a": "from b import x", "b": "try:\n    import c\nexcept OSError: pass", "c": last}
    with pytest.raises(graphlib.CycleError):
        list(graphlib.TopologicalSorter(graph_of(modules)).static_order())


def test_what_is_imported_for_type_checkers_makes_no_circle() -> None:
    modules = {"a": "import b", "b": "if TYPE_CHECKING:\n    import a\nelse:\n    import c", "c": ""}
    assert list(graphlib.TopologicalSorter(graph_of(modules)).static_order()) == ["c", "b", "a"]
