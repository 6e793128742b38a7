"""Types that a program teaches: value and key together, by a name it registered."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from library_models import Fraction3
from ormsgpack import Ext, packb

from hitrate import InMemoryCache, SqliteCache, cached, stable_key
from hitrate.errors import DecodeError, SerializationError
from hitrate.serde import EncryptedSerializer, MsgpackSerializer, ZstdSerializer, register, taught

early = MsgpackSerializer()


@pytest.fixture(autouse=True)
def only_what_the_test_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taught, "_by_class", {})
    monkeypatch.setattr(taught, "_by_name", {})
    return


def teach(**more: Any) -> None:
    register(
        Fraction3, name="test.Fraction3", dump=lambda obj: [obj.a, obj.b], load=lambda state: Fraction3(*state), **more
    )


def make_class() -> type[Any]:
    class Local:
        def __init__(self, x: Any) -> None:
            self.x = x

    return Local


def test_a_taught_type_is_stored_and_keyed_also_by_what_was_made_before() -> None:
    with pytest.raises(SerializationError, match="Fraction3"):
        early.dumps_typed(Fraction3(1, 2))
    with pytest.raises(TypeError, match="Fraction3"):
        stable_key(Fraction3(1, 2))
    teach()
    for value in (
        Fraction3(1, (2, [3])),
        [Fraction3(Fraction3(1, 2), {"k": Fraction3(3, 4)})],
        {"a": (Fraction3(1, {1: 2}),)},
    ):
        for serde in (early, MsgpackSerializer()):
            back = serde.loads_typed(serde.dumps_typed(value))
            assert back == value
            assert stable_key(back) == stable_key(value)
    assert stable_key(Fraction3(1, 2)) != stable_key(Fraction3(1, 3)) != stable_key([1, 3])


def test_every_cache_and_serializer_and_cached_function_has_it(tmp_path: Path) -> None:
    teach()
    wrapped = EncryptedSerializer(ZstdSerializer(), key=b"k" * 32)
    calls: list[Any] = []
    with SqliteCache[Any](path=tmp_path / "a.db", serde=wrapped, on_error="raise") as sqlite:
        for cache in (InMemoryCache[Any](on_error="raise"), sqlite):

            @cached(cache, version="1")
            def half(value: Fraction3) -> Fraction3:
                calls.append(value)
                return Fraction3(value.a, [value.b])

            for _ in range(3):
                assert half(Fraction3(1, 2)) == Fraction3(1, [2])
    assert len(calls) == 2


def test_a_hit_in_memory_is_the_callers_own() -> None:
    teach()
    cache = InMemoryCache[Any](on_error="raise")
    key = (("own",), "k")
    cache.set({key: ({"x": Fraction3(1, [])}, None)})
    for _ in range(3):
        cache.get([key])[key]["x"].b.append(1)
    assert cache.get([key]) == {key: {"x": Fraction3(1, [])}}


def test_the_key_may_count_less_than_the_value() -> None:
    teach(key=lambda obj: obj.a)
    assert stable_key(Fraction3(1, 2)) == stable_key(Fraction3(1, object()))
    assert stable_key(Fraction3(1, 2)) != stable_key(Fraction3(2, 2))
    assert early.loads_typed(early.dumps_typed(Fraction3(1, 2))) == Fraction3(1, 2)


def test_what_no_function_of_this_process_reads_is_a_miss_with_its_name(tmp_path: Path) -> None:
    teach()
    path = tmp_path / "a.db"
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        cache.set({(("n",), "k"): (Fraction3(1, 2), None)})
    script = f"""
        import sys
        sys.path[:0] = {[str(Path(__file__).parent)]!r}
        from hitrate import SqliteCache
        from hitrate.serde import register
        key = (("n",), "k")
        with SqliteCache(path={str(path)!r}) as cache:
            assert cache.get([key]) == {{}}
            assert "library_models" not in sys.modules
            from library_models import Fraction3
            register(Fraction3, name="test.Fraction3", dump=lambda obj: [obj.a, obj.b], load=lambda s: Fraction3(*s))
            cache.set({{key: (Fraction3(1, 2), None)}})
            assert cache.get([key]) == {{key: Fraction3(1, 2)}}
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    payload = early.dumps_typed(Fraction3(1, 2))
    taught._by_name.clear()
    with pytest.raises(DecodeError, match=r"registered no class under the name 'test\.Fraction3'"):
        early.loads_typed(payload)


def test_errors_of_the_functions_are_those_of_storing_and_reading() -> None:
    def fail(obj: Any) -> Any:
        raise LookupError("no such thing")

    register(Fraction3, name="f", dump=fail, load=fail)
    with pytest.raises(SerializationError, match=r"value\[0\] exactly.*dump function.*LookupError: no such thing"):
        early.dumps_typed([Fraction3(1, 2)])
    with pytest.raises(TypeError, match=r"key function.*LookupError"):
        stable_key(Fraction3(1, 2))
    with pytest.raises(DecodeError, match="load function of 'f' raised LookupError: no such thing"):
        early.loads_typed(("msgpack", packb(Ext(taught.TAUGHT, packb(["f", None])))))


def test_a_state_that_cannot_be_stored_is_named() -> None:
    register(Fraction3, name="f", dump=lambda obj: {"a": obj.a}, load=lambda state: Fraction3(state["a"], 0))
    with pytest.raises(SerializationError, match=r"value\['a'\] exactly: builtins\.object"):
        early.dumps_typed(Fraction3(object(), 1))


def test_a_load_that_returns_something_else_is_refused() -> None:
    register(Fraction3, name="f", dump=lambda obj: None, load=lambda state: state)
    with pytest.raises(DecodeError, match=r"returned a builtins\.\w+, no library_models\.Fraction3"):
        early.loads_typed(early.dumps_typed(Fraction3(1, 2)))


