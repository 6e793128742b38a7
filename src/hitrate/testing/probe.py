"""The test file that the command runs: the contracts, on the subject that the session was given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hitrate.testing import CacheContract, Clock, DocumentedContract
from hitrate.testing.subject import Subject


class Probe:
    """The subject's clock and caches, for either contract."""

    @pytest.fixture
    def clock(self, subject: Subject) -> Clock:
        return subject.new_clock()

    @pytest.fixture
    def make_cache(self, subject: Subject, clock: Clock, tmp_path: Path) -> Callable[..., Any]:
        def make(**options: Any) -> Any:
            if lacking := list(filter(subject.lacks, options)):
                pytest.skip(f"the function takes no `{lacking[0]}`")
            return subject.make(clock, tmp_path, **options)

        return make


class TestDocumented(Probe, DocumentedContract):
    """The promises that show through the documented methods."""


class TestFull(Probe, CacheContract):
    """All promises."""
