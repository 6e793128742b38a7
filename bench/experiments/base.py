"""What every experiment has: the conditions it runs under, and contenders filled with what it needs."""

from __future__ import annotations

import itertools
import pickle
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from bench.contenders import Calls, Contender, Durability, Missing, Terms, open_contender
from bench.contenders.memoised import MEMOISERS, Memoiser
from bench.payloads import FullKey, Payload, fresh, new_key

Samples = dict[str, dict[str, list[float]]]
"""By part of the experiment and contender, a number for each round."""

_POOL = 4000


@dataclass(frozen=True)
class Conditions:
    """How an experiment is run."""

    quick: bool
    folder: Path
    rng: Random
    allow_missing: bool
    progress: Callable[[str], None]

    @contextmanager
    def contenders(
        self,
        kinds: dict[str, type[Contender]],
        payload: Payload,
        durability: Durability = "normal",
        terms: Terms = Terms(),  # noqa: B008 - frozen
    ) -> Iterator[dict[str, Contender]]:
        """Open contenders, each in a folder of its own, and close them afterwards."""
        with ExitStack() as stack:
            opened = {}
            for number, (name, kind) in enumerate(kinds.items()):
                folder = self.folder / f"{number}"
                folder.mkdir(exist_ok=True)
                try:
                    contender = open_contender(kind, payload=payload, folder=folder, durability=durability, terms=terms)
                except Missing:
                    if not self.allow_missing:
                        raise
                    continue
                stack.callback(contender.close)
                opened[name] = contender
            yield opened

    @contextmanager
    def memoisers(self, *names: str) -> Iterator[dict[str, Memoiser]]:
        """Open decorators, all or some, each over a cache in a folder of its own, and close these afterwards."""
        with ExitStack() as stack:
            opened = {}
            for name in names or MEMOISERS:
                folder = self.folder / f"memoiser-{len(opened)}"
                folder.mkdir(exist_ok=True)
                try:
                    opened[name] = MEMOISERS[name](folder)
                except ImportError as error:
                    if not self.allow_missing:
                        raise Missing(name, error) from error
                    continue
                stack.callback(opened[name].close)
            yield opened

    def entries(self, payload: Payload, number: int) -> dict[FullKey, Any]:
        """Return entries whose values are objects of their own; of many only 4,000 differ, which is quicker."""
        values = [payload.make(index, self.rng) for index in range(min(number, _POOL))]
        if number > _POOL:
            pickled = [pickle.dumps(value) for value in values]
            values = [pickle.loads(pickled[index % _POOL]) for index in range(number)]
        return {new_key(self.rng): value for value in values}


def fill(contender: Contender, entries: dict[FullKey, Any], batch: int = 1000) -> None:
    """Store entries, and make sure that what comes back is what went in."""
    keys = list(entries)
    for start in range(0, len(keys), batch):
        contender.store({key: entries[key] for key in keys[start : start + batch]})
    asked = [fresh(key) for key in itertools.islice(entries, 20)]
    found = contender.read(asked)
    if {key: _plain(value) for key, value in found.items()} != {key: _plain(entries[key]) for key in asked}:
        raise AssertionError(f"{contender.name} returned something else than was stored, or not all of it")


def _plain(value: Any) -> Any:
    """Return a value with lists for its tuples: LangGraph gives them back so, which is not what is measured here."""
    if isinstance(value, tuple | list | deque):
        return [_plain(each) for each in value]
    return value


def draws(keys: Sequence[FullKey], batch: int, rng: Random) -> list[list[FullKey]]:
    """Return batches of keys to ask for, drawn from those given, in objects of their own."""
    return [[fresh(key) for key in rng.sample(keys, batch)] for _ in range(max(50, _POOL // batch))]


def cycled(calls: Calls) -> Callable[[int], Calls]:
    """Return a function that returns n of these calls, going on where it was, round and round."""
    call, arguments = calls
    turning = itertools.cycle(arguments)
    return lambda number: (call, list(itertools.islice(turning, number)))
