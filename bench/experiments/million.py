"""A million rows in a file: loaded once for each contender, then everything that depends on how many there are."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from bench.contenders import FILES, Calls, Contender
from bench.experiments.base import Conditions, Samples, cycled, draws, fill
from bench.payloads import NAMESPACE, PAYLOADS, FullKey, Payload, fresh, new_key
from bench.timing import Effort, Lane, take_turns

_KINDS = {name: kind for name, kind in FILES.items() if name != "sqlite3 + ormsgpack"}
"""One raw limit is enough here: loading takes long."""

_BATCH = 5000
_SMALL = 10_000
_SAMPLE = 20_000
_CLEARED = [(*NAMESPACE[:2], f"one percent {number}") for number in range(5)]
"""Namespaces of one in a hundred rows each; every round clears one of them."""


def measure(conditions: Conditions, *, payload: str, rows: int) -> Samples:
    """Measure hits, a new key, a clear, bytes, and growth from ten thousand rows.

    Args:
        conditions: how to run.
        payload: the name of the kind of values.
        rows: how many; a tenth of them in a quick run.
    """
    kind = PAYLOADS[payload]
    number = rows // 10 if conditions.quick else rows
    small = dataclasses.replace(conditions, folder=_folder(conditions.folder / "small"))
    with conditions.contenders(_KINDS, kind) as large, small.contenders(_KINDS, kind) as few:
        samples: Samples = {"bytes": {}}
        rng = conditions.rng
        population = _Population(kind, number, rng.getrandbits(64))
        entries = conditions.entries(kind, _SMALL)
        for name, contender in large.items():
            samples["bytes"][name] = [_load(contender, population, conditions)]
            fill(few[name], entries)
        lanes = [_hits(name, each, population.sample, 1, rng) for name, each in large.items()]
        lanes += [_hits(_small(name), each, list(entries), 1, rng) for name, each in few.items()]
        timed = take_turns(lanes, _effort(conditions), rng, progress=_telling(conditions, "one hit"))
        samples["hit"] = {name: timed[name] for name in large}
        samples["growth"] = {
            name: [after / before for after, before in zip(timed[name], timed[_small(name)], strict=True)]
            for name in large
        }
        lanes = [_hits(name, each, population.sample, 10, rng) for name, each in large.items()]
        samples["hit10"] = take_turns(lanes, _effort(conditions), rng, progress=_telling(conditions, "10 hits"))
        lanes = [Lane(name, _new_keys(each, kind, rng), most=300) for name, each in large.items()]
        samples["new"] = take_turns(
            lanes, _effort(conditions), rng, pause=0.003, progress=_telling(conditions, "one new key")
        )
        samples["clear"] = _clear(large, conditions)
    return samples


class _Population:
    """Rows made again for each contender from a seed, so that a million of them need not be held."""

    def __init__(self, payload: Payload, number: int, seed: int) -> None:
        self._payload = payload
        self._seed = seed
        self.number = number
        self.value_bytes = 0
        self.sample: list[FullKey] = []
        """Some keys of the large namespace."""

    def batches(self) -> Any:
        """Yield the rows, the small namespaces' strewn among the others as they come in a life of use."""
        rng = Random(self._seed)
        kept = Random(self._seed)
        self.value_bytes = 0
        self.sample = []
        batch: dict[FullKey, Any] = {}
        for index in range(self.number):
            percent = index % 100
            key = new_key(rng, _CLEARED[percent] if percent < len(_CLEARED) else NAMESPACE)
            value = self._payload.make(index, rng)
            self.value_bytes += len(self._payload.dumps(value))
            batch[key] = value
            if percent >= len(_CLEARED) and kept.random() < _SAMPLE / self.number:
                self.sample.append(key)
            if len(batch) == _BATCH or index == self.number - 1:
                yield batch
                batch = {}


def _load(contender: Contender, population: _Population, conditions: Conditions) -> float:
    """Load the rows; return the bytes in files for each, beyond its value as msgpack, once the file is closed."""
    done = 0
    for batch in population.batches():
        contender.store(batch)
        done += len(batch)
        conditions.progress(f"loading {contender.name}: {done:,} of {population.number:,} rows")
    asked = [fresh(key) for key in population.sample]
    if set(contender.read(asked[:50])) != set(asked[:50]):
        raise AssertionError(f"{contender.name} does not hold all that was loaded")
    contender.close()
    assert contender.folder is not None
    size = sum(path.stat().st_size for path in contender.folder.rglob("*") if path.is_file())
    # What the system still has to write of it would be paid for by whoever writes next.
    os.sync()
    contender.open()
    return (size - population.value_bytes) / population.number


def _hits(name: str, contender: Contender, keys: list[FullKey], batch: int, rng: Random) -> Lane:
    return Lane(name, cycled(contender.gets(draws(keys, batch, rng))))


def _new_keys(contender: Contender, payload: Payload, rng: Random) -> Callable[[int], Calls]:
    values = [payload.make(index, rng) for index in range(100)]
    return lambda number: contender.sets([{new_key(rng): rng.choice(values)} for _ in range(number)])


def _clear(contenders: dict[str, Contender], conditions: Conditions) -> dict[str, list[float]]:
    calls = {name: contender.clears(_CLEARED) for name, contender in contenders.items()}

    def lane(name: str) -> Lane:
        call, arguments = calls[name]
        left = iter(arguments)
        return Lane(name, lambda number: (call, [next(left)]), most=1)

    # One clear of the five is spent on finding out how many calls fill a block, which is one.
    effort = Effort(rounds=len(_CLEARED) - 1, block=0.0)
    return take_turns(
        [lane(name) for name in calls], effort, conditions.rng, pause=0.05, progress=_telling(conditions, "clear")
    )


def _effort(conditions: Conditions) -> Effort:
    return Effort(rounds=10, block=0.005) if conditions.quick else Effort(rounds=30, block=0.01)


def _small(name: str) -> str:
    return f"{name}, small"


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _telling(conditions: Conditions, what: str) -> Callable[[str], None]:
    return lambda text: conditions.progress(f"{what}, {text}")
