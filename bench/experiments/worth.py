"""What eviction by worth saves: values differ in their bytes and in the seconds that they take to make."""

from __future__ import annotations

from random import Random

from bench.contenders.worth import PEERS, Room, ours
from bench.experiments.base import Conditions, Samples
from bench.experiments.traces import TRACES

_READS = 50_000
_HELD = 1000
_SMALLEST, _TIMES_AS_LARGE = 1_000, 100
_QUICKEST, _TIMES_AS_SLOW = 0.01, 1_000


def cost_of(key: int) -> tuple[int, float]:
    """Return the bytes of a key's value and the seconds that it takes, all magnitudes being as likely."""
    rng = Random(f"worth of {key}")
    return int(_SMALLEST * _TIMES_AS_LARGE ** rng.random()), _QUICKEST * _TIMES_AS_SLOW ** rng.random()


def measure(conditions: Conditions, *, where: str, trace: str, reads: int = _READS) -> Samples:
    """Sum up the seconds that hits save, in percent of those that all reads would take.

    Args:
        conditions: how to run.
        where: ``"memory"`` or ``"file"``: which cache of ours.
        trace: the name of the trace.
        reads: of how many; a tenth of them in a quick run.
    """
    keys = TRACES[trace](Random(f"worth {trace}"), reads // 10 if conditions.quick else reads)
    costs = {key: cost_of(key) for key in set(keys)}
    room = _HELD * sum(size for size, _ in costs.values()) // len(costs)
    all_seconds = sum(costs[key][1] for key in keys)
    samples: dict[str, list[float]] = {}
    for name, kind in (ours(where) | PEERS).items():
        conditions.progress(name)
        folder = conditions.folder / name
        folder.mkdir()
        cache: Room = kind(room, folder)
        try:
            saved = sum(costs[key][1] for key in keys if cache.read(key, *costs[key]))
        finally:
            cache.close()
        samples[name] = [100 * saved / all_seconds]
    return {"saved": samples}
