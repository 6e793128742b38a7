"""Two functions never share a result: what is told apart, and what is the same function again."""

from __future__ import annotations

import asyncio
import collections
import datetime
import functools
import json
import logging
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from compute.callers import run
from hitrate import cached, stable_key


def timed(function: Callable[..., Any]) -> Callable[..., Any]:  # no functools.wraps
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


def atimed(function: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any) -> Any:
        return await function(*args)

    return wrapper


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@pytest.mark.parametrize("decorate", [timed, wrapped, lambda f: timed(wrapped(timed(f))), functools.cache])
def test_functions_under_one_decorator(cache: Any, decorate: Any) -> None:
    def make() -> list[Any]:
        @cached(cache)
        @decorate
        def calculate(a: int, b: int) -> int:
            return a + b

        add = calculate

        @cached(cache)
        @decorate
        def calculate(a: int, b: int) -> int:
            return a * b

        return [add, calculate]

    for _ in range(2):
        assert [f(2, 5) for f in make()] == [7, 10]
    assert cache.stats().sets == 2


def test_coroutine_functions_under_one_decorator(cache: Any) -> None:
    @cached(cache)
    @atimed
    async def add(a: int, b: int) -> int:
        return a + b

    @cached(cache)
    @atimed
    async def multiply(a: int, b: int) -> int:
        return a * b

    async def main() -> list[int]:
        return await asyncio.gather(add(2, 5), multiply(2, 5))

    assert run(main()) == [7, 10]


def test_two_functions_of_one_name(cache: Any) -> None:
    @cached(cache)
    def get(id: int) -> str:
        return f"user {id}"

    users = get

    @cached(cache)
    def get(id: int) -> str:
        return f"order {id}"

    assert (users(1), get(1)) == ("user 1", "order 1")
    assert users.namespace == get.namespace


class Client:
    def __init__(self, url: str) -> None:
        self.url = url

    def fetch(self, path: str) -> str:
        return f"{self.url}{path}"

    def __call__(self, path: str) -> str:
        return self.fetch(path)


@dataclass(frozen=True)
class Prefix:
    text: str

    def __call__(self, path: str) -> str:
        return f"{self.text}{path}"

    def other(self, path: str) -> str:
        return f"{path}{self.text}"

    @classmethod
    def name(cls, path: str) -> str:
        return f"{cls.__name__} {path}"


class Shout(Prefix):
    pass


def one(path: str) -> str:
    return f"one {path}"


def two(path: str) -> str:
    return f"two {path}"


def shared(text: str) -> str:
    return f"shared {text}"


def shared_by(other: str) -> Callable[[str], str]:
    return lambda text: f"{other} {text}"


PAIRS: dict[str, tuple[Callable[[str], Any], Callable[[str], Any]]] = {
    "functions": (one, two),
    "classes": (str, list),
    "own classes": (Prefix, Shout),
    "builtins": (len, ascii),
    "lambdas of one line": (lambda text: text + "1", lambda text: text + "2"),
    "lambdas that close over functions": (shared_by("a"), shared_by("b")),
    "partials of two functions": (functools.partial(Client.fetch, Client("a")), functools.partial(one)),
    "partials": (functools.partial(Client.fetch, Client), functools.partial(Client.fetch, Client("c"))),
    "bound methods": (Client("a").fetch, Client("b").fetch),
    "methods of one object": (Prefix("a").other, Prefix("a").__call__),
    "class methods": (Prefix.name, Shout.name),
    "callable objects": (Client("a"), Client("b")),
    "callable dataclasses": (Prefix("a"), Prefix("b")),
    "bound methods of built-in types": ({"x": 1}.get, {"x": 2}.get),
    "methods of patterns": (re.compile("x").findall, re.compile("y").findall),
    "methods of types": (str.upper, str.lower),
    "getters": (operator.itemgetter(0), operator.itemgetter(-1)),
    "method callers": (operator.methodcaller("replace", "x", "1"), operator.methodcaller("replace", "x", "2")),
    "lru_cache": (functools.lru_cache(one), functools.lru_cache(two)),
    "decorated": (timed(one), timed(two)),
}
PAIRS["partials"] = (functools.partial(Prefix.other, Prefix("a")), functools.partial(Prefix.other, Prefix("b")))
PAIRS["partials of two functions"] = (functools.partial(one), functools.partial(two))


