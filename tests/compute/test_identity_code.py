"""What counts of code: what it says, and not how; the code that runs, and not what its file says by now."""

from __future__ import annotations

import importlib
import linecache
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from hitrate import cached, stable_key
from hitrate.content import sources


def cell(source: str, file: str, *, is_known: bool = True, name: str = "__main__") -> dict[str, Any]:
    """Run a cell as a notebook does."""
    if is_known:
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    space: dict[str, Any] = {"__name__": name}
    exec(compile(source, file, "exec"), space)
    return space


SAME = [
    "def f(a, b=1):\n    return [a + b, {'x': 1_000}]\n",
    "# first\n\n\ndef f(a, b = 1):  # second\n\n    return [a+b,\n        {'x': 1000}]\n",
    'def f(a, b=1):\n    """What it does."""\n    return [(a + b), {"x": 1000}]\n',
    "def g(): pass\ndef f(a, b=1): return [a + b, {'x': 1000}]\n",
    "def same(f): return f\n@same\n@same\ndef f(a, b=1): return [a + b, {'x': 1000}]\n",
]
OTHER = [
    "def f(a, b=1):\n    return [a - b, {'x': 1000}]\n",
    "def f(a, b=1):\n    return [a + b, {'x': 1001}]\n",
    "def f(a, b=1):\n    return [a + b, {'y': 1000}]\n",
    "def f(a, b=1):\n    return (a + b, {'x': 1000})\n",
    "def f(a, b=1):\n    'What it does.'; 'x'; return [a + c, {'x': 1000}]\n",
    "def f(a, b=2):\n    return [a + b, {'x': 1000}]\n",
    "async def f(a, b=1):\n    return [a + b, {'x': 1000}]\n",
    "f = lambda a, b=1: [a + b, {'x': 1000}]\n",
]


@pytest.mark.parametrize("is_known", [True, False], ids=["text", "byte code"])
def test_comments_docstrings_layout_lines_and_decorators_do_not_count(is_known: bool) -> None:
    same = {stable_key(cell(source, f"<cell {i}>", is_known=is_known)["f"]) for i, source in enumerate(SAME)}
    other = {stable_key(cell(source, f"<cell other {i}>", is_known=is_known)["f"]) for i, source in enumerate(OTHER)}
    assert len(same) == 1
    assert len(other) == len(OTHER)
    assert not same & other


def test_a_cell_that_was_edited_and_run_again(cache: Any) -> None:
    results = []
    for body in ("x + 1", "x + 2", "x + 1"):
        space = cell(f"def f(x):\n    return [{body}]\n", f"<ipython-input-{body}>")
        results.append(cached(cache)(space["f"])(1))
    assert results == [[2], [3], [2]]
    assert cache.stats().sets == 2


def test_the_text_of_another_cell_is_not_believed(cache: Any) -> None:
    """Two cells of one name: what the line cache has is the text of the last."""
    first = cell("def f(x):\n    return [x + 1]\n", "<cell>")["f"]
    second = cell("def f(x):\n    return [x + 2]\n", "<cell>")["f"]
    assert [cached(cache)(each)(1) for each in (second, first)] == [[3], [2]]


def test_code_without_a_text(cache: Any) -> None:
    made = [cell(f"def f(x):\n    return [x + {n}]\n", "<string>", is_known=False)["f"] for n in (1, 2)]
    assert [cached(cache)(each)(1) for each in made] == [[2], [3]]


def test_code_that_was_run_in_a_dict_without_a_name(cache: Any) -> None:
    def made(n: int) -> Any:
        space: dict[str, Any] = {}
        exec(f"def f(x):\n    return [x + {n}]\n", space)
        return space["f"]

    assert [cached(cache)(made(n))(1) for n in (1, 2)] == [[2], [3]]
    assert cached(cache)(made(1)).namespace == ("__main__", "f")
    assert stable_key(made(1)) == stable_key(made(1)) != stable_key(made(2))


LAMBDAS = """
fs = [lambda x: x + 1, lambda x: x + 2, (lambda: lambda x: x + 3)(), *(lambda x, n=n: x * n for n in (4, 5))]
"""


def test_lambdas_of_one_line(cache: Any) -> None:
    functions = cell(LAMBDAS, "<lambdas>")["fs"]
    assert [cached(cache)(each)(1) for each in functions] == [2, 3, 4, 4, 5]
    assert len({sources.code_digest(each.__code__, {}) for each in functions}) == 4
    moved = cell("\n\n" + LAMBDAS.replace(", ", ",\n     "), "<lambdas again>")["fs"]
    assert list(map(stable_key, functions)) == list(map(stable_key, moved))


def module(directory: Path, name: str, source: str) -> types.ModuleType:
    (directory / f"{name}.py").write_text(source)
    importlib.invalidate_caches()
    sys.modules.pop(name, None)
    return importlib.import_module(name)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def test_a_file_that_was_edited_after_its_import(cache: Any, place: Path) -> None:
    old = module(place, "edited", "def f(x):\n    return [x + 1]\n").f
    (place / "edited.py").write_text("def f(x):\n    return [x + 20]\n")
    assert cached(cache)(old)(1) == [2]
    new = module(place, "edited", "def f(x):\n    return [x + 20]\n").f
    assert cached(cache)(new)(1) == [21]
    again = module(place, "edited", "def f(x):\n    return [x + 1]\n").f
    assert stable_key(again) != stable_key(new)


