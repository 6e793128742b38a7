"""Forks in the middle of writes: parent and child both go on, whichever way the child ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bad_day_files import assert_sound, set_aside
from bad_day_processes import run

from hitrate import SqliteCache


@pytest.mark.parametrize("kind", ["memory", ":memory:", "file"])
@pytest.mark.parametrize("with_loop", [False, True], ids=["threads", "threads and a loop"])
def test_parent_and_children_read_and_write_after_forks_amid_writes(path: Path, kind: str, with_loop: bool) -> None:
    run("fork_while_writing", kind, path, with_loop)
    if kind != "file":
        return
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        names = [f"loop {number}" for number in range(6)] if with_loop else [str(number) for number in range(12)]
        children = [f"loop {number}" for number in range(6)] if with_loop else [f"child {n}" for n in range(12)]
        assert len(cache.get([(("parent",), name) for name in names])) == len(names)
        keys = [(("forked",), name) for name in children]
        assert cache.get(keys) == {full_key: full_key[1] * 2 for full_key in keys}
    assert_sound(path)
    assert set_aside(path) == []
