"""Tiers whose channel is cut: how stale a read is at most."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import psycopg
import redis

from hitrate import InMemoryCache, TieredCache
from hitrate.stores.push import HEARTBEAT_SECONDS, SILENT_SECONDS
from torture.campaign import Campaign, make

KEY = (("tiers",), "counter")
STALE_AT_MOST = HEARTBEAT_SECONDS + SILENT_SECONDS
_PATIENCE = 60.0
"""Seconds beyond its own in which a campaign must have read something: on a busy machine the first write comes late."""


def run(campaign: Campaign) -> None:
    """Read through tiers what others write, while the channel that tells of it is cut."""
    for kind, seconds in campaign.shares(("sqlite", "valkey", "postgres")):
        where = campaign.where(kind)
        written: list[float] = []  # when the number of that place was known to be written
        with make(kind, where) as writer, TieredCache(InMemoryCache(), make(kind, where), staleness=0) as cache:
            over = threading.Event()
            threads = [
                threading.Thread(target=_write, args=(campaign.random.getrandbits(32), writer, written, over)),
                threading.Thread(target=_cut, args=(campaign, kind, over)),
            ]
            for thread in threads:
                thread.start()
            try:
                worst = _read(campaign, cache, written, time.monotonic() + seconds)
            finally:
                over.set()
                for thread in threads:
                    thread.join()
        campaign.result.operations += len(written)
        campaign.result.figures[f"{kind}: stale at most"] = f"{worst * 1000:.1f} ms"
        if worst > STALE_AT_MOST:
            campaign.violated(f"{kind}: a read was stale by {worst:.3f} s")


def _write(seed: int, writer: Any, written: list[float], over: threading.Event) -> None:
    import random

    chance = random.Random(seed)
    while not over.wait(chance.choice([0.0, 0.0005, 0.005])):
        errors = writer.stats().errors
        writer.set({KEY: (len(written), None)})
        if writer.stats().errors == errors:
            written.append(time.monotonic())


def _read(campaign: Campaign, cache: Any, written: list[float], end: float) -> float:
    worst, latest = 0.0, -1
    give_up = end + _PATIENCE
    while (began := time.monotonic()) < end or (latest < 0 and began < give_up):
        for value in cache.get([KEY]).values():
            if value + 1 < len(written):
                worst = max(worst, began - written[value + 1])
            latest = max(latest, value)
        campaign.result.operations += 1
        if campaign.result.operations % 5000 == 0:
            campaign.tell("reading")
    if latest < 0:
        campaign.violated("nothing was read")
    return worst


def _cut(campaign: Campaign, kind: str, over: threading.Event) -> None:
    """Cut all connections of a server now and then."""
    while not over.wait(0.3):
        if kind == "valkey":
            with suppress(redis.RedisError), campaign.valkey.client() as client:
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        elif kind == "postgres":
            with suppress(psycopg.Error), psycopg.connect(campaign.postgres.url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )
