"""Classes of attrs and msgspec: found by name, restored field by field, and none of their code runs."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import library_models as m
import msgspec
import pytest
from ormsgpack import Ext, packb, unpackb

from hitrate import stable_key
from hitrate.errors import DecodeError, SerializationError
from hitrate.serde import MsgpackSerializer, copier

serde = MsgpackSerializer()


def _late() -> m.Late:
    made = m.Late(1)
    made.later = {"a": (1,)}
    return made


def _with_dict() -> m.WithDict:
    made = m.WithDict(1)
    made.besides = [1]  # type: ignore[attr-defined]
    return made


VALUES: list[Any] = [
    *(m.Plain(1), m.Slots(1), m.Slots((1, [2]), {"k": None}), m.Defined(1, 5), m.Frozen(1, (2,)), m.Frozen([1])),
    *(
        _late(),
        m.Cached(1),
        m.Hashed("a"),
        m.HashedSlots("a"),
        m.NoWeakrefs(1),
        m.Open(1),
        m.Sub(1, 2),
        m.Undecorated(1),
    ),
    *(m.Box("x"), m.Box[int](1), m.Empty(), m.Plain(m.Slots(m.Frozen(1)))),
    *(
        m.Struct(1),
        m.Struct((1,), [[2]]),
        m.FrozenStruct(3),
        m.Tagged(some_field=1),
        m.Tagged(some_field=1, other=None),
    ),
    *(m.Unmanaged(1), m.WithDict(1, [2], 3), m.HashedStruct("x"), m.SubStruct(1, [2], 3), m.GenericStruct[int](1)),
    *(m.EmptyStruct(), m.Struct(m.FrozenStruct(m.Frozen(1))), msgspec.UNSET, msgspec.Raw(b"[1]"), msgspec.Raw(b"")),
    {m.FrozenStruct(1): m.Frozen(2), m.HashedSlots("k"): 1, m.HashedStruct("k"): 2},
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_an_instance_comes_back_as_it_was_and_with_its_key(value: Any) -> None:
    m.watching.append(True)
    try:
        (back,) = serde.loads_typed(serde.dumps_typed([value]))
    finally:
        m.watching.clear()
    assert m.ran == []
    assert type(back) is type(value)
    assert back == value
    assert type(value) is msgspec.Raw or repr(back) == repr(value)
    assert stable_key(back) == stable_key(value)
    make = copier([back])
    assert make is None or make() == [value]


def test_what_a_struct_holds_besides_its_fields_comes_back() -> None:
    back = serde.loads_typed(serde.dumps_typed(_with_dict()))
    assert vars(back) == {"besides": [1]}


def test_a_cached_hash_is_not_that_of_another_process(tmp_path: Path) -> None:
    values = [m.Hashed("a"), m.HashedSlots("a"), m.HashedStruct("a")]
    for value in values:
        hash(value)
    path = tmp_path / "payload"
    path.write_bytes(serde.dumps_typed(values)[1])
    script = f"""
        import sys
        sys.path[:0] = {[str(Path(__file__).parent)]!r}
        import library_models as m
        from hitrate.serde import MsgpackSerializer
        values = MsgpackSerializer().loads_typed(("msgpack", open({str(path)!r}, "rb").read()))
        assert [hash(each) for each in values] == [hash(cls("a")) for cls in (m.Hashed, m.HashedSlots, m.HashedStruct)]
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_value_of_a_cached_property_is_kept_and_does_not_count_in_a_key() -> None:
    value = m.Cached(1)
    key = stable_key(value)
    value.double.append(5)
    back = serde.loads_typed(serde.dumps_typed(value))
    assert back.double == [1, 1, 5]
    assert stable_key(value) == stable_key(back) == key


def test_different_content_has_different_keys() -> None:
    values = [
        m.Plain(1),
        m.Plain(2),
        m.Slots(1),
        m.Frozen(1),
        m.Struct(1),
        m.Struct(2),
        m.FrozenStruct(1),
        m.Sub(1),
        m.Defined(1),
    ]
    assert len({*map(stable_key, values)}) == len(values)


REFUSED: list[tuple[Any, str]] = [
    (m.Late(1), "attribute 'later' was never set"),
    (m.Checked(1), "__post_init__"),
    (m.Plain(object()), r"value\.x exactly: builtins.object"),
    (m.Slots(object()), r"value\.x exactly"),
    (m.Struct(object()), r"value\.x exactly"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=lambda each: type(each).__name__)
def test_what_cannot_be_exact_is_refused(value: Any, message: str) -> None:
    with pytest.raises(SerializationError, match=message):
        serde.dumps_typed(value)


def test_a_deleted_field_is_refused() -> None:
    value = m.Struct(1)
    del value.x
    with pytest.raises(SerializationError, match="deleted"):
        serde.dumps_typed(value)


def test_a_class_defined_in_a_function_is_refused() -> None:
    class Local(msgspec.Struct):
        x: int

    with pytest.raises(SerializationError, match="inside a function"):
        serde.dumps_typed(Local(1))


def test_the_list_of_types_is_kept() -> None:
    narrow = MsgpackSerializer(types=[m.Plain, m.Struct])
    for value in (m.Plain(1), m.Struct(1)):
        assert narrow.loads_typed(narrow.dumps_typed(value)) == value
    for value in (m.Slots(1), m.FrozenStruct(1)):
        with pytest.raises(SerializationError, match="not among the types"):
            narrow.dumps_typed(value)
        with pytest.raises(DecodeError, match="not among the types"):
            narrow.loads_typed(serde.dumps_typed(value))


WHOLE = [
    value
    for value in VALUES
    if type(value).__module__ == m.__name__ and not isinstance(value, (m.Empty, m.EmptyStruct))
]


@pytest.mark.parametrize("value", WHOLE, ids=lambda value: type(value).__name__)
def test_a_payload_that_lacks_a_field_is_refused(value: Any) -> None:
    state = unpackb(unpackb(serde.dumps_typed(value)[1], ext_hook=lambda code, data: data), ext_hook=Ext)
    for place, part in enumerate(state):
        for name in part if type(part) is dict else ():
            if name in ("besides", "__orig_class__", "double"):
                continue
            less = [
                each if i != place else {k: v for k, v in each.items() if k != name} for i, each in enumerate(state)
            ]
            with pytest.raises(DecodeError):
                serde.loads_typed(("msgpack", packb(Ext(1, packb(less)))))
    for less in ([state[0]], [state[0], {}], [state[0], None], [state[0], [], {}], [state[0], {"zzz": 1}]):
        with pytest.raises(DecodeError):
            serde.loads_typed(("msgpack", packb(Ext(1, packb(less)))))
