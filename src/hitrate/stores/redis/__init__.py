"""Entries on a Redis or Valkey server, or a cluster of them.

==================  ====================================================================================================
``store.py``        ``RedisStore``: what a cache calls. A hit, a set and a read of one namespace go a shorter way here.
``connections``     ``clients.py`` (what the program gave, and how to connect like it), ``links.py`` (one connection),
                    ``loop_links.py`` (that of an event loop), ``nodes.py`` (one server), ``servers.py`` and
                    ``cluster.py`` (where a request goes), ``gathering.py`` (reads of one loop go together), ``wire.py``
                    (the protocol)
``names.py``        what is called how on the server
``format.py``       what lies under the name of an entry
``scripts/``        what the server does in one step, in Lua
``reading.py``      one MGET a bucket
``batches.py``      changes, divided into what is written in one step; ``commands.py`` packs it, ``writing.py`` sends it
``leasing.py``      leases are taken and settled
``clearing.py``     tokens are taken away; ``register.py`` says which namespaces there are
``expiry.py``       the server's clock, and one of our own beside it
``listing.py``      pages of entries; ``surveying.py`` looks through a server, for listing, counting and housekeeping
``counts.py``       counters that outlive the process
``changes.py``      what other processes changed
``housekeeping.py`` what was cleared is removed by and by
==================  ====================================================================================================

Decisions, measured with Valkey 9.1 over a Unix socket:

**Steps are generators.** What is to be done yields what to send and is sent the answers, and the sync and async
methods differ in how they exchange the two: a script the server lost, a slot that moved, a stale token are each
handled once. It costs some 3 us a call, which is why the usual calls go past it.

**The driver connects, then its socket is used directly.** A GET of 1 kB takes 59 us through redis-py and 47 on its
socket. Connections are opened by redis-py's sync code with the client's settings. The async methods open the same kind
on a thread and read it by ``loop.add_reader``, so that a closed loop or a fork leaves nothing that complains.

**Random tokens, not counters.** An entry carries two tokens, of the cache's generation and of its namespace's, which
are small keys beside the entries; one MGET brings them with the values. A clear unlinks a token: 0.1 ms at ten
thousand entries as at a million. A token that the server loses makes misses, and being random it never comes back.

**Writes are plain commands.** A script that set the tokens took the server 270 us for 100 entries, plain SETs take 56.
So the client writes under the tokens it last saw and asks for the current ones in the same round trip. If they differ,
a clear came between and the batch is written again; a random token that is current after a write was so during it.
Entries of one TTL are one MSETEX; a server that lacks it refuses it once, and then gets a transaction of SETs.

**A call has one deadline** for the connection that it opens, the commands that it sends again and its further round
trips. An event loop that was itself kept from turning gives its calls the time that it lost. A write that timed out
leaves its removal to the next one, which in turn does not go on if that removal times out.

**Limits are the server's**: ``maxmemory`` and its policies. Kept by scripts, a set took 94 us in the place of 51.

**A lease** has a name beside its entry's, in its slot, and lives by PX. Its value holds the tokens that a clear takes
away. Namespaces are entered in a sorted set a bucket by the script that tells a process their tokens, so that
``clear_under`` reads ranges of 250 and never scans; a register that was lost is noticed by a mark that it carries, and
its bucket is then cleared whole. Clearing 10,000 namespaces holds the server for 3 to 4 ms at most. Processes of a
version without the register must not share a prefix with those that have it.
"""

from hitrate.stores.redis.store import RedisStore

__all__ = ["RedisStore"]
