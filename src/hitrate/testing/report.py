"""The report on a cache: each promise, whether it holds, and in a line why not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hitrate.testing.verdicts import TrialOutcome, Verdict

WIDTH = 118


@dataclass(frozen=True)
class Promise:
    """A promise with all that was tried of it: each case, on each face."""

    text: str
    outcomes: tuple[TrialOutcome, ...]

    @property
    def verdict(self) -> Verdict:
        """Whether it held: in every case that was tried."""
        verdicts = {outcome.verdict for outcome in self.outcomes}
        if Verdict.BROKEN in verdicts:
            return Verdict.BROKEN
        in_turn = (Verdict.HOLDS, Verdict.NOT_TRIED, Verdict.NOT_OFFERED)
        return next(verdict for verdict in in_turn if verdict in verdicts)

    def reasons(self) -> list[str]:
        """Why it does not hold, a line for each case."""
        lines: dict[str, str] = {}
        for case in dict.fromkeys(outcome.trial.case for outcome in self.outcomes):
            failed = [outcome for outcome in self._of(case) if outcome.verdict is not Verdict.HOLDS]
            if failed:
                lines[case] = self._line(case, failed)
        return list(lines.values())

    def _of(self, case: str) -> list[TrialOutcome]:
        return [outcome for outcome in self.outcomes if outcome.trial.case == case]

    def _line(self, case: str, failed: list[TrialOutcome]) -> str:
        faces = [outcome.trial.face for outcome in failed]
        only = f"{faces[0]} only" if len(self._of(case)) > len(faces) == 1 else ""
        where = ", ".join(filter(None, [case, only]))
        return f"{where}: {failed[0].reason}" if where else failed[0].reason


@dataclass(frozen=True)
class Report:
    """Promises by group, in the order of the contract."""

    groups: dict[str, list[Promise]]

    @classmethod
    def of(cls, outcomes: Iterable[TrialOutcome]) -> Report:
        """Gather outcomes into promises, and promises into groups."""
        gathered: dict[str, dict[str, list[TrialOutcome]]] = {}
        for outcome in sorted(outcomes, key=lambda outcome: outcome.trial.order):
            group = gathered.setdefault(outcome.trial.group, {})
            group.setdefault(outcome.trial.promise, []).append(outcome)
        return cls(
            {
                group: [Promise(text, tuple(outcomes)) for text, outcomes in promises.items()]
                for group, promises in gathered.items()
            }
        )

    def count(self, verdict: Verdict) -> int:
        """How many promises came out so."""
        return sum(promise.verdict is verdict for promises in self.groups.values() for promise in promises)

    def lines(self, *, every_case: bool = False) -> Iterator[tuple[str, Verdict | None]]:
        """The report line by line, each with the verdict it tells, if any."""
        for group, promises in self.groups.items():
            yield group, None
            for promise in promises:
                yield f"  {promise.verdict.value:<15}{promise.text}", promise.verdict
                for line in _shown(promise.reasons(), every_case):
                    yield f"{'':19}{line}", None
            yield "", None
        yield self.summary(), None

    def summary(self) -> str:
        """The report in a line."""
        broken = self.count(Verdict.BROKEN)
        total = sum(map(len, self.groups.values()))
        held = f"{total} promises: {self.count(Verdict.HOLDS)} hold, {broken} {'does' if broken == 1 else 'do'} not"
        others = ((self.count(verdict), verdict) for verdict in (Verdict.NOT_TRIED, Verdict.NOT_OFFERED))
        return ", ".join([held, *(f"{count} {verdict.value}" for count, verdict in others if count)])


def _shown(reasons: list[str], every_case: bool) -> Iterator[str]:
    if every_case:
        yield from reasons
    elif reasons:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        room = WIDTH - 19 - len(more)
        yield (reasons[0] if len(reasons[0]) <= room else f"{reasons[0][: room - 3]}...") + more
