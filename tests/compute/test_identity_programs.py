"""A program counts as the file or module that it is: in its own process, in its workers, and where it is imported."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

JOB = """
import dataclasses, os, hitrate

@dataclasses.dataclass
class Point:
    x: int
    near: "Point | None" = None

@dataclasses.dataclass
class Line:
    start: Point

class Missing(LookupError):
    pass

cache = hitrate.SqliteCache(path="cache.db")

@hitrate.cached(cache, cache_errors=Missing, error_ttl=3600)
def slow(x):
    if x < 0:
        raise Missing(os.getpid())
    return [os.getpid(), Line(Point(x))]

def outcome(x):
    try:
        return slow(x)
    except Missing as error:
        return [error.args[0], type(error) is Missing]
"""
POOL = """
if __name__ == "__main__":
    import multiprocessing
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        made = pool.map(outcome, [5, -5])
    assert made[0][0] != os.getpid() != made[1][0]
    assert [slow(5), outcome(-5)] == made, (slow(5), outcome(-5), made)
    assert slow.namespace == (NAME, "slow"), slow.namespace
    print(made[0][0], made[1][0])
"""
IMPORT = "import {0} as m, json; print(m.slow(5)[0], m.outcome(-5)[0]); assert type(m.slow(5)[1]) is m.Line"


def python(directory: Path, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("way", ["script", "module"])
def test_a_spawned_worker_its_parent_and_who_imports_it_share(tmp_path: Path, way: str) -> None:
    if way == "script":
        name, file, command = "job", tmp_path / "job.py", ["job.py"]
    else:
        name, file, command = "pkg.job", tmp_path / "pkg" / "job.py", ["-m", "pkg.job"]
        file.parent.mkdir()
        (file.parent / "__init__.py").touch()
    file.write_text(JOB + POOL.replace("NAME", repr(name)))
    pids = python(tmp_path, *command)
    assert python(tmp_path, "-c", IMPORT.format(name)) == pids
    if way == "module":
        assert python(tmp_path, "pkg/job.py") == pids


def test_a_package_that_is_run(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").touch()
    (tmp_path / "pkg" / "__main__.py").write_text(JOB + "print(slow(1)[0], slow.namespace[0])")
    ran = python(tmp_path, "-m", "pkg")
    assert ran.endswith(" pkg.__main__")
    assert python(tmp_path, "-m", "pkg") == ran
    assert python(tmp_path, "pkg") == ran


def test_two_scripts_with_one_load_each_on_one_file(tmp_path: Path) -> None:
    """The scripts may even have one name, in two directories."""
    source = """
    import hitrate
    cache = hitrate.SqliteCache(path={path!r})
    @hitrate.cached(cache)
    def load(id):
        return f"{what} {{id}}"
    print(load(1))
    """
    path = str(tmp_path / "cache.db")
    for name, what in [("a/run.py", "user"), ("b/run.py", "order"), ("a/run.py", "user"), ("a/other.py", "other")]:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(source).format(path=path, what=what))
        assert python(file.parent, file.name) == f"{what} 1"


def test_code_without_a_file_counts_as_main(tmp_path: Path) -> None:
    source = (
        "import hitrate; f = hitrate.cached(hitrate.InMemoryCache())(lambda: 1); print(f.namespace, f.key_for()[1])"
    )
    assert python(tmp_path, "-c", source) == python(tmp_path, "-c", f"\n{source}")
    assert python(tmp_path, "-c", source).startswith("('__main__', '<lambda>')")


def test_a_stored_name_imports_nothing_and_leads_to_what_is_loaded(tmp_path: Path) -> None:
    """Neither the program under the name of another, nor a module that is not loaded."""
    (tmp_path / "one.py").write_text(JOB + "print(slow(1)[0])")
    python(tmp_path, "one.py")
    look = """
    import sys, hitrate
    cache = hitrate.SqliteCache(path="cache.db")
    key = (("one", "slow"), sys.argv[1])
    assert cache.get([key]) == {}, "restored"
    assert "one" not in sys.modules
    class Line: pass
    """
    (tmp_path / "two.py").write_text(textwrap.dedent(look))
    key = python(tmp_path, "-c", "import one; print(one.slow.key_for(1)[1])")
    python(tmp_path, "two.py", key)


def test_a_program_that_is_imported_as_a_module_too_keeps_the_two_apart(tmp_path: Path) -> None:
    (tmp_path / "twice.py").write_text(
        JOB
        + textwrap.dedent("""
        if __name__ == "__main__":
            import twice
            own, other = hitrate.InMemoryCache(), hitrate.SqliteCache(path="other.db")
            for cls in (Point, twice.Point):
                key = (("points",), cls.__module__)
                other.set({key: (cls(1), None)})
                assert type(other.get([key])[key]) is cls, cls
        """)
    )
    python(tmp_path, "twice.py")


NAMES = """
def f(x):
    '''A docstring.'''
    return [y * 2 for y in x if y > 1], f"{x!r:>10}", lambda a, *, b=2: a
class Model:
    '''Another.'''
    size: int = 3
    def run(self): return super().__repr__()
"""


@pytest.mark.parametrize("flags", [["-X", "no_debug_ranges"], ["-O"], ["-OO"]])
def test_every_process_has_the_same_keys(tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "names.py").write_text(NAMES)
    source = "import names, hitrate; print(hitrate.stable_key(names.f, names.Model, names.Model.run))"
    assert python(tmp_path, *flags, "-c", source) == python(tmp_path, "-c", source)
