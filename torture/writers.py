"""A process writes to a file at full speed and in steps: no read of another is older than what was acknowledged."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.sqlite.test_sqlite_near import read_beside_a_writer

from torture.campaign import Campaign

ROUND_SECONDS = 10.0


def run(campaign: Campaign) -> None:
    """Read beside such a process, with another file and seed every few seconds."""
    end = time.monotonic() + campaign.seconds
    batches = near = 0
    while (left := end - time.monotonic()) > 0 and not campaign.result.violations:
        with tempfile.TemporaryDirectory(dir=campaign.folder) as folder:
            seed = campaign.random.getrandbits(32)
            wrong, written, cache = read_beside_a_writer(Path(folder), seed, max(1.0, min(left, ROUND_SECONDS)))
        batches += written
        reads = cache.stats_then.hits + cache.stats_then.misses
        near += max(0, cache.stats_then.hits - cache.reads)
        campaign.result.operations += reads
        for each in wrong:
            campaign.violated(each)
        campaign.tell(f"{batches:,} batches")
    campaign.result.figures["batches"] = f"{batches:,}"
    campaign.result.figures["hits beyond the reads of the file"] = f"{near:,}"
