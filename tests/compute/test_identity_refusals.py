"""What has no content to go by is refused when a function is decorated, with the ways out; and each of them works."""

from __future__ import annotations

import contextvars
import functools
import importlib
import io
import itertools
import threading
import types
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hitrate import InMemoryCache, cached


class Client:
    """A client that holds a connection."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = threading.Lock()

    def ask(self, text: str) -> str:
        return f"{self.name} {text}"


def closing_over(client: Any) -> Callable[[str], str]:
    def ask(text: str) -> str:
        return f"{client.name} {text}"

    return ask


def with_default(value: Any) -> Callable[[str], str]:
    def ask(text: str, client: Any = value) -> str:
        return f"{client.name} {text}"

    return ask


def with_keyword_default(value: Any) -> Callable[[str], str]:
    def ask(text: str, *, client: Any = value, **more: Any) -> str:
        return f"{client.name} {text}"

    return ask


def decorated(client: Any) -> Callable[[str], str]:
    function = closing_over(client)

    def wrapper(text: str) -> str:
        return function(text)

    return wrapper


def named(made: Any, name: str) -> Any:
    """Give a partial object the name that a namespace is made of."""
    made.__module__, made.__qualname__ = __name__, name
    return made


def partial(client: Any) -> Callable[[str], str]:
    def ask(client: Any, text: str) -> str:
        return f"{client.name} {text}"

    return named(functools.partial(ask, client), "partial")


def partial_by_name(client: Any) -> Callable[[str], str]:
    def ask(text: str, client: Any) -> str:
        return f"{client.name} {text}"

    return named(functools.partial(ask, client=client), "partial_by_name")


MAKERS = [closing_over, with_default, with_keyword_default, decorated, partial, partial_by_name]


@pytest.mark.parametrize("make", MAKERS)
def test_it_is_refused_with_the_ways_out(memory: Any, make: Any) -> None:
    with pytest.raises(TypeError) as caught:
        cached(memory)(make(Client("a")))
    for word in ("'client'", "Client", "scope=", "ignore='client'", "namespace=", make.__name__):
        assert word in str(caught.value)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "options",
    [
        lambda name: {"scope": name},
        lambda name: {"namespace": (name,)},
        lambda name: {"ignore": "client", "scope": name},
        lambda name: {"ignore": "client", "namespace": ("ns", name)},
        lambda name: {"namespace": (name,), "version": 1},
    ],
)
def test_each_way_out_works(cache: Any, make: Any, options: Any) -> None:
    for _ in range(2):
        asked = [cached(cache, **options(name))(make(Client(name)))("x") for name in ("a", "b")]
        assert asked == ["a x", "b x"]
    assert cache.stats().sets == 2


@pytest.mark.parametrize("make", MAKERS)
def test_to_ignore_it_is_to_share(cache: Any, make: Any) -> None:
    assert [cached(cache, ignore="client")(make(Client(name)))("x") for name in ("a", "b")] == ["a x", "a x"]


def test_a_default_that_was_left_out_is_another_argument_than_one_that_was_given(memory: Any) -> None:
    ask = cached(memory, scope="s")(with_default(Client("a")))
    assert ask("x") == ask("x") == "a x"
    with pytest.raises(TypeError, match="client"):
        ask("x", Client("b"))


def test_what_has_content_counts_beside_what_has_none(cache: Any) -> None:
    def make(client: Client, language: str) -> Any:
        @cached(cache, scope="same")
        def ask(text: str) -> str:
            return f"{client.name} {language} {text}"

        return ask

    assert [make(Client("a"), language)("x") for language in ("en", "de")] == ["a en x", "a de x"]


def test_the_object_of_a_bound_method(memory: Any) -> None:
    with pytest.raises(TypeError, match=r"(?s)Client object holds 'lock'.*lock.*ignore='(lock|self)'.*namespace="):
        cached(memory)(Client("a").ask)
    decorate = cached(memory, ignore="self")
    assert [decorate(Client(name).ask)("x") for name in ("a", "b")] == ["a x", "a x"]
    apart = [cached(memory, scope=name)(Client(name).ask)("x") for name in ("a", "b")]
    assert apart == ["a x", "b x"]


@pytest.mark.parametrize(
    "value",
    [
        *(threading.Lock(), object(), io.StringIO("a"), (i for i in ()), iter([1]), itertools.count(), Client("a")),
        *(InMemoryCache[Any](), [threading.Lock()], {"a": {"b": Client("a")}}, threading.local(), Client("a").ask),
        functools.partial(print, threading.Lock()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_refused(memory: Any, value: Any) -> None:
    def f(text: str) -> Any:
        return value

    with pytest.raises(TypeError, match=r"(?s)value.*scope=.*namespace="):
        cached(memory)(f)
    assert cached(memory, ignore="value")(f).key_for("x")


def test_the_place_within_a_value_is_named(memory: Any) -> None:
    clients = {"eu": [1, Client("a")]}
    with pytest.raises(TypeError, match=r"closes over 'clients', and clients\['eu'\]\[1\] is of type .*Client"):
        cached(memory)(lambda: clients)


def test_what_is_bound_later_is_refused_at_the_first_call(memory: Any) -> None:
    def make() -> Any:
        @cached(memory)
        def ask(text: str) -> str:
            return client.ask(text)

        client = Client("a")
        return ask

    with pytest.raises(TypeError, match="closes over 'client'"):
        make()("x")


def test_context_variables_count_by_name(memory: Any) -> None:
    variables = [contextvars.ContextVar[str](name, default=name) for name in ("a", "b")]

    def make(variable: contextvars.ContextVar[str]) -> Any:
        return cached(memory)(lambda: variable.get())

    assert [make(each)() for each in variables] == ["a", "b"]
    assert make(variables[0]).key_for() == make(contextvars.ContextVar("a", default="a")).key_for()


def test_context_variables_of_one_name_are_told_apart_by_their_defaults(memory: Any) -> None:
    variables = [contextvars.ContextVar[str]("a", default=name) for name in ("a", "b")]

    def make(variable: contextvars.ContextVar[str], *default: str) -> Any:
        return cached(memory)(lambda: variable.get(*default))

    assert [make(each)() for each in variables] == ["a", "b"]
    assert make(contextvars.ContextVar[str]("a"), "none")() == "none"


def test_a_module_that_is_not_imported_under_its_name_is_refused(memory: Any) -> None:
    """Two plug-ins may be loaded from two files under one name."""

    def make(number: int, **options: Any) -> Any:
        plugin = types.ModuleType("plugin")
        plugin.number = number  # type: ignore[attr-defined]
        return cached(memory, **options)(lambda: plugin.number)

    with pytest.raises(TypeError, match=r"'plugin', which is of type .*not the module that is imported.*scope="):
        make(1)
    assert [make(number, scope=number)() for number in (1, 2)] == [1, 2]


def test_as_an_argument_a_function_names_what_it_closes_over(memory: Any) -> None:
    @cached(memory)
    def apply(function: Any) -> Any:
        return function("x")

    with pytest.raises(TypeError, match=r"argument function .*closes over 'client', which is of type .*Client"):
        apply(closing_over(Client("a")))


def test_a_chain_of_many_decorators_is_refused_in_time(memory: Any) -> None:
    function = closing_over(Client("a"))
    for _ in range(40):
        function = (lambda inner: lambda text: inner(text))(function)
    with pytest.raises(TypeError, match="closes over 'client'"):
        cached(memory)(function)


class Times:
    """Has no lock, and so content."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def run(self, value: int) -> int:
        return value * self.factor


