"""The list of entries: any page of it, in any order, compared with doing it by hand."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitrate import InMemoryCache
from hitrate.entry_info import EntryInfo
from hitrate.errors import StoreError
from hitrate.inspect import entry_list as module
from hitrate.inspect.entry_list import SORTS, EntryList, Selection
from hitrate.inspect.namespaces import branches
from hitrate.inspect.scanning import Index
from hitrate.inspect.treemap import squarified
from hitrate.keys import encode_text
from hitrate.testing import Clock

PARTS = st.sampled_from(["a", "b", "", "é", "\ud800", "a/b"])
KEYS = st.text(st.sampled_from("aAb%_\\\x00\né\ud800"), max_size=4)
INFOS = st.lists(
    st.builds(
        EntryInfo,
        st.lists(PARTS, max_size=2).map(tuple),
        KEYS,
        st.integers(1, 5),
        st.one_of(st.none(), st.sampled_from([1.0, 2.0, 3.5])),
        st.one_of(st.none(), st.sampled_from([5.0, 6.0])),
        st.sampled_from([0.0, 0.5]),
    ),
    max_size=30,
)
SELECTIONS = st.builds(Selection, st.lists(PARTS, max_size=2).map(tuple), st.booleans(), KEYS)


def snapshot_of(infos: list[EntryInfo]) -> EntryList:
    snapshot = EntryList()
    snapshot.add(infos)
    snapshot.finish(1.0)
    return snapshot


def lowered(text: str) -> bytes:
    return encode_text(text).lower()


def by_hand(infos: list[EntryInfo], selection: Selection) -> list[EntryInfo]:
    return [info for info in infos if selection.has(info.namespace) and lowered(selection.search) in lowered(info.key)]


def place(info: EntryInfo, sort: str) -> Any:
    value = getattr(info, sort)
    if sort == "key":
        return encode_text(value)
    if sort == "expires":
        return float("inf") if value is None else value
    return -1.0 if value is None else value  # not known comes before what is


@pytest.mark.parametrize("counted", [module.COUNTED, 3], ids=["few are found", "many are found"])
@settings(max_examples=150, deadline=None)
@given(infos=INFOS, selection=SELECTIONS, sort=st.sampled_from(SORTS), down=st.booleans(), offset=st.integers(0, 20))
def test_a_page_is_what_sorting_by_hand_gives(
    counted: int, infos: list[EntryInfo], selection: Selection, sort: Any, down: bool, offset: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "COUNTED", counted)
        snapshot = snapshot_of(infos)
        meant = by_hand(infos, selection)
        count = snapshot.count(selection)
        assert count == (min(len(meant), counted + 1) if selection.search else len(meant))
        page = snapshot.page(selection, sort, down, offset, 5)
        expected = sorted((place(info, sort) for info in meant), reverse=down)[offset : offset + 5]
        assert [place(info, sort) for info in page] == expected
        everything = snapshot.page(selection, sort, down, 0, 100)
        assert sorted(everything, key=repr) == sorted(meant, key=repr)
        assert page == everything[offset : offset + 5]


@settings(max_examples=100, deadline=None)
@given(infos=INFOS, selection=SELECTIONS, key=st.one_of(st.none(), KEYS), until=st.sampled_from([None, 5.0]))
def test_what_was_removed_is_left_out(
    infos: list[EntryInfo], selection: Selection, key: str | None, until: float | None
) -> None:
    snapshot = snapshot_of(infos)
    selection = selection._replace(search="")
    snapshot.forget(selection, key, until)

    def is_gone(info: EntryInfo) -> bool:
        if not selection.has(info.namespace) or (key is not None and info.key != key):
            return False
        return until is None or (info.expires is not None and info.expires <= until)

    rest = [info for info in infos if not is_gone(info)]
    assert sorted(snapshot.page(Selection(), "key", False, 0, 100), key=repr) == sorted(rest, key=repr)
    assert snapshot.entries == len(rest)
    assert snapshot.count(Selection(search="a")) == len(by_hand(rest, Selection(search="a")))
    told = branches(snapshot.namespaces, ())
    assert sum(branch.sums.bytes for branch in told) == sum(info.bytes for info in rest)
    assert sum(branch.sums.entries for branch in told) == len(rest)


def test_there_is_one_reading_at_a_time_and_the_list_before_stays_meanwhile() -> None:
    with InMemoryCache[Any]() as cache:
        cache.set({(("a",), "k"): (1, None)})
        index = Index(cache, Clock())
        index.start().join()
        first = index.latest
        held, go_on = threading.Event(), threading.Event()
        listing = cache._store.list_page

        def slow(*arguments: Any) -> Any:
            held.set()
            assert go_on.wait(30)
            return listing(*arguments)

        cache._store.list_page = slow  # type: ignore[method-assign]
        thread = index.start()
        assert held.wait(30)
        assert index.start() is thread
        assert index.look() is first
        assert index.progress == 0
        go_on.set()
        thread.join()
        assert index.latest is not first
        assert index.progress is None


class Held:
    """An index whose next list has read the entries, and waits before it is shown."""

    def __init__(self, cache: InMemoryCache[Any]) -> None:
        self.index = Index(cache, Clock())
        self.index.start().join()
        self._go_on = threading.Event()
        read, listing = threading.Event(), cache._store.list_page

        def slow(*arguments: Any) -> Any:
            page = listing(*arguments)
            if page.entries:
                read.set()
                assert self._go_on.wait(30)
            return page

        cache._store.list_page = slow  # type: ignore[method-assign]
        self._thread = self.index.start()
        assert read.wait(30)

    def shown(self) -> list[str]:
        """Let it go on; return the keys of the latest list."""
        self._go_on.set()
        self._thread.join(30)
        assert self.index.progress is None
        assert self.index.latest is not None
        return sorted(info.key for info in self.index.latest.page(Selection(), "key", False, 0, 100))


@pytest.mark.parametrize("again", [False, True], ids=["one list", "two"])
def test_what_is_removed_while_a_list_is_read_is_not_in_it(again: bool) -> None:
    with InMemoryCache[Any]() as cache:
        cache.set({(("a",), "k"): (1, None), (("a",), "l"): (1, None), (("b",), "m"): (1, None)})
        held = Held(cache)
        cache.delete([(("a",), "k")])
        held.index.forget(Selection(("a",), True), "k", expired=False)
        cache.clear([("b",)])
        held.index.forget(Selection(("b",)), None, expired=False)
        if again:
            held.index.look(now=True)
        assert held.shown() == ["l"]
        assert held.index.latest is not None
        assert held.index.latest.entries == 1


def test_a_newer_list_begins_after_it_was_asked_for() -> None:
    with InMemoryCache[Any]() as cache:
        cache.set({(("a",), "before"): (1, None)})
        held = Held(cache)
        cache.set({(("a",), "now"): (1, None)})
        held.index.look(now=True)
        assert held.index.progress is not None
        assert held.shown() == ["before", "now"]


def test_a_list_that_cannot_be_read_is_told_and_the_one_before_stays() -> None:
    with InMemoryCache[Any]() as cache:
        cache.set({(("a",), "k"): (1, None)})
        index = Index(cache, Clock())
        index.start().join()

        def broken(*arguments: Any) -> Any:
            raise StoreError("the disk is gone")

        cache._store.list_page = broken  # type: ignore[method-assign]
        index.start().join()
        assert index.failure == "the disk is gone"
        assert index.latest is not None
        assert index.latest.entries == 1


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=40))
def test_tiles_fill_the_whole_and_are_as_large_as_their_values(values: list[float]) -> None:
    values = sorted(values, reverse=True)
    tiles = squarified(values, 800, 400)
    total = sum(values)
    for value, tile in zip(values, tiles, strict=True):
        assert tile.width * tile.height == pytest.approx(320_000 * value / total, rel=1e-6)
        assert tile.x >= -1e-6
        assert tile.x + tile.width <= 800 + 1e-4
        assert tile.y >= -1e-6
        assert tile.y + tile.height <= 400 + 1e-4
    for one in range(len(tiles)):
        for other in range(one):
            a, b = tiles[one], tiles[other]
            apart_x = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
            apart_y = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
            assert apart_x <= 1e-4 or apart_y <= 1e-4
