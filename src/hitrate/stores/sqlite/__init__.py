"""Entries in an SQLite file, shared by threads and processes."""

from hitrate.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
