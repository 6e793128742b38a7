"""What eviction keeps: each cache has room for 1,000 keys and reads the same trace of up to 10,000 and more."""

from __future__ import annotations

from random import Random

from bench.contenders import Missing
from bench.contenders.policies import OURS, PEERS
from bench.experiments.base import Conditions, Samples
from bench.experiments.traces import TRACES

ROOM = 1000
_READS = 200_000


def measure(conditions: Conditions, *, where: str, trace: str, reads: int = _READS) -> Samples:
    """Count the hits, in percent of all reads.

    Args:
        conditions: how to run.
        where: ``"memory"`` or ``"file"``: which cache of ours.
        trace: the name of the trace.
        reads: of how many; a tenth of them in a quick run.
    """
    # The same trace for both of our caches, whatever the order in which cells are measured.
    keys = TRACES[trace](Random(f"eviction {trace}"), reads // 10 if conditions.quick else reads)
    samples: dict[str, list[float]] = {}
    for kind in (OURS[where], *PEERS):
        conditions.progress(kind.name)
        folder = conditions.folder / kind.name
        folder.mkdir()
        try:
            policy = kind(ROOM, folder)
        except ImportError as error:
            if not conditions.allow_missing:
                raise Missing(kind.name, error) from error
            continue
        try:
            hits = sum(map(policy.read, keys))
        finally:
            policy.close()
        samples[kind.name] = [100 * hits / len(keys)]
    return {"hits": samples}