@pytest.mark.parametrize(("first", "second"), PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda f: f,
        lambda f: [f],
        lambda f: {"a": (f,)},
        lambda f: {1: f},
        lambda f: functools.partial(f),
        lambda f: collections.deque([f]),
    ],
    ids=["itself", "list", "dict", "odd dict", "partial", "deque"],
)
def test_closures_over_them_are_told_apart_and_so_are_arguments(
    memory: Any, first: Any, second: Any, wrap: Callable[[Any], Any]
) -> None:
    def make(holder: Any) -> Any:
        @cached(memory)
        def f(text: str) -> list[Any]:
            held = holder
            while not callable(held):
                held = held[0] if isinstance(held, (list, tuple, collections.deque)) else next(iter(held.values()))
            return [held(text)]

        return f

    for _ in range(2):
        assert [make(wrap(each))("xyx") for each in (first, second)] == [[first("xyx")], [second("xyx")]]
    assert memory.stats().sets == 2
    assert stable_key(wrap(first)) == stable_key(wrap(first)) != stable_key(wrap(second))


def test_closures_over_modules(cache: Any) -> None:
    def make(module: Any) -> Any:
        @cached(cache)
        def pi() -> Any:
            return str(getattr(module, "pi", "none"))

        return pi

    assert [make(module)() for module in (math, json, math)] == [str(math.pi), "none", str(math.pi)]


def test_loggers_count_by_name(cache: Any) -> None:
    def make(log: logging.Logger) -> Any:
        @cached(cache)
        def name() -> str:
            return log.name

        return name

    assert [make(logging.getLogger(name))() for name in ("a", "b", "a")] == ["a", "b", "a"]
    assert cache.stats().sets == 2


def test_defaults_count(cache: Any) -> None:
    def make(used: Any) -> Any:
        @cached(cache)
        def f(text: str, /, convert: Any = used, *, also: Any = used) -> Any:
            return [convert(text), also(text)]

        return f

    assert [make(each)("7") for each in (int, float, str, one)] == [[7, 7], [7.0, 7.0], ["7", "7"], ["one 7", "one 7"]]


def test_functions_of_one_namespace(cache: Any) -> None:
    decorate = cached(cache, namespace=("shared",))
    assert [decorate(each)("a") for each in (one, two, timed(one), timed(two))] == ["one a", "two a", "one a", "two a"]


def test_with_a_key_of_ones_own_too(cache: Any) -> None:
    decorate = cached(cache, key=lambda text: text)
    assert [decorate(timed(each))("a") for each in (one, two)] == ["one a", "two a"]
    assert cached(cache, key=lambda text: text, namespace=("ns",))(one).key_for("a") == (("ns",), "a")


def test_state_that_starts_equal_is_equal(cache: Any) -> None:
    """A list of its calls counts as it is when the function is decorated."""

    def make() -> Any:
        calls: list[int] = []

        @cached(cache)
        def double(x: int) -> int:
            calls.append(x)
            return 2 * x

        return double, calls

    first, first_calls = make()
    second, second_calls = make()
    assert [first(2), second(2), first_calls, second_calls] == [4, 4, [2], []]


def test_lists_that_a_function_appends_to_are_told_apart(cache: Any) -> None:
    def make(words: list[str]) -> Any:
        @cached(cache)
        def known(word: str) -> list[str]:
            found = []
            for each in words:
                found.append(each + word)
            return found

        return known

    assert [make(["a"])("x"), make(["b"])("x")] == [["ax"], ["bx"]]


def test_recursion_ends(cache: Any) -> None:
    def make(base: int) -> Any:
        @cached(cache)
        def even(n: int) -> Any:
            return base if n == 0 else odd(n - 1)

        @cached(cache)
        def odd(n: int) -> Any:
            return -base if n == 0 else even(n - 1)

        return even, odd

    for _ in range(2):
        assert [f(3) for base in (1, 2) for f in make(base)] == [-1, 1, -2, 2]
    assert cache.stats().sets == 16


