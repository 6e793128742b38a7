"""hitrate: an exact, safe, bounded and fast cache for Python agents, LLM and data programs.

The public names are imported when first used, so that ``import hitrate`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hitrate.lazy import lazily

if TYPE_CHECKING:
    from hitrate.base import BaseCache, FullKey, Namespace, ValueT
    from hitrate.compute.cache import ComputingCache
    from hitrate.compute.function import cached
    from hitrate.content.calls import stable_key
    from hitrate.content.parts import remember_parts
    from hitrate.entry import Entry
    from hitrate.entry_info import EntryInfo, NamespaceInfo
    from hitrate.errors import (
        ClosedError,
        DecodeError,
        HitrateError,
        NewerFormatError,
        ReadOnlyError,
        ReentrancyError,
        SerializationError,
        StoreError,
    )
    from hitrate.events import Event
    from hitrate.explaining import explain
    from hitrate.explanation import Explanation
    from hitrate.memory import InMemoryCache
    from hitrate.opening import open
    from hitrate.postgres import PostgresCache
    from hitrate.redis import RedisCache
    from hitrate.runs import bypass, refresh
    from hitrate.scopes import scope
    from hitrate.serde import MsgpackSerializer, SerializerProtocol
    from hitrate.sqlite import SqliteCache
    from hitrate.stats import CacheInfo, CacheStats, NamespaceStats
    from hitrate.stores.base import Store, Usage
    from hitrate.tiered import TieredCache

_HOME = {
    "BaseCache": "base",
    "CacheInfo": "stats",
    "CacheStats": "stats",
    "ClosedError": "errors",
    "ComputingCache": "compute.cache",
    "DecodeError": "errors",
    "Entry": "entry",
    "EntryInfo": "entry_info",
    "Event": "events",
    "Explanation": "explanation",
    "FullKey": "base",
    "HitrateError": "errors",
    "InMemoryCache": "memory",
    "MsgpackSerializer": "serde",
    "Namespace": "base",
    "NamespaceInfo": "entry_info",
    "NamespaceStats": "stats",
    "NewerFormatError": "errors",
    "PostgresCache": "postgres",
    "ReadOnlyError": "errors",
    "ReentrancyError": "errors",
    "RedisCache": "redis",
    "SerializationError": "errors",
    "SerializerProtocol": "serde",
    "SqliteCache": "sqlite",
    "Store": "stores.base",
    "StoreError": "errors",
    "TieredCache": "tiered",
    "Usage": "stores.base",
    "ValueT": "base",
    "bypass": "runs",
    "cached": "compute.function",
    "explain": "explaining",
    "open": "opening",
    "refresh": "runs",
    "remember_parts": "content.parts",
    "scope": "scopes",
    "stable_key": "content.calls",
}

__all__ = [
    "BaseCache",
    "CacheInfo",
    "CacheStats",
    "ClosedError",
    "ComputingCache",
    "DecodeError",
    "Entry",
    "EntryInfo",
    "Event",
    "Explanation",
    "FullKey",
    "HitrateError",
    "InMemoryCache",
    "MsgpackSerializer",
    "Namespace",
    "NamespaceInfo",
    "NamespaceStats",
    "NewerFormatError",
    "PostgresCache",
    "ReadOnlyError",
    "RedisCache",
    "ReentrancyError",
    "SerializationError",
    "SerializerProtocol",
    "SqliteCache",
    "Store",
    "StoreError",
    "TieredCache",
    "Usage",
    "ValueT",
    "bypass",
    "cached",
    "explain",
    "open",
    "refresh",
    "remember_parts",
    "scope",
    "stable_key",
]


__getattr__, __dir__ = lazily(globals(), _HOME)
