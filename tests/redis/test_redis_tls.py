"""The cache over TLS, both faces."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from hitrate import RedisCache, StoreError
from servers.shared import PATIENT
from servers.tls import make_certificate, relaying
from servers.valkey import Server, wait_until

KEYS = [(("tls",), str(number)) for number in range(200)]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


@pytest.fixture
def port(server: Server, certificate: Path) -> Iterator[int]:
    with relaying(certificate, server.socket) as port:
        yield port


@pytest.mark.parametrize("kind", ["URL", "sync", "async"])
def test_both_faces_over_tls(port: int, certificate: Path, kind: str) -> None:
    options: dict[str, Any] = {"host": "127.0.0.1", "port": port, "ssl": True, "ssl_ca_certs": str(certificate)}
    client = {
        "URL": lambda: f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}",
        "sync": lambda: redis.Redis(**options),
        "async": lambda: redis.asyncio.Redis(**options),
    }[kind]()
    values = {key: os.urandom(10_000).hex() for key in KEYS}  # more than a record, more than a buffer
    with RedisCache[Any](client, on_error="raise", **PATIENT) as cache:
        cache.set({key: (value, None) for key, value in values.items()})
        assert cache.get(KEYS) == values

        async def main() -> None:
            assert await cache.aget(KEYS) == values
            await cache.aset({key: (value[::-1], 60) for key, value in values.items()})
            found = await asyncio.gather(*(cache.aget([key]) for key in KEYS))
            assert found == [{key: value[::-1]} for key, value in values.items()]

        asyncio.run(main())
        assert cache.get(KEYS[:1]) == {KEYS[0]: values[KEYS[0]][::-1]}


def test_an_unknown_certificate_is_a_miss_and_told(port: int) -> None:
    with RedisCache[Any](f"rediss://127.0.0.1:{port}", on_error="raise") as cache:
        with pytest.raises(StoreError, match="certificate"):
            cache.get(KEYS)
        with pytest.raises(StoreError, match="certificate"):
            asyncio.run(cache.aget(KEYS))


def test_a_server_that_hangs_behind_tls(server: Server, port: int, certificate: Path) -> None:
    url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}"
    with RedisCache[Any](url, timeout=2.0, connect_timeout=2.0) as cache:

        def answers() -> bool:
            """Whether it is asked in time by both faces, as on a busy machine it may not be."""
            cache.set({KEYS[0]: ("value", None)})
            return cache.get(KEYS[:1]) == asyncio.run(cache.aget(KEYS[:1])) == {KEYS[0]: "value"}

        wait_until(answers, "to answer in time")
        before = cache._counters.errors
        server.pause()
        try:
            assert cache.get(KEYS[:1]) == {}
            assert asyncio.run(cache.aget(KEYS[:1])) == {}
        finally:
            server.resume()
        assert cache._counters.errors == before + 2
