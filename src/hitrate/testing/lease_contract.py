"""What every store that several processes share keeps of leases, whatever it is made of.

A test module inherits ``LeaseContract`` as ``TestLeases`` and gives the fixtures named there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest

from hitrate.entry import Entry
from hitrate.keys import encode_namespace
from hitrate.stores.base import Store

NAME = encode_namespace(("leases", "a"))
OTHER = encode_namespace(("leases", "b"))
KEY = (NAME, b"key")


def token() -> bytes:
    return uuid4().bytes


def entry(payload: bytes) -> Entry:
    return ("bytes", payload, None, 0.5)


class LeaseContract:
    """Needs the fixtures ``stores``, two stores on one backend and prefix as two processes have them, open for the
    test; and ``later``, which moves their clock by some seconds, or waits where the server's clock is used.
    """

    def test_a_free_key_is_leased_to_one(self, stores: tuple[Store, Store]) -> None:
        one, two = stores
        assert list(one.lease([KEY], token(), 60)) == [0.0]
        (left,) = two.lease([KEY], token(), 60)
        assert 0 < left <= 60

    def test_of_several_keys_each_is_leased_by_itself(self, stores: tuple[Store, Store]) -> None:
        one, two = stores
        one.lease([(NAME, b"b"), (OTHER, b"b")], token(), 60)
        left = two.lease([(NAME, b"a"), (NAME, b"b"), (NAME, b"c"), (OTHER, b"b")], token(), 30)
        assert [seconds == 0.0 for seconds in left] == [True, False, True, False]

    def test_its_holder_may_take_it_again(self, stores: tuple[Store, Store]) -> None:
        mine = token()
        assert list(stores[0].lease([KEY], mine, 60)) == [0.0]
        assert list(stores[0].lease([KEY], mine, 60)) == [0.0]

    def test_settling_stores_the_entry_and_frees_the_key(self, stores: tuple[Store, Store]) -> None:
        one, two = stores
        mine = token()
        one.lease([KEY], mine, 60)
        assert list(one.settle({KEY: entry(b"value")}, mine)) == []
        (found,) = two.get([KEY])
        assert isinstance(found, tuple)
        assert found[:2] == ("bytes", b"value")
        assert list(two.lease([KEY], token(), 60)) == [0.0]

    def test_settling_with_nothing_frees_the_key_and_keeps_what_is_there(self, stores: tuple[Store, Store]) -> None:
        one, two = stores
        mine = token()
        one.write({KEY: entry(b"old")})
        one.lease([KEY], mine, 60)
        assert list(one.settle({KEY: None}, mine)) == []
        assert two.get([KEY])[0] is not None
        assert list(two.lease([KEY], token(), 60)) == [0.0]

    def test_a_lease_runs_out(self, stores: tuple[Store, Store], later: Callable[[float], None]) -> None:
        one, two = stores
        one.lease([KEY], token(), 0.2)
        later(0.3)
        assert list(two.lease([KEY], token(), 60)) == [0.0]

    def test_a_late_holder_does_not_overwrite_its_successor(
        self, stores: tuple[Store, Store], later: Callable[[float], None]
    ) -> None:
        one, two = stores
        slow, quick = token(), token()
        one.lease([KEY, (NAME, b"mine")], slow, 0.2)
        one.lease([(NAME, b"mine")], slow, 60)
        later(0.3)
        two.lease([KEY], quick, 60)
        late = one.settle({KEY: entry(b"late"), (NAME, b"mine"): entry(b"in time")}, slow)
        assert list(late) == [KEY]
        assert one.get([KEY])[0] is None
        assert two.get([(NAME, b"mine")])[0] is not None  # the rest is stored
        two.settle({KEY: entry(b"successor")}, quick)
        assert list(one.settle({KEY: entry(b"later still")}, slow)) == [KEY]
        found = one.get([KEY])[0]
        assert isinstance(found, tuple)
        assert found[1] == b"successor"

    def test_an_entry_that_is_written_leaves_the_lease(self, stores: tuple[Store, Store]) -> None:
        one, two = stores
        mine = token()
        one.lease([KEY], mine, 60)
        two.write({KEY: entry(b"set by hand")})
        assert list(two.lease([KEY], token(), 60)) != [0.0]
        assert list(one.settle({KEY: entry(b"computed")}, mine)) == []

    @pytest.mark.parametrize("how", ["delete", "clear", "clear all", "clear under"])
    def test_what_is_removed_meanwhile_stays_removed(self, stores: tuple[Store, Store], how: str) -> None:
        one, two = stores
        mine = token()
        one.write({KEY: entry(b"old")})
        one.lease([KEY], mine, 60)
        if how == "delete":
            two.write({KEY: None})
        elif how == "clear under":
            two.clear_under(encode_namespace(("leases",)))
        else:
            two.clear([NAME] if how == "clear" else None)
        assert list(one.settle({KEY: entry(b"from before")}, mine)) == [KEY]
        assert two.get([KEY])[0] is None
        assert list(two.lease([KEY], token(), 60)) == [0.0]

    def test_a_lease_is_no_entry(self, stores: tuple[Store, Store]) -> None:
        one, two = stores
        before = one.usage()
        one.lease([KEY], token(), 60)
        assert one.get([KEY])[0] is None
        assert two.usage()[:2] == before[:2]

    def test_many_keys_at_once(self, stores: tuple[Store, Store]) -> None:
        one, two = stores
        mine = token()
        keys = [(NAME, b"%d" % number) for number in range(3_000)]
        assert list(one.lease(keys, mine, 60)) == [0.0] * len(keys)
        assert 0.0 not in two.lease(keys, token(), 60)
        assert list(one.settle(dict.fromkeys(keys, entry(b"v")), mine)) == []
        assert None not in two.get(keys)

    def test_the_async_face_is_the_same(self, stores: tuple[Store, Store]) -> None:
        one, two = stores
        mine = token()

        async def there() -> None:
            assert list(await one.alease([KEY], mine, 60)) == [0.0]
            assert list(await two.alease([KEY], token(), 60)) != [0.0]
            assert list(await one.asettle({KEY: entry(b"value")}, mine)) == []
            assert list(await one.asettle({KEY: entry(b"twice")}, mine)) == [KEY]
            assert (await two.aget([KEY]))[0] is not None

        asyncio.run(there())
