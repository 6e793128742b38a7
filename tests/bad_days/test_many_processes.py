"""Several processes, each with several threads and tasks, on one file at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bad_day_children import MEMBERS
from bad_day_files import ask, assert_sound, set_aside
from bad_day_processes import others

from hitrate import SqliteCache


def test_eight_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    with others(8, "open_new_files") as processes:
        for number in range(6):
            path = tmp_path / f"folder {number}" / "cache.db"
            for process in processes:
                process.tell(str(path))
            assert [process.line() for process in processes] == ["0"] * 8
            with SqliteCache[Any](path=path, on_error="raise") as cache:
                keys = [(("opened",), str(process)) for process in range(8)]
                assert cache.get(keys) == {full_key: int(full_key[1]) for full_key in keys}
            assert_sound(path)
            assert set_aside(path) == []
        for process in processes:
            assert process.end() == []


def write_together(path: Path, options: dict[str, Any]) -> list[dict[str, Any]]:
    with others(4, "write_with_others", path, options) as processes:
        for process in processes:
            process.tell("go")
        return [json.loads(process.end()[-1]) for process in processes]


def test_four_processes_write_at_once(path: Path) -> None:
    told = write_together(path, {})
    assert [each["errors"] for each in told] == [0] * 4
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        own = [
            ((f"own {process}",), f"{thread}.{number}")
            for process in range(4)
            for thread in range(2)
            for number in range(25)
        ]
        assert [value["key"] for value in cache.get(own).values()] == [name for _, name in own]
        shared = [((f"shared {namespace}",), str(number)) for namespace in range(3) for number in range(20)]
        found = cache.get(shared)
        assert {value["key"] == name for (_, name), value in found.items()} == {True}
        batch = [value["who"] for value in cache.get(MEMBERS).values()]
        assert batch == [batch[0]] * len(MEMBERS)
        assert cache.stats().entries == len(own) + len(found) + len(MEMBERS)
    assert_sound(path)


def test_the_bound_holds_for_all_processes_together(path: Path) -> None:
    limit = 60_000
    told = write_together(path, {"max_bytes": limit})
    assert [each["errors"] for each in told] == [0] * 4
    assert sum(each["evictions"] for each in told) > 0
    assert max(each["bytes"] for each in told) <= limit
    assert ask(path, "SELECT total(length(key) + length(payload) + 64) FROM hitrate_entries") <= limit
    assert_sound(path)
