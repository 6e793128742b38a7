"""Processes killed amid writing, again and again: every acknowledged write is there, no batch is half there."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from bad_day_children import MEMBERS
from bad_day_files import assert_sound, set_aside
from bad_day_processes import other

from hitrate import SqliteCache

ROUNDS = 15


def kill_one(path: Path, generation: int, rng: random.Random) -> list[Any]:
    """Let a process write until it has said so many lines, kill it, and return all that it said."""
    lines = []
    with other("write_until_killed", path, generation) as process:
        lines += [process.line() for _ in range(rng.choice([1, 2, 20, 150, 400]) + rng.randrange(20))]
        process.kill()
        rest = process.stdout.read()  # not `communicate`, which leaves out what was read ahead with a line
        assert process.stderr.read() == ""
    lines += rest.split("\n")[:-1]  # what follows the last newline is a line cut short
    return [json.loads(line) for line in lines]


def check(cache: SqliteCache[Any], said: list[Any], batches: list[int]) -> None:
    lanes: dict[int, Any] = {}
    for kind, *rest in said:
        if kind == "single":
            full_key = (("single",), f"{rest[0]}.{rest[1]}")
            assert cache.get([full_key]) == {full_key: rest}
        elif kind == "batch":
            batches.append(rest[0])
        elif kind == "async":
            lane, generation, number = rest
            full_key = ((f"async {lane}",), f"{generation}.{number}")
            assert cache.get([full_key]) == {full_key: number}
        else:
            lanes[rest[0]] = rest[1:]
    for lane in range(3):
        found = list(cache.get([((f"async {lane}",), f"{member}") for member in range(4)]).values())
        assert found in ([], [found[0]] * 4 if found else [])
        assert lane not in lanes or found[0] >= lanes[lane]
    found = [value["batch"] for value in cache.get(MEMBERS).values()]
    assert len(found) == (len(MEMBERS) if batches else len(found))
    assert len(set(found)) <= 1, "half a batch"
    assert not batches or found[0] >= max(batches)


def test_what_was_acknowledged_before_a_kill_is_there_and_no_batch_is_half_there(path: Path) -> None:
    rng = random.Random(15)
    batches: list[int] = []
    witness: SqliteCache[Any] | None = None
    for generation in range(ROUNDS):
        said = kill_one(path, generation, rng)
        if witness is not None:  # open all the time, so that nobody has to recover the file
            check(witness, said, batches)
            witness.close()
            witness = None
        with SqliteCache[Any](path=path, on_error="raise") as cache:
            check(cache, said, batches)
        assert_sound(path)
        if generation % 3 == 0:
            witness = SqliteCache(path=path, on_error="raise")
    if witness is not None:
        witness.close()
    assert set_aside(path) == []
