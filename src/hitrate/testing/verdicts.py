"""What a trial is, and what came of it. A session sends each trial as it begins, and its outcome as it ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hitrate.testing.subject import UnusableError


class Verdict(Enum):
    """Whether a promise held."""

    HOLDS = "holds"
    BROKEN = "does not hold"
    NOT_TRIED = "not tried"
    NOT_OFFERED = "not offered"


@dataclass(frozen=True)
class Trial:
    """One test of one promise.

    Args:
        test: the name under which a session knows it.
        group: the title of the promises it belongs to.
        promise: what is promised, in a sentence.
        case: the parameters it is tried with; empty if there are none.
        face: ``sync``, ``async``, or empty if it tries both or neither.
        order: its place in the report.
    """

    test: str
    group: str
    promise: str
    case: str
    face: str
    order: tuple[int, int]


@dataclass(frozen=True)
class TrialOutcome:
    """A trial and what came of it; ``reason`` is one line, empty if the promise held."""

    trial: Trial
    verdict: Verdict
    reason: str


Message = Trial | TrialOutcome | UnusableError | None
"""A trial that begins, what came of one, why nothing can be tried, or None: there is nothing left to try."""
