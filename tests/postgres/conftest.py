"""A PostgreSQL server for the tests of this folder."""

from tests.servers.postgres import postgres_url, table

__all__ = ["postgres_url", "table"]
