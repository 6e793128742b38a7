"""What comes back equals what went in, value and type, all the way down."""

from __future__ import annotations

from collections import deque

import pytest

from hitrate.errors import SerializationError
from hitrate.serde import MsgpackSerializer

serde = MsgpackSerializer()


@pytest.mark.parametrize(
    "value",
    [None, True, 1, -(2**70), 1.5, "text", "\ud800", b"bytes", [1, (2, (3,))], {"a": {1: {"\ud800": ()}}}, {1, 2}],
    ids=repr,
)
def test_a_value_comes_back_as_it_was(value: object) -> None:
    back = serde.loads_typed(serde.dumps_typed(value))
    assert repr(back) == repr(value)


def test_writes_of_a_node_come_back_as_a_deque_of_pairs() -> None:
    writes = deque([("messages", [1]), ("branch:to:b", None)])
    encoding, payload = serde.dumps_typed(writes)
    assert encoding == "writes"
    assert serde.loads_typed((encoding, payload)) == writes


def test_a_refusal_names_the_type_and_the_place() -> None:
    with pytest.raises(SerializationError, match=r"value\['rows'\]\[1\]\[0\].*builtins\.object") as caught:
        serde.dumps_typed({"rows": [1, (object(),)]})
    assert caught.value.where == "value['rows'][1][0]"
