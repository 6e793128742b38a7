"""Other Python processes for tests of servers, each forked from one that has imported what they use.

A Python of its own would take each of them a third of a second of a processor before it does anything.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext

IMPORTED = [
    "concurrent.futures.process",
    "hitrate.redis",
    "hitrate.stores.redis",
    "redis.connection",
    "hitrate.postgres",
    "hitrate.stores.postgres",
    "psycopg",
]


def forked() -> ForkServerContext:
    """Return what makes processes that have nothing of this one: no connection, thread or cache."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context