def test_a_variable_that_is_bound_later_counts(cache: Any) -> None:
    def make(factor: int) -> Any:
        @cached(cache)
        def scale(n: int) -> int:
            return times(n)

        def times(n: int) -> int:
            return n * factor

        return scale

    assert [make(factor)(3) for factor in (2, 5, 2)] == [6, 15, 6]
    assert cache.stats().sets == 2


def test_a_cached_function_counts_as_what_it_wraps(cache: Any) -> None:
    def make(inner: Any) -> Any:
        @cached(cache)
        def outer(text: str) -> Any:
            return [inner(text)]

        return outer

    inner = [cached(cache)(each) for each in (one, two)]
    assert [make(each)("a") for each in inner] == [["one a"], ["two a"]]
    assert stable_key(inner[0]) == stable_key(cached(cache)(one)) != stable_key(inner[1])
    assert [cached(cache)(each)("b") for each in inner] == ["one b", "two b"]


def local_class(word: str) -> type:
    class Local:
        greeting = word

        def greet(self) -> str:
            return f"{word} {self.greeting}"

    return Local


def test_local_classes_count_by_their_bodies() -> None:
    keys = [stable_key(local_class(word)) for word in ("hi", "bye", "hi")]
    assert keys[0] == keys[2] != keys[1]
    derived = [stable_key(type("Derived", (local_class(word),), {})) for word in ("hi", "bye", "hi")]
    assert derived[0] == derived[2] != derived[1]


def test_two_dispatchers_are_told_apart(cache: Any) -> None:
    def make(other: Any) -> Any:
        @functools.singledispatch
        def show(value: Any) -> str:
            return "any"

        show.register(int, other)
        return cached(cache)(show)

    assert [make(each)(1) for each in (one, two, one)] == ["one 1", "two 1", "one 1"]


def test_values_in_closures_count_by_content(cache: Any) -> None:
    def make(value: Any) -> Any:
        return cached(cache)(lambda: repr(value))

    values = [1, 1.0, True, "1", b"1", [1], (1,), {1: 2}, {1}, None, datetime.date(2026, 1, 1), range(3), Prefix("a")]
    for _ in range(2):
        assert [make(value)() for value in values] == list(map(repr, values))
    assert cache.stats().sets == len(values)


def test_functions_of_installed_packages_that_share_a_name(memory: Any) -> None:
    """Of the two wrappers that a decorator may return, and of third-party decorators over two functions."""
    tenacity = pytest.importorskip("tenacity")
    decorated = [
        cached(memory)(tenacity.retry(stop=tenacity.stop_after_attempt(n))(f)) for f in (one, two) for n in (1, 2)
    ]
    assert [f("a") for f in decorated] == ["one a", "one a", "two a", "two a"]
    assert memory.stats().sets == 4


NOT_GIVEN = object()


def test_a_default_that_says_not_given(cache: Any) -> None:
    @cached(cache)
    def get(key: str, default: Any = NOT_GIVEN) -> list[Any]:
        return [key, "no default" if default is NOT_GIVEN else default]

    assert [get("a"), get("a", 1), get("a", default=2), get(key="a")] == [
        ["a", "no default"],
        ["a", 1],
        ["a", 2],
        ["a", "no default"],
    ]


def test_functions_that_lead_back_to_one_another(cache: Any) -> None:
    def family(count: int, order: Any) -> Any:
        members: dict[Any, Any] = {}

        def member(number: int) -> Any:
            def call(x: int) -> int:
                return members[(number * 7 + 3) % count](x - 1) + number if x else number

            return call

        for number in order:
            members[number] = member(number)
        return members[0]

    keys = [stable_key(family(9, order)) for order in (range(9), range(8, -1, -1))]
    assert keys[0] == keys[1] != stable_key(family(10, range(10)))
    for count in (30, 31):
        assert cached(cache)(family(count, range(count)))(5) == family(count, range(count))(5)