def test_a_dump_that_never_ends_is_refused() -> None:
    register(Fraction3, name="f", dump=lambda obj: Fraction3(obj, 1), load=lambda state: Fraction3(1, 1))
    with pytest.raises(SerializationError, match="nested too deeply"):
        early.dumps_typed(Fraction3(1, 2))
    with pytest.raises(TypeError, match="nested too deeply"):
        stable_key(Fraction3(1, 2))


def test_subclasses_are_not_included() -> None:
    teach()
    sub = type("Sub", (Fraction3,), {})
    with pytest.raises(SerializationError, match="Sub"):
        early.dumps_typed(sub(1, 2))


def test_the_list_of_types_is_kept() -> None:
    teach()
    for allowed, narrow in ((True, MsgpackSerializer(types=[Fraction3])), (False, MsgpackSerializer(types=[dict]))):
        if allowed:
            assert narrow.loads_typed(narrow.dumps_typed(Fraction3(1, 2))) == Fraction3(1, 2)
            continue
        with pytest.raises(SerializationError, match="not among the types"):
            narrow.dumps_typed(Fraction3(1, 2))
        with pytest.raises(DecodeError, match="not among the types"):
            narrow.loads_typed(early.dumps_typed(Fraction3(1, 2)))


def test_a_class_defined_in_a_function_can_be_taught() -> None:
    local = make_class()
    register(local, name="local", dump=lambda obj: obj.x, load=local)
    assert early.loads_typed(early.dumps_typed(local({"a": 1}))).x == {"a": 1}


def test_a_class_that_is_defined_anew_takes_the_name_over() -> None:
    old, new = make_class(), make_class()
    register(old, name="local", dump=lambda obj: obj.x, load=old)
    payload = early.dumps_typed(old(1))
    register(new, name="local", dump=lambda obj: obj.x, load=new)
    assert type(early.loads_typed(payload)) is new
    with pytest.raises(SerializationError, match="defined anew"):
        early.dumps_typed(old(1))


def test_the_same_class_may_be_registered_again() -> None:
    teach()
    register(Fraction3, name="test.Fraction3", dump=lambda obj: obj.a, load=lambda state: Fraction3(state, None))
    assert early.loads_typed(early.dumps_typed(Fraction3(1, 2))) == Fraction3(1, None)


@dataclass
class Known:
    x: int


@pytest.mark.parametrize("cls", [int, str, dict, object, list, tuple, set, Known, type(None), bytes, complex])
def test_a_class_that_is_stored_anyway_is_a_value_error(cls: type[Any]) -> None:
    with pytest.raises(ValueError, match="stored without being registered"):
        register(cls, name="x", dump=lambda obj: None, load=lambda state: None)


def test_a_name_has_one_class_and_a_class_one_name() -> None:
    teach()
    with pytest.raises(ValueError, match=r"registered for library_models\.Fraction3"):
        register(make_class(), name="test.Fraction3", dump=lambda obj: None, load=lambda state: None)
    with pytest.raises(ValueError, match=r"under the name .test\.Fraction3."):
        register(Fraction3, name="other", dump=lambda obj: None, load=lambda state: Fraction3(1, 2))


BAD: list[tuple[Any, Any, Any, type[Exception]]] = [
    *((1, "n", len, TypeError), (Fraction3, 1, len, TypeError), (Fraction3, "n", None, TypeError)),
    *((Fraction3, "", len, ValueError), (Fraction3, "x" * 201, len, ValueError), (Fraction3, "a\0", len, ValueError)),
    (Fraction3, "\ud800", len, ValueError),
]


@pytest.mark.parametrize(("cls", "name", "function", "error"), BAD, ids=range(len(BAD)))
def test_misuse_is_told(cls: Any, name: Any, function: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        register(cls, name=name, dump=function, load=function)


@pytest.mark.parametrize(
    "state", [None, [], [1, 2], ["test.Fraction3"], ["test.Fraction3", 1], ["os.system", "id"], {"a": 1}]
)
def test_hostile_content_is_refused(state: Any) -> None:
    teach()
    with pytest.raises(DecodeError):
        early.loads_typed(("msgpack", packb(Ext(taught.TAUGHT, packb(state)))))


def test_threads_may_register_and_store_at_once() -> None:
    errors: list[BaseException] = []
    start = threading.Barrier(4)

    def run(number: int) -> None:
        try:
            start.wait(10)
            for turn in range(50):
                cls = make_class()
                cls.__qualname__ = f"C{number}_{turn}"
                register(cls, name=cls.__qualname__, dump=lambda obj: obj.x, load=cls)
                assert early.loads_typed(early.dumps_typed([cls(turn)]))[0].x == turn
                assert stable_key(cls(1)) == stable_key(cls(1))
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_langgraph_node_returns_it() -> None:
    from typing import TypedDict

    from langgraph.graph import START, StateGraph
    from langgraph.types import CachePolicy

    from hitrate.langgraph import InMemoryCache as GraphMemory

    class State(TypedDict):
        x: Any

    teach()
    calls: list[Any] = []

    def node(state: State) -> State:
        calls.append(state)
        return {"x": Fraction3(1, 2)}

    builder = StateGraph(State)
    policy: Callable[..., str] = stable_key
    builder.add_node("node", node, cache_policy=CachePolicy(key_func=policy))
    builder.add_edge(START, "node")
    graph = builder.compile(cache=GraphMemory(on_error="raise"))
    for _ in range(2):
        assert graph.invoke({"x": Fraction3(3, 4)}) == {"x": Fraction3(1, 2)}
    assert len(calls) == 1