def test_a_file_that_was_edited_elsewhere_has_the_same_function(cache: Any, place: Path) -> None:
    key = stable_key(module(place, "elsewhere", "def f(x):\n    return [x]\n").f)
    function = module(place, "elsewhere", "def f(x):\n    return [x]\n").f
    (place / "elsewhere.py").write_text("import os\n\ndef g(): ...\n\n\ndef f(x):\n    return [x]\n")
    assert stable_key(function) == key


def test_the_code_of_what_is_wrapped_and_closed_over_counts(cache: Any, place: Path) -> None:
    source = """
class Model:
    factor = {factor}
    def run(self, x): return [x {operator} self.factor]
    def __call__(self, x): return self.run(x)
class Derived(Model): pass
def helper(x): return [x {operator} {factor}]
def node(model):
    def f(x): return model(x)
    return f
def decorated(g):
    def w(x): return g(x) + [{factor}]
    return w
functions = [node(helper), node(lambda x: Model().run(x)), node(Derived()), decorated(node(len)), node([Model][0]())]
classes = [Model, Derived]
"""
    seen: list[list[str]] = []
    for factor, sign in ((2, "*"), (2, "+"), (3, "*")):
        made = module(place, "wrapping", source.format(factor=factor, operator=sign))
        seen.append([*map(stable_key, made.functions), *map(stable_key, made.classes)])
        again = module(place, "wrapping", "# edited\n" + source.format(factor=factor, operator=sign))
        assert seen[-1] == [*map(stable_key, again.functions), *map(stable_key, again.classes)]
    for i, (first, second, third) in enumerate(zip(*seen, strict=True)):
        assert first != second or i in (1, 3), i  # what a global is called with, and a constant elsewhere, is not seen
        assert first != third or i == 1, i


def test_a_version_pins(cache: Any, place: Path) -> None:
    keys = []
    for factor in (2, 3):
        made = module(
            place,
            "pinned",
            f"def timed(f):\n def w(x): return f(x)\n return w\n"
            f"class Model:\n def run(self, x): return x * {factor}\n"
            f"def make(c, language):\n model = Model\n @c\n @timed\n def f(x): return [model, language, x * {factor}]\n"
            f" return f\n",
        )
        keys.append([made.make(cached(cache, version=version), "en").key_for(1) for version in (1, None)])
        assert made.make(cached(cache, version=1), "de").key_for(1) != keys[-1][0]
        assert made.make(cached(cache, version=2), "en").key_for(1) != keys[-1][0]
    assert keys[0][0] == keys[1][0]
    assert keys[0][1] != keys[1][1]


def test_code_of_installed_packages_counts_by_name(place: Path) -> None:
    packages = place / "site-packages"
    packages.mkdir()
    sys.path.insert(0, str(packages))
    try:
        keys = []
        for n in (1, 2):
            made = module(
                packages,
                "installed_sample",
                f"def f(x): return x + {n}\n"
                f"def deco(g):\n def w(x): return g(x) + {n}\n return w\n"
                f"class Tool:\n def run(self): return {n}\n"
                f"two = [lambda x: x + {n}, lambda x: x - {n}]\n",
            )
            keys.append([stable_key(each) for each in (made.f, made.deco(len), made.deco(abs), made.Tool, *made.two)])
    finally:
        sys.path.remove(str(packages))
    assert keys[0][:4] == keys[1][:4]
    assert len(set(keys[0])) == 6


def test_an_upgrade_of_a_package_may_add_parameters_and_defaults(place: Path) -> None:
    packages = place / "site-packages"
    packages.mkdir()
    sys.path.insert(0, str(packages))
    try:
        keys = []
        for more, other in (("", 1), (", more=(), *, other=None", 2)):
            made = module(
                packages,
                "upgraded_sample",
                "import functools\n"
                "def wrapped(f):\n @functools.wraps(f)\n def w(*a): return f(*a)\n return w\n"
                f"def plain(x, y={other}{more}): return x\n"
                f"@wrapped\ndef decorated(x, y={other}{more}): return x\n"
                f"class Tool:\n"
                f" def run(self, x, y={other}{more}): return x\n"
                f" @classmethod\n def made(cls, x, y={other}{more}): return cls()\n"
                f" @staticmethod\n def static(x, y={other}{more}): return x\n"
                f"loops = []\nfor n in (1, 2):\n def loop(x, n=n): return x * n\n loops.append(loop)\n",
            )
            functions = [made.plain, made.decorated, made.Tool.run, made.Tool.made, made.Tool.static]
            keys.append([*map(stable_key, functions)])
            # A name that leads to the second only does not say what the first is.
            assert stable_key(made.loops[0]) != stable_key(made.loops[1])
    finally:
        sys.path.remove(str(packages))
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 5


def test_what_a_program_decorates_with_a_package_is_its_own(place: Path) -> None:
    """Its name leads to the wrapper, whose code is of a package, and says nothing of the package's."""
    keys = []
    for n in (1, 2):
        source = f"import contextlib\n@contextlib.contextmanager\ndef decorated(x):\n    yield x + {n}\n"
        keys.append(stable_key(module(place, "decorating", source).decorated))
    assert keys[0] != keys[1]


def test_a_fallback_is_no_more_than_that() -> None:
    """The digest is that of the text, not of the byte code, for functions of files."""
    code = module.__code__
    assert sources.code_digest(code, globals()) != sources.bytecode_digest(code)
