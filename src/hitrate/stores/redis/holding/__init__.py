"""What is done differently by a cache without limits and one with them: writing, settling, clearing, counting."""

from __future__ import annotations

from hitrate.stores.redis.holding.base import Holding
from hitrate.stores.redis.holding.bounded import Bounded
from hitrate.stores.redis.holding.unbounded import Unbounded

__all__ = ["Bounded", "Holding", "Unbounded"]
