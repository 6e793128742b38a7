"""Entries on a Redis or Valkey server, or a cluster of them.

==================  ====================================================================================================
``store.py``        ``RedisStore``: what a cache calls. Fast paths of a hit, a set and a read of one namespace.
``connections``     ``clients.py`` (what the program gave, and how to connect like it), ``links.py`` (one connection),
                    ``loop_links.py`` (that of an event loop), ``nodes.py`` (one server), ``servers.py`` and
                    ``cluster.py`` (operations, and where their requests go), ``gathering.py`` (reads of one loop go
                    together), ``wire.py`` (the protocol), ``driver.py`` (imports the driver, or names the extra that
                    has it)
``names.py``        what is called how on the server
``format.py``       what lies under the name of an entry
``scripts.py``      what the server does in one step, in Lua
``reading.py``      one MGET for a bucket
``batches.py``      changes, divided into what is written in one step; ``commands.py`` packs it, ``writing.py`` sends it
``leasing.py``      leases are taken and settled
``clearing.py``     tokens are taken away; ``register.py`` says which namespaces there are
``expiry.py``       the server's clock, and one of our own beside it
``listing.py``      pages of entries; ``surveying.py`` looks through a server, for listing, counting and housekeeping
``counts.py``       counters that outlive the process
``changes.py``      what other processes changed
``housekeeping.py`` what was cleared is removed by and by
==================  ====================================================================================================

Why it is so, with figures: ``docs/design/redis.md``.
"""

from hitrate.stores.redis.store import RedisStore

__all__ = ["RedisStore"]
