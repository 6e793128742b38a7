"""Which reads and writes may leave their entries in the nearer tiers."""

import pytest

from hitrate.stores.tiered.flights import Flights

A, B, C = (b"ns", b"a"), (b"ns", b"b"), (b"other", b"c")


@pytest.fixture
def flights():
    return Flights()


def test_what_nobody_disturbed_is_kept(flights):
    read, write = flights.begin_read([A, B]), flights.begin_write([C])
    assert flights.end(read) == [A, B]
    assert flights.end(write) == [C]


def test_reads_do_not_disturb_each_other(flights):
    first, second = flights.begin_read([A]), flights.begin_read([A])
    assert flights.end(first) == flights.end(second) == [A]


def test_a_write_spoils_a_read_of_its_keys_that_began_before(flights):
    read = flights.begin_read([A, B])
    write = flights.begin_write([A])
    assert flights.end(write) == [A]
    assert flights.end(read) == [B]


def test_a_read_that_begins_during_a_write_is_spoiled_from_the_start(flights):
    write = flights.begin_write([A])
    read = flights.begin_read([A, B])
    flights.end(write)
    assert flights.end(read) == [B]


def test_of_two_writes_that_overlap_neither_is_kept(flights):
    first = flights.begin_write([A, B])
    second = flights.begin_write([A, C])
    assert flights.end(first) == [B]
    assert flights.end(second) == [C]


def test_writes_one_after_the_other_are_kept(flights):
    assert flights.end(flights.begin_write([A])) == [A]
    assert flights.end(flights.begin_write([A])) == [A]
    assert flights.end(flights.begin_read([A])) == [A]


@pytest.mark.parametrize("clear", [("begin_clear", [b"ns"]), ("begin_clear", None), ("begin_clear_under", b"n")])
@pytest.mark.parametrize("begin", ["begin_read", "begin_write"])
def test_a_clear_spoils_what_it_overlaps_in_its_namespaces(flights, clear, begin):
    before = getattr(flights, begin)([A, C])
    do, what = clear
    clear = getattr(flights, do)(what)
    during = getattr(flights, begin)([B, C]) if begin == "begin_read" else flights.begin_write([B])
    kept = [C] if what else []
    assert flights.end(before) == kept
    flights.end(clear)
    assert flights.end(during) == (kept if begin == "begin_read" else [])
    assert flights.end(flights.begin_read([A])) == [A]


def test_what_others_changed_is_spoiled(flights):
    read = flights.begin_read([A, B, C])
    flights.spoil([A])
    flights.spoil_namespaces([b"other"])
    assert flights.end(read) == [B]
    read = flights.begin_read([A])
    flights.spoil_namespaces(None)
    assert flights.end(read) == []


def test_nothing_is_remembered_of_what_has_ended(flights):
    flights.end(flights.begin_read([A]))
    flights.end(flights.begin_write([A, B]))
    flights.end(flights.begin_clear(None))
    flights.end(flights.begin_clear_under(b"n"))
    assert flights._by_key == {}
    assert flights._clears == []
