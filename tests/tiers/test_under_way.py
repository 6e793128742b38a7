"""Which reads and writes may leave their entries in the nearer tiers."""

import pytest

from hitrate.stores.tiered.under_way import Access, UnderWay

A, B, C = (b"ns", b"a"), (b"ns", b"b"), (b"other", b"c")


def begin_read(under_way, keys):
    return under_way.begin(Access("get", keys))


def begin_write(under_way, keys):
    return under_way.begin(Access("write", keys))


def begin_clear(under_way, names):
    return under_way.begin(Access("clear", names))


def begin_clear_under(under_way, prefix):
    return under_way.begin(Access("clear_under", prefix))


@pytest.fixture
def under_way():
    return UnderWay()


def test_what_nobody_disturbed_is_kept(under_way):
    read, write = begin_read(under_way, [A, B]), begin_write(under_way, [C])
    assert under_way.end(read) == [A, B]
    assert under_way.end(write) == [C]


def test_reads_do_not_disturb_each_other(under_way):
    first, second = begin_read(under_way, [A]), begin_read(under_way, [A])
    assert under_way.end(first) == under_way.end(second) == [A]


def test_a_write_spoils_a_read_of_its_keys_that_began_before(under_way):
    read = begin_read(under_way, [A, B])
    write = begin_write(under_way, [A])
    assert under_way.end(write) == [A]
    assert under_way.end(read) == [B]


def test_a_read_that_begins_during_a_write_is_spoiled_from_the_start(under_way):
    write = begin_write(under_way, [A])
    read = begin_read(under_way, [A, B])
    under_way.end(write)
    assert under_way.end(read) == [B]


def test_of_two_writes_that_overlap_neither_is_kept(under_way):
    first = begin_write(under_way, [A, B])
    second = begin_write(under_way, [A, C])
    assert under_way.end(first) == [B]
    assert under_way.end(second) == [C]


def test_writes_one_after_the_other_are_kept(under_way):
    assert under_way.end(begin_write(under_way, [A])) == [A]
    assert under_way.end(begin_write(under_way, [A])) == [A]
    assert under_way.end(begin_read(under_way, [A])) == [A]


@pytest.mark.parametrize("clear", [(begin_clear, [b"ns"]), (begin_clear, None), (begin_clear_under, b"n")])
@pytest.mark.parametrize("begin", [begin_read, begin_write])
def test_a_clear_spoils_what_it_overlaps_in_its_namespaces(under_way, clear, begin):
    before = begin(under_way, [A, C])
    do, what = clear
    clear = do(under_way, what)
    during = begin(under_way, [B, C] if begin is begin_read else [B])
    kept = [C] if what else []
    assert under_way.end(before) == kept
    under_way.end(clear)
    assert under_way.end(during) == (kept if begin is begin_read else [])
    assert under_way.end(begin_read(under_way, [A])) == [A]


def test_what_others_changed_is_spoiled(under_way):
    read = begin_read(under_way, [A, B, C])
    under_way.spoil("write", [A])
    under_way.spoil("clear", [b"other"])
    assert under_way.end(read) == [B]
    read = begin_read(under_way, [A])
    under_way.spoil("clear", None)
    assert under_way.end(read) == []


def test_nothing_is_remembered_of_what_has_ended(under_way):
    under_way.end(begin_read(under_way, [A]))
    under_way.end(begin_write(under_way, [A, B]))
    under_way.end(begin_clear(under_way, None))
    under_way.end(begin_clear_under(under_way, b"n"))
    assert under_way._by_key == {}
    assert under_way._clears == {}