def service(run: Callable[[int], int]) -> Any:
    class Service:
        def method(self, value: int) -> int:
            return run(value)

    return Service


def test_to_ignore_self_is_to_ignore_the_argument_alone(cache: Any) -> None:
    """And not what another method is bound to, which the function calls."""

    def make(factor: int) -> Any:
        kind = service(Times(factor).run)
        kind.cached = cached(cache, ignore="self")(kind.method)
        return kind()

    assert [make(factor).cached(1) for factor in (2, 3)] == [2, 3]
    assert make(2).cached.key_for(1) == make(2).cached.key_for(1)


def test_the_advice_is_not_what_was_done(memory: Any) -> None:
    client = Client("a")
    with pytest.raises(TypeError, match=r"ignore='run'|ignore='lock'"):
        cached(memory, ignore="self")(service(client.ask).method)  # type: ignore[arg-type]


class Caller:
    """A callable object of the program."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __call__(self, text: str) -> str:
        return f"{self.client.name} {text}"


@pytest.mark.parametrize("make", [closing_over, with_default, decorated, partial, lambda client: client.ask, Caller])
def test_a_function_in_an_attribute_counts_whole(cache: Any, make: Any) -> None:
    """Attributes without content are left out, but what runs is not told apart by what is left."""

    def held(client: Any) -> Any:
        def call(text: str) -> Any:
            return call.function(text)  # type: ignore[attr-defined]

        call.function = make(client)  # type: ignore[attr-defined]
        call.lock = threading.Lock()  # type: ignore[attr-defined]
        return call

    with pytest.raises(TypeError, match=r"has as an attribute '.function', and .*scope="):
        cached(cache)(held(Client("a")))
    assert [cached(cache, scope=name)(held(Client(name)))("x") for name in ("a", "b")] == ["a x", "b x"]
    told = [SimpleNamespace(name=name, ask=closing_over(SimpleNamespace(name=name))) for name in ("a", "b")]
    assert [cached(cache)(held(each))("x") for each in told] == ["a x", "b x"]


@pytest.mark.parametrize("make", [closing_over, partial, lambda client: client.ask, Caller])
def test_a_function_in_what_a_package_holds_counts_whole(
    memory: Any, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "holding_sample.py").write_text(
        "class Runner:\n"
        "    def __init__(self, f): self.f = f\n"
        "    def run(self, *args): return self.f(*args)\n"
        "def deco(f):\n"
        "    runner = Runner(f)\n"
        "    def wrapper(*args): return runner.run(*args)\n"
        "    return wrapper\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    deco = importlib.import_module("holding_sample").deco
    with pytest.raises(TypeError, match=r"closes over 'runner', and .*scope="):
        cached(memory)(deco(make(Client("a"))))
    assert cached(memory)(deco(closing_over(SimpleNamespace(name="a"))))("x") == "a x"
    assert cached(memory)(deco(closing_over(SimpleNamespace(name="b"))))("x") == "b x"
