"""What a cache may offer or not: a promise that it does not declare is "not offered", which is no failure."""

from __future__ import annotations

from typing import Any

import pytest

from hitrate.stores.base import Capability


class NotOffered(pytest.skip.Exception):  # type: ignore[misc, name-defined]  # pytest types it as a function's
    """The cache does not declare what a test is about; pytest counts the test as skipped."""


def ask_for(capability: Capability, cache: Any) -> None:
    """Go on if the cache declares the capability in ``offers``, as a cache of hitrate does for its store.

    Raises:
        NotOffered: it does not.
    """
    if capability not in getattr(cache, "offers", ()):
        raise NotOffered(f"the cache does not declare {capability!r} in `offers`")
