"""What the tests of bad days share."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_day_files import Vandal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test's cache has its file."""
    return tmp_path / "cache.db"


@pytest.fixture
def vandal() -> Iterator[Vandal]:
    """Somebody who writes into files."""
    vandal = Vandal()
    yield vandal
    vandal.leave()


@pytest.fixture
def small_collections() -> None:
    """Leave what earlier tests imported, or left, out of collections, which would take longer than the tests."""
    gc.collect()
    gc.freeze()
