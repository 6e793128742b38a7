"""Each campaign of ``make torture``, for a moment: it runs, finds nothing, and says with which seed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def torture(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torture", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def done() -> subprocess.CompletedProcess[str]:
    """All campaigns, one after the other in one process."""
    return torture("--seconds", "1", "--seed", "7")


@pytest.mark.parametrize("campaign", ["leases", "tiers", "loops", "interrupts", "collections", "writers", "mixed"])
def test_a_campaign(done: subprocess.CompletedProcess[str], campaign: str) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("seed 7,")
    (row,) = re.findall(rf"^\| {campaign} \| \d+ \| ([\d,]+) \| 0 \| .+ \|$", done.stdout, re.MULTILINE)
    assert int(row.replace(",", "")) > 10


def test_a_campaign_that_is_not_there_is_said() -> None:
    done = torture("weather")
    assert done.returncode == 2
    assert "there is no campaign 'weather'" in done.stderr


def test_what_was_violated_is_told_and_is_the_exit_code(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from torture.__main__ import report
    from torture.campaign import Result

    good, bad = Result(operations=1), Result(operations=2, violations=["memory: two holders"])
    assert report({"leases": (good, 1.0)}) == 0
    assert report({"leases": (good, 1.0), "tiers": (bad, 2.0)}) == 1
    assert "violated: tiers: memory: two holders" in capsys.readouterr().err


def test_the_checks_of_leases_see_what_is_wrong(monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from torture.campaign import Campaign
    from torture.leases import _check

    def violations(*events: list) -> list[str]:
        campaign = Campaign(1.0, 1, print)
        stored = sum(event[0] == "stored" for event in events)
        _check(campaign, "sqlite", [[*events]], [stored, 0, 0])
        return campaign.result.violations

    one, two = ["held", 0, "aa", 0.0, 0.01], ["held", 0, "bb", 0.1, 0.11]
    assert violations(one, ["settling", "aa", 0.05], ["stored", 0], two) == []
    assert "two holders" in violations(one, ["settling", "aa", 0.2], ["stored", 0], two)[0]
    reads = [["read", 0, 0.0, 0.1, 5], ["read", 0, 0.2, 0.3, 4]]
    assert "went back from 5 to 4" in violations(["stored", 0], ["settling", "cc", 0.0], *reads)[0]
