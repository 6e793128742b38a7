"""A cached function passes for the function: for ``inspect``, ``help``, documentation, and all that is put over it."""

from __future__ import annotations

import abc
import asyncio
import copy
import dataclasses
import doctest
import enum
import functools
import inspect
import os
import pydoc
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol, get_type_hints, runtime_checkable
from unittest import mock

import pytest
import wrapt

from compute import documented_samples, hosted_samples
from compute.callers import run
from compute.documented_samples import Documented, adocumented, documented
from compute.hosted_samples import Pair, Slotted
from hitrate import InMemoryCache, cached


def test_inspect_sees_the_function() -> None:
    assert inspect.isfunction(documented)
    assert inspect.isroutine(documented)
    assert not inspect.iscoroutinefunction(documented)
    assert inspect.iscoroutinefunction(adocumented)
    assert asyncio.iscoroutinefunction(adocumented)
    assert str(inspect.signature(documented)) == "(number: 'int', *, by: 'int' = 2) -> 'int'"
    assert get_type_hints(documented) == {"number": int, "by": int, "return": int}
    assert "def documented(" in inspect.getsource(documented)
    assert inspect.getfile(documented) == inspect.getsourcefile(documented) == documented_samples.__file__
    assert inspect.getmodule(documented) is documented_samples
    assert documented.__defaults__ is None  # type: ignore[attr-defined]
    assert documented.__kwdefaults__ == {"by": 2}  # type: ignore[attr-defined]
    assert documented.__globals__ is vars(documented_samples)  # type: ignore[attr-defined]
    assert documented.__closure__ is None  # type: ignore[attr-defined]


def test_inspect_sees_the_method() -> None:
    service = Documented()
    method: Any = service.method
    assert inspect.ismethod(method)
    assert (method.__self__, method.__func__) == (service, Documented.method)
    assert (method.__name__, method.__qualname__) == ("method", "Documented.method")
    assert (method.__doc__, method.__module__) == ("Return the number.", documented_samples.__name__)
    assert str(inspect.signature(method)) == "(number: 'int') -> 'int'"
    assert get_type_hints(method) == {"number": int, "return": int}
    assert method == service.method
    assert method != Documented().method
    assert len({method, service.method}) == 1


def test_help_shows_the_function() -> None:
    text = pydoc.plain(pydoc.render_doc(documented))
    assert "documented(number: 'int', *, by: 'int' = 2) -> 'int'" in text
    assert "Return it times two." in text
    text = pydoc.plain(pydoc.render_doc(Documented))
    assert "method(self, number: 'int') -> 'int'" in text
    assert "Return the number." in text


