"""The cache behind PgBouncer in transaction mode, which gives each transaction whatever session is free.

PgBouncer is not to be had from wheels: these tests run where the system has it (HITRATE_PGBOUNCER names another). That
no session is left changed, which it needs, is tested everywhere, in ``test_postgres_connections.py``.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgres_children import BATCH, in_processes, settle_with_others, use_with_others
from postgres_days import KEY, assert_sound
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hitrate import PostgresCache
from hitrate.stores.base import Store
from hitrate.testing import CacheContract, Clock
from hitrate.testing.lease_contract import LeaseContract

PGBOUNCER = os.environ.get("HITRATE_PGBOUNCER") or shutil.which("pgbouncer")

if PGBOUNCER is None:
    pytest.skip("there is no PgBouncer, which is optional: set HITRATE_PGBOUNCER", allow_module_level=True)


@pytest.fixture(scope="module")
def bouncer(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A conninfo of PgBouncer in transaction mode with three sessions for all."""
    folder = tmp_path_factory.mktemp("bouncer")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = conninfo_to_dict(postgres_url)
    users: dict[str, Any] = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
    settings = f"""[databases]
        * = host={server["host"]} port={server.get("port", 5432)} user={server.get("user", "postgres")}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = any
        pool_mode = transaction
        default_pool_size = 3
        max_client_conn = 200
        server_reset_query = DISCARD ALL
        """
    (folder / "pgbouncer.ini").write_text("\n".join(line.strip() for line in settings.splitlines()))
    make_readable(folder)
    process = subprocess.Popen(
        [str(PGBOUNCER), str(folder / "pgbouncer.ini")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **users
    )
    conninfo = make_conninfo(host="127.0.0.1", port=port, dbname=server.get("dbname", "postgres"), user="postgres")
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                psycopg.connect(conninfo).close()
                break
            except psycopg.Error:
                assert process.poll() is None, "PgBouncer has ended"
                assert time.monotonic() < deadline, "PgBouncer did not start"
                time.sleep(0.05)
        yield conninfo
    finally:
        process.terminate()
        process.wait()


def make_readable(folder: Path) -> None:
    for path in (folder / "pgbouncer.ini", folder, *folder.parents[:2]):
        path.chmod(path.stat().st_mode | 0o755)


class TestPostgresCacheBehindPgBouncer(CacheContract):
    @pytest.fixture
    def make_cache(self, clock, bouncer, table):
        numbers = count()

        def make(**options):
            return PostgresCache(bouncer, table=f"{table}_{next(numbers)}", clock=clock, timeout=60, **options)

        return make


class TestLeasesBehindPgBouncer(LeaseContract):
    @pytest.fixture
    def stores(self, bouncer: str, table: str, clock: Clock) -> Iterator[tuple[Store, Store]]:
        with (
            PostgresCache[Any](bouncer, table=table, clock=clock, timeout=60) as one,
            PostgresCache[Any](bouncer, table=table, clock=clock, timeout=60) as two,
        ):
            yield one._store, two._store  # type: ignore[misc]

    @pytest.fixture
    def later(self, clock: Clock) -> Callable[[float], None]:
        return clock.advance

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()


def test_eight_processes_settle_behind_pgbouncer(postgres_url: str, bouncer: str, table: str) -> None:
    assert in_processes(8, settle_with_others, bouncer, table) == ["fine"] * 8
    assert_sound(postgres_url, table)


def test_that_statements_do_not_stay_prepared_is_found_out(bouncer: str, table: str) -> None:
    with PostgresCache[Any](bouncer, table=table, timeout=20, on_error="raise") as cache:
        cache.set({KEY: ("value", None)})

        def use(number: int) -> None:
            for step in range(30):
                key = ((f"n{number}",), str(step))
                cache.set({key: (step, None)})
                assert cache.get([key, KEY]) == {key: step, KEY: "value"}

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(use, range(8)))
        assert cache.stats().errors == 0


def test_eight_processes_behind_pgbouncer(postgres_url: str, bouncer: str, table: str) -> None:
    told = in_processes(8, use_with_others, bouncer, table, {"max_entries": 60})
    assert [each["errors"] for each in told] == [0] * 8
    assert all(each["limits held"] for each in told)
    assert_sound(postgres_url, table)


def test_cancelled_awaits_behind_pgbouncer_leave_everything_whole(bouncer: str, postgres_url: str, table: str) -> None:
    with PostgresCache[Any](bouncer, table=table, timeout=20, on_error="raise") as cache:

        async def main() -> None:
            for number in range(200):
                task = asyncio.ensure_future(cache.aset(dict.fromkeys(BATCH, (number, None))))
                for _ in range(number % 5):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert len(set((await cache.aget(BATCH)).values())) <= 1

        asyncio.run(main())
        assert cache.stats().errors == 0
    assert_sound(postgres_url, table)
