"""What a session says of each test, as it goes on: it has begun, it has ended, or nothing could be tried at all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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
class Unusable:
    """Nothing can be tried."""

    reason: str


@dataclass(frozen=True)
class Begun:
    """This trial has begun."""

    trial: Trial


@dataclass(frozen=True)
class Ended:
    """The trial that had begun has ended; ``reason`` is one line, empty if the promise held."""

    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class Finished:
    """There is nothing left to try."""


Message = Unusable | Begun | Ended | Finished


@dataclass(frozen=True)
class TrialOutcome:
    """A trial and what came of it."""

    trial: Trial
    verdict: Verdict
    reason: str