def test_sphinx_documents_the_function(tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text("extensions = ['sphinx.ext.autodoc']\n")
    (tmp_path / "index.rst").write_text("Title\n=====\n\n.. automodule:: compute.documented_samples\n   :members:\n")
    # In a process of its own: it adds annotations that it reads in sources to the classes, pydantic's BaseModel too.
    build = [sys.executable, "-m", "sphinx", "-q", "-b", "text", str(tmp_path), str(tmp_path / "out")]
    subprocess.run(build, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    text = (tmp_path / "out" / "index.txt").read_text()
    name = "compute.documented_samples"
    assert f"{name}.documented(number: int, *, by: int = 2) -> int\n\n   Return it times two." in text
    assert f"async {name}.adocumented(number: int) -> int" in text
    assert "   method(number: int) -> int\n\n      Return the number." in text
    assert "   classmethod of_class(number: int) -> int\n\n      Return the number, too." in text


def test_doctests_are_collected() -> None:
    found = doctest.DocTestFinder().find(documented_samples)
    assert [each.name for each in found if each.examples] == [f"{documented_samples.__name__}.documented"]


def test_wraps_copies_what_is_the_functions() -> None:
    @functools.wraps(documented)
    def over(*args: Any, **kwargs: Any) -> int:
        return documented(*args, **kwargs)

    assert over(2) == 4
    assert inspect.signature(over) == inspect.signature(documented)
    assert over.__name__ == "documented"
    assert {name for name in vars(over) if not name.startswith("__")} == set()


def test_an_attribute_of_the_function_does_not_hide_a_call(memory: Any) -> None:
    def function(a: int) -> int:
        return a

    function.get = function.tag = 5  # type: ignore[attr-defined]
    over: Any = cached(memory)(function)
    assert (over.tag, over.get(1), over(1), over.get(1)) == (5, None, 1, 1)


def test_autospec_makes_a_mock_with_the_signature() -> None:
    double = mock.create_autospec(documented, return_value=7)
    assert double(1, by=3) == 7
    with pytest.raises(TypeError):
        double()
    adouble = mock.create_autospec(adocumented, return_value=7)
    assert run(adouble(1)) == 7


def test_partials_and_single_dispatch(memory: Any) -> None:
    @functools.singledispatch
    @cached(memory)
    def kind(value: Any) -> str:
        return "object"

    @kind.register
    @cached(memory)
    def _(value: int) -> str:
        return "int"

    assert (kind("a"), kind(1)) == ("object", "int")
    assert functools.partial(documented, by=3)(2) == 6
    assert inspect.iscoroutinefunction(functools.partial(adocumented, 1))


def test_a_callable_object_becomes_a_function(memory: Any) -> None:
    def power(base: int, exponent: int) -> int:
        return base**exponent

    async def apower(base: int, exponent: int) -> int:
        return base**exponent

    decorate = cached(memory, namespace=("powers",))
    square: Any = decorate(functools.partial(power, exponent=2))
    asquare: Any = decorate(functools.partial(apower, exponent=2))
    assert (square(3), run(asquare(3))) == (9, 9)

    class Power:
        async def __call__(self, base: int, exponent: int) -> int:
            return base**exponent

    of_object: Any = decorate(functools.partial(Power(), exponent=3))
    assert run(of_object(3)) == 27
    assert inspect.isfunction(square)
    assert inspect.iscoroutinefunction(asquare)
    assert not inspect.iscoroutinefunction(square)
    assert "(base: 'int', *, exponent: 'int' = 2)" in pydoc.plain(pydoc.render_doc(square))
    node: Any = decorate(hosted_samples.Two())
    assert node.__name__ == "Two"
    assert get_type_hints(node)["state"] is hosted_samples.Private


def test_cached_twice(memory: Any) -> None:
    runs: list[int] = []

    @cached(memory, namespace=("near",))
    @cached(InMemoryCache(), namespace=("far",))
    def f(a: int) -> int:
        runs.append(a)
        return a

    assert (f(1), f(1), f.__wrapped__(1), runs) == (1, 1, 1, [1])


def test_abstract_and_overridden_methods(memory: Any) -> None:
    class Base(abc.ABC):
        @abc.abstractmethod
        @cached(memory, ignore="self")
        def one(self, a: int) -> list[str]:
            return ["base"]

        @cached(memory, ignore="self")
        @abc.abstractmethod
        def two(self, a: int) -> list[str]:
            return ["base"]

    class Sub(Base):
        __slots__ = ()

        @cached(memory, ignore="self")
        def one(self, a: int) -> list[str]:
            return [*super().one(a), "sub"]

        def two(self, a: int) -> list[str]:  # type: ignore[override]
            return [*super().two(a), "sub"]

        two_of_five = functools.partialmethod(one, 5)

    assert Base.__abstractmethods__ == {"one", "two"}
    sub = Sub()
    assert sub.one(1) == sub.two(1) == sub.two_of_five() == ["base", "sub"]
    assert (sub.one.get(1), super(Sub, sub).one.get(1)) == (["base", "sub"], ["base"])


def test_methods_of_classes_of_many_kinds(memory: Any) -> None:
    class Colour(enum.Enum):
        RED = 1

        @cached(memory, ignore="self")
        def lower(self) -> str:
            return self.name.lower()

    @runtime_checkable
    class First(Protocol):
        def first(self) -> int: ...

    assert (list(Colour), Colour.RED.lower()) == ([Colour.RED], "red")
    for kind in (Pair, Slotted):
        assert (kind(1).first(), kind(2).first(), kind(2).first.get()) == (1, 2, 2)
        assert isinstance(kind(1), First)


def test_its_class_cannot_be_changed() -> None:
    for each in (documented, Documented().method):
        with pytest.raises(TypeError, match="cannot be set"):
            each.__class__ = int  # type: ignore[assignment]


def test_copies_are_the_function_itself() -> None:
    service = Documented()
    assert copy.copy(documented) is copy.deepcopy(documented) is documented
    assert copy.deepcopy({"call": documented})["call"] is documented
    assert copy.copy(service.method) == service.method
    bound: Any = copy.deepcopy(service.method)
    assert type(bound.__self__) is Documented
    assert bound.__self__ is not service


def test_override_marks_it(memory: Any) -> None:
    from typing_extensions import override

    assert override(cached(memory)(lambda: 1)).__override__ is True  # type: ignore[attr-defined]


def times(number: int) -> Any:
    @wrapt.decorator
    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs) * number

    return wrapper


@dataclasses.dataclass
class Adder:
    number: int

    @times(2)
    def add(self, value: int) -> int:
        return value + self.number

    @cached(InMemoryCache())
    @times(3)
    def cached(self, value: int) -> int:
        return value + self.number


def test_what_wrapt_wraps_is_told_apart(memory: Any) -> None:
    def plus(number: int) -> Any:
        def add(value: int) -> int:
            return value + number

        return add

    made = [cached(memory)(times(factor)(plus(number))) for factor in (1, 2) for number in (3, 5)]
    assert [each(0) for each in made] == [3, 5, 6, 10]
    assert [cached(memory)(Adder(number).add)(0) for number in (1, 2)] == [2, 4]
    assert [Adder(number).cached(0) for number in (1, 2)] == [3, 6]
