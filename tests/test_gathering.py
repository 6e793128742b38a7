"""What several callers of one event loop are given when one call was made for all of them."""

from __future__ import annotations

import pytest

from hitrate import ClosedError, DecodeError, SerializationError, StoreError
from hitrate.errors import HitrateError
from hitrate.stores.gathering import own_copy, shares
from hitrate.stores.postgres.wire import ServerError, TimedOut


def timed_out() -> StoreError:
    error = StoreError("no answer")
    error.timed_out = True
    return error


@pytest.mark.parametrize(
    "error",
    [
        timed_out(),
        TimedOut("no answer"),
        ServerError("deadlock detected", "40P01"),
        ClosedError("the cache is closed"),
        DecodeError("damaged"),
        SerializationError("cannot be stored", where="value[1]", type_name="a.B"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_each_caller_has_an_error_of_its_own_that_tells_as_much(error: HitrateError) -> None:
    error.__cause__ = OSError("gone")
    own = own_copy(error)
    assert own is not error
    assert type(own) is type(error)
    assert (own.args, own.__dict__, own.__cause__) == (error.args, error.__dict__, error.__cause__)
    with pytest.raises(type(error)):
        raise own
    assert error.__traceback__ is None, "what one caller raised is not told by the next"


def test_an_error_that_is_none_of_ours_is_given_as_it_is() -> None:
    error = KeyError("a")
    assert own_copy(error) is error


def test_each_reader_gets_what_it_asked_for() -> None:
    assert shares("abcdef", [[1, 2], [], [3], [4, 5, 6]]) == ["ab", "", "c", "def"]
    assert shares([], []) == []
