"""What a cache may offer or not: a promise that it does not declare is "not offered", which is no failure."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from hitrate.stores.base import Capability


class NotOffered(pytest.skip.Exception):  # type: ignore[misc, name-defined]  # pytest types it as a function's
    """The cache does not declare what a test is about; pytest counts the test as skipped."""


def ask_for(capability: Capability, cache: Any) -> None:
    """Go on if the cache declares the capability in ``offers``, as a cache of hitrate does for its store.

    Raises:
        NotOffered: it does not.
        AssertionError: it declares something that there is not; a misspelt name would have nothing tried.
    """
    offers = getattr(cache, "offers", ())
    known = get_args(Capability)
    for name in sorted({offers} if isinstance(offers, str) else offers):
        assert name in known, f"`offers` names {name!r}, which is none of {', '.join(map(repr, known))}"
    if capability not in offers:
        raise NotOffered(f"the cache does not declare {capability!r} in `offers`")
