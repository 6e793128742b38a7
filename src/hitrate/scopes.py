"""The scope of a run, which counts in the keys that are made meanwhile."""

from __future__ import annotations

from typing import Any

from hitrate.content.calls import content_key
from hitrate.content.canonical import encode
from hitrate.runs import Block


class scope(Block):
    """Count in every key that hitrate makes while this is open: ``with hitrate.scope(tenant): ...``.

    It counts for policies, cached functions, middleware, the LLM cache and ``stable_key``, also in the threads and
    tasks that LangGraph and asyncio start meanwhile. Scopes within scopes add up. Keys that the program makes itself
    for ``get``, ``set`` and ``get_or_compute`` are not changed.

    Args:
        parts: a tenant, a user, a locale or whatever else results depend on; anything with a stable key.
            A policy that demands a scope takes None for no part: else all whose tenant is not known would share
            their results.

    Raises:
        TypeError: a part cannot be part of a key.
    """

    def __init__(self, *parts: Any) -> None:
        try:
            self._scope = content_key(*parts)
        except TypeError:
            for part in parts:
                encode(part, "the scope")  # its error names what the caller gave
            raise
        self._tells_apart = any(part is not None for part in parts)
