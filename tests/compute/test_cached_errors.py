"""Exceptions that are kept: raised again exactly, or not kept; stored data chooses no class."""

from __future__ import annotations

from typing import Any

import pytest

from compute.callers import Gated
from hitrate import cached
from hitrate.compute.exceptions import described, restored
from hitrate.envelope import Envelope
from hitrate.testing import Clock


class NotThere(LookupError):
    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"{name} is not there")
        self.name = name
        self.code = code


class Slotted(LookupError):
    __slots__ = ("detail",)


def failing(cache: Any, error: Exception, **options: Any) -> tuple[Any, Gated]:
    def fail() -> Any:
        raise error

    gate = Gated(fail, is_open=True)

    @cached(cache, ignore="error", **options)
    def f(a: int = 1) -> Any:
        return gate()

    return f, gate


def test_an_exception_that_is_named_is_raised_again_until_its_ttl_is_over(any_cache: Any, clock: Clock) -> None:
    f, gate = failing(any_cache, NotThere("Rome", 404), cache_errors=LookupError, error_ttl=10)
    for _ in range(3):
        with pytest.raises(NotThere, match="Rome is not there") as raised:
            f()
        assert (raised.value.name, raised.value.code, raised.value.args) == ("Rome", 404, ("Rome is not there",))
    assert gate.runs == 1
    assert any_cache.get([f.key_for()]) == {}
    assert f.get() is None
    clock.advance(10)
    with pytest.raises(NotThere):
        f()
    assert gate.runs == 2


def test_each_raise_is_of_an_exception_of_its_own(cache: Any) -> None:
    f, _ = failing(cache, NotThere("Rome", 404), cache_errors=(NotThere,), error_ttl=10)
    seen = []
    for _ in range(3):
        with pytest.raises(NotThere) as raised:
            f()
        seen.append(id(raised.value))
        raised.value.name = "changed"
    with pytest.raises(NotThere) as raised:
        f()
    assert raised.value.name == "Rome"


def test_others_are_not_kept(cache: Any) -> None:
    f, gate = failing(cache, ValueError("no"), cache_errors=(LookupError,), error_ttl=10)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            f()
    assert gate.runs == 2


@pytest.mark.parametrize(
    "error",
    [
        KeyError("a"),
        ValueError(),
        OSError(2, "gone"),
        RuntimeError("a", 1, (2.5, None)),
        NotThere("a", 1),
        TimeoutError("late"),
        OSError(2, "gone", "file"),
        StopIteration(5),
        SyntaxError("bad", ("f.py", 1, 2, "text")),
        UnicodeDecodeError("utf-8", b"a", 0, 1, "why"),
        AttributeError("a", name="b", obj="c"),
        ImportError("a", name="b"),
        ExceptionGroup("several", [ValueError("a"), KeyError("b")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_described_is_restored_exactly(error: Exception) -> None:
    other = restored(described(error), [type(error)])
    assert type(other) is type(error)
    assert other is not None
    assert (other.args, vars(other), str(other)) == (error.args, vars(error), str(error))
    for name in ("filename", "value", "lineno", "object", "name", "obj", "exceptions"):
        assert getattr(other, name, None) == getattr(error, name, None)


def test_what_is_in_slots_is_restored_too() -> None:
    error = Slotted("a")
    error.detail = 5
    other = restored(described(error), [Slotted])
    assert isinstance(other, Slotted)
    assert other.detail == 5


def _hostile() -> Exception:
    class Hostile(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    return Hostile()


def _changed() -> Exception:
    error = UnicodeDecodeError("utf-8", b"a", 0, 1, "why")
    error.start = 5
    return error


@pytest.mark.parametrize("error", [_hostile(), _changed()], ids=lambda error: type(error).__name__)
def test_what_could_not_be_exact_is_not_described(error: Exception) -> None:
    assert described(error) is None


@pytest.mark.parametrize(
    "stored",
    [
        ("builtins.ValueError", ("a",), {}),
        ("os.system", ("true",), {}),
        ("builtins.LookupError", ("a",)),
        ("builtins.LookupError", ("a",), {1: 2}),
        "builtins.LookupError",
        None,
    ],
)
def test_stored_data_chooses_no_class(cache: Any, stored: Any, clock: Clock) -> None:
    f, gate = failing(cache, LookupError("real"), cache_errors=(LookupError,), error_ttl=10)
    (encoded,) = cache._encode_keys([f.key_for()])
    expiry = clock() + 60
    dumped = cache._codec.encoded(stored, encoded, expiry, Envelope(error=True))
    cache._store.write({encoded: (*dumped, expiry, 0.0)})
    with pytest.raises(LookupError, match="real"):
        f()
    assert gate.runs == 1


def test_a_refresh_that_fails_keeps_the_old_value_rather_than_the_exception(cache: Any, clock: Clock) -> None:
    results: list[Any] = [1]

    @cached(cache, ttl=10, stale=60, cache_errors=(IndexError,), error_ttl=100)
    def f() -> Any:
        return results.pop()

    assert f() == 1
    clock.advance(10)
    assert f() == 1
    from compute.callers import until

    until(lambda: not cache._computing._refresher._pending)
    assert f() == 1


@pytest.mark.parametrize("text", ["~fresh=nan~msgpack", "~fresh=inf~msgpack", "~~msgpack", "~error", "~error;~msgpack"])
def test_an_envelope_that_we_do_not_write_is_a_miss(cache: Any, text: str) -> None:
    from compute.callers import KEY

    (encoded,) = cache._encode_keys([KEY])
    _, payload = cache.serde.dumps_typed([1])
    cache._store.write({encoded: (text, payload, None, 0.0)})
    assert cache.get([KEY]) == {}
    assert cache.get_or_compute(KEY, lambda: 2, 60, stale=10) == 2
