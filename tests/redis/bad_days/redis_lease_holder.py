"""A process that holds a lease; when it is sent a line it settles, and tells whether that was late."""

from __future__ import annotations

import sys

from hitrate.stores.redis import RedisStore
from hitrate.testing.lease_contract import KEY, entry, token


def main(url: str, prefix: str, seconds: str) -> None:
    store = RedisStore(url, prefix=prefix, timeout=60, connect_timeout=60)
    mine = token()
    assert list(store.lease([KEY], mine, float(seconds))) == [0.0]
    print("leased", flush=True)
    sys.stdin.readline()
    print("late" if store.settle({KEY: entry(b"the holder's")}, mine) else "in time", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
