"""hitrate's caches as LangGraph's own: true subclasses of its ``BaseCache``, to give to ``compile`` or ``@entrypoint``.

A run does not fail because of its cache. A value that cannot be stored exactly is left out of its batch, logged once
for each type and counted in ``stats().errors``; a backend that fails is a miss. All else is as in the classes of the
same names in ``hitrate``.

When a value is taken: ``ainvoke`` calls ``aset`` as each task ends, and the value is serialised right then, so nothing
a later node does to it reaches the cache. ``invoke`` calls ``set`` on a thread of its pool, and the value is
serialised when that thread begins: a node that changes, in place, what an earlier one returned can be faster.

``stats().seconds_saved`` counts a task from the read of its superstep, which is one for all its tasks: in a fan-out,
what a task waited for its turn is counted with it.
"""

# What is where:
#
#   base.py       what a cache of tasks has to do beyond a cache
#   memory.py     the cache in memory; sqlite.py, redis.py, postgres.py, tiered.py: the others; opening.py: one from a
#                 URL
#   policies.py   policy; fields.py: the fields of a node's input, which its options name
#   attaching.py  attach; reaching.py: which graphs are in a graph
#   tasks.py      which tasks read, and what must be known of one when its result comes; unkeyed.py: tasks without a
#                 key, remembered.py: what was found out about an object
#   messages.py   messages of a hit are new ones; call_ids.py: the ids of tool calls in them,
#                 dict_messages.py: messages that are dicts

from __future__ import annotations

from typing import TYPE_CHECKING

from hitrate.lazy import lazily

if TYPE_CHECKING:
    from hitrate.langgraph.attaching import attach
    from hitrate.langgraph.memory import InMemoryCache
    from hitrate.langgraph.opening import open
    from hitrate.langgraph.policies import policy
    from hitrate.langgraph.postgres import PostgresCache
    from hitrate.langgraph.redis import RedisCache
    from hitrate.langgraph.sqlite import SqliteCache
    from hitrate.langgraph.tiered import TieredCache

_HOME = {
    "InMemoryCache": "memory",
    "PostgresCache": "postgres",
    "RedisCache": "redis",
    "SqliteCache": "sqlite",
    "TieredCache": "tiered",
    "attach": "attaching",
    "open": "opening",
    "policy": "policies",
}

__all__ = ["InMemoryCache", "PostgresCache", "RedisCache", "SqliteCache", "TieredCache", "attach", "open", "policy"]


__getattr__, __dir__ = lazily(globals(), _HOME)
