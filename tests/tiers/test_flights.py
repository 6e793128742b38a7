"""Which reads and writes may leave their entries in the nearer tiers."""

import pytest

from hitrate.stores.tiered.flights import Flight, Flights

A, B, C = (b"ns", b"a"), (b"ns", b"b"), (b"other", b"c")


def begin_read(flights, keys):
    return flights.begin(Flight(keys, (), writes=False))


def begin_write(flights, keys):
    return flights.begin(Flight(keys, (), writes=True))


def begin_clear(flights, names):
    return flights.begin(Flight((), names, writes=True))


def begin_clear_under(flights, prefix):
    return flights.begin(Flight((), (), writes=True, prefix=prefix))


@pytest.fixture
def flights():
    return Flights()


def test_what_nobody_disturbed_is_kept(flights):
    read, write = begin_read(flights, [A, B]), begin_write(flights, [C])
    assert flights.end(read) == [A, B]
    assert flights.end(write) == [C]


def test_reads_do_not_disturb_each_other(flights):
    first, second = begin_read(flights, [A]), begin_read(flights, [A])
    assert flights.end(first) == flights.end(second) == [A]


def test_a_write_spoils_a_read_of_its_keys_that_began_before(flights):
    read = begin_read(flights, [A, B])
    write = begin_write(flights, [A])
    assert flights.end(write) == [A]
    assert flights.end(read) == [B]


def test_a_read_that_begins_during_a_write_is_spoiled_from_the_start(flights):
    write = begin_write(flights, [A])
    read = begin_read(flights, [A, B])
    flights.end(write)
    assert flights.end(read) == [B]


def test_of_two_writes_that_overlap_neither_is_kept(flights):
    first = begin_write(flights, [A, B])
    second = begin_write(flights, [A, C])
    assert flights.end(first) == [B]
    assert flights.end(second) == [C]


def test_writes_one_after_the_other_are_kept(flights):
    assert flights.end(begin_write(flights, [A])) == [A]
    assert flights.end(begin_write(flights, [A])) == [A]
    assert flights.end(begin_read(flights, [A])) == [A]


@pytest.mark.parametrize("clear", [(begin_clear, [b"ns"]), (begin_clear, None), (begin_clear_under, b"n")])
@pytest.mark.parametrize("begin", [begin_read, begin_write])
def test_a_clear_spoils_what_it_overlaps_in_its_namespaces(flights, clear, begin):
    before = begin(flights, [A, C])
    do, what = clear
    clear = do(flights, what)
    during = begin(flights, [B, C] if begin is begin_read else [B])
    kept = [C] if what else []
    assert flights.end(before) == kept
    flights.end(clear)
    assert flights.end(during) == (kept if begin is begin_read else [])
    assert flights.end(begin_read(flights, [A])) == [A]


def test_what_others_changed_is_spoiled(flights):
    read = begin_read(flights, [A, B, C])
    flights.spoil([A])
    flights.spoil_namespaces([b"other"])
    assert flights.end(read) == [B]
    read = begin_read(flights, [A])
    flights.spoil_namespaces(None)
    assert flights.end(read) == []


def test_nothing_is_remembered_of_what_has_ended(flights):
    flights.end(begin_read(flights, [A]))
    flights.end(begin_write(flights, [A, B]))
    flights.end(begin_clear(flights, None))
    flights.end(begin_clear_under(flights, b"n"))
    assert flights._by_key == {}
    assert flights._clears == []
