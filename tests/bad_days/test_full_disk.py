"""A disk that fills up, by a limit on the size of files: writes are dropped, reads go on, nothing is half there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bad_day_children import MEMBERS, noise
from bad_day_files import assert_sound, key, set_aside
from bad_day_processes import run

from hitrate import SqliteCache


@pytest.mark.parametrize("on_error", ["miss", "raise"])
@pytest.mark.parametrize("lift", [True, False])
def test_on_a_full_disk_writes_are_dropped_whole_and_reads_go_on(path: Path, on_error: Any, lift: bool) -> None:
    told = run("fill_the_disk", path, on_error, lift)
    assert told["errors"] > (10 if on_error == "raise" else 2)  # what is removed makes room
    assert told["stored"]
    assert told["batches"]
    with SqliteCache[Any](path=path, on_error="raise") as cache:  # another process, with room again
        for number in told["stored"]:
            assert cache.get([key(number, "single")]) == {key(number, "single"): noise(number, 5000)}
        found = cache.get(MEMBERS)
        if told["served"] or (found and not lift):  # what could not even be removed is served by other processes
            assert {value["batch"] for value in found.values()} == {told["batches"][-1]}
            assert len(found) == len(MEMBERS)
        else:
            assert found == {}
        assert cache.stats().entries == told["entries"]
        cache.set({key("again"): (1, None)})
        assert cache.get([key("again")]) == {key("again"): 1}
    assert_sound(path)
    assert set_aside(path) == []


def test_a_cache_opened_on_a_full_disk_is_one_of_misses_until_there_is_room(path: Path) -> None:
    run("open_on_a_full_disk", path)
    assert_sound(path)
    assert set_aside(path) == []


def test_what_cannot_be_removed_from_a_full_disk_is_not_served_and_goes_when_there_is_room(path: Path) -> None:
    run("remove_on_a_full_disk", path)
    assert_sound(path)
