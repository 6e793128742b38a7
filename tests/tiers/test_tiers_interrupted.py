"""What a write to tiers leaves in the nearer ones when something comes in between: an exception, or a finaliser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hitrate import InMemoryCache, SqliteCache, TieredCache

A, B, OTHER = (("n",), "a"), (("n",), "b"), (("other",), "c")


@pytest.fixture
def far(tmp_path: Path) -> Any:
    with SqliteCache(path=tmp_path / "cache.db", near_bytes=0) as cache:
        yield cache


CHANGES: dict[str, Callable[[Any], Any]] = {
    "write": lambda cache: cache.set({A: ("new", None)}),
    "settle": lambda cache: cache.get_or_compute(A, lambda: "new", lease=60),
}


@pytest.mark.parametrize("do", CHANGES)
def test_what_the_farthest_tier_was_kept_from_taking_is_in_a_nearer_one_at_no_moment(
    do: str, far: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = InMemoryCache()
    with TieredCache(near, far) as cache:
        taken: list[Any] = []
        write = near._store.write

        def noted(changes: Any) -> int:
            taken.extend(entry for entry in changes.values() if entry is not None)
            return write(changes)

        def interrupted(*arguments: Any) -> Any:
            raise KeyboardInterrupt

        monkeypatch.setattr(near._store, "write", noted)
        monkeypatch.setattr(far._store, do, interrupted)
        with pytest.raises(KeyboardInterrupt):
            CHANGES[do](cache)
        assert taken == []
        monkeypatch.undo()
        assert cache.get([A]) == {}


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda cache: cache.set({A: ("new", None)}), {A: "new", B: "old"}),
        (lambda cache: cache.delete([A]), {B: "old"}),
        (lambda cache: cache.clear([A[0]]), {}),
        (lambda cache: cache.clear_under(A[0]), {}),
    ],
    ids=["set", "delete", "clear", "clear under"],
)
def test_what_a_finaliser_changes_within_a_change_of_the_tiers_is_carried_out_after_it(
    change: Callable[[Any], Any], left: dict[Any, Any], far: Any
) -> None:
    with TieredCache(InMemoryCache(), far) as cache:
        cache.set({A: ("old", None), B: ("old", None)})
        with cache._store.lock:
            change(cache)  # as a finaliser does that the collector runs within a change
        cache.set({OTHER: (1, None)})  # each change ends with those that were put off
        assert far.get([A, B]) == left
        assert cache.get([A, B]) == left
