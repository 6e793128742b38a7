"""``python -m torture [--seed N] [--seconds S] [CAMPAIGN...]``."""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import logging
import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # for its servers and checks

from bench.progress import progress  # noqa: E402

from torture.campaign import Campaign, Result  # noqa: E402

CAMPAIGNS = {
    "leases": "holders of leases are stopped and killed",
    "tiers": "the channels of tiers are cut",
    "loops": "event loops are closed with work pending",
    "interrupts": "operations are interrupted",
    "collections": "finalisers run at any allocation",
    "writers": "a process writes to a file while others read it",
    "mixed": "mixed load with timeouts, beside loops that are closed",
}
SECONDS = 100.0
GRACE_SECONDS = 300.0
"""How much longer than asked a campaign may take before it counts as one that hangs, and every thread says where."""


def main(arguments: list[str] | None = None) -> int:
    """Run campaigns; return 1 if anything was violated."""
    parser = argparse.ArgumentParser(
        prog="python -m torture", description="Attack hitrate, and see what does not hold."
    )
    parser.add_argument("campaigns", nargs="*", metavar="CAMPAIGN", help=f"only these of: {', '.join(CAMPAIGNS)}")
    parser.add_argument("--seed", type=int, help="of what is done by chance; a new one each time if not given")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each campaign (%(default)g)")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.campaigns if name not in CAMPAIGNS]
    if unknown:
        parser.error(f"there is no campaign {unknown[0]!r}; there are: {', '.join(CAMPAIGNS)}")
    seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
    names = options.campaigns or [*CAMPAIGNS]
    print(f"seed {seed}, {options.seconds:g} seconds for each of: {', '.join(names)}", flush=True)
    logging.getLogger("hitrate").addHandler(logging.NullHandler())  # that servers are gone is what is wanted
    results: dict[str, tuple[Result, float]] = {}
    with progress(len(names)) as shown:
        for name in names:
            shown.begin(f"{name}: {CAMPAIGNS[name]}")
            faulthandler.dump_traceback_later(options.seconds + GRACE_SECONDS, exit=True)
            began = time.monotonic()
            with Campaign(options.seconds, seed, shown.detail) as campaign:
                importlib.import_module(f"torture.{name}").run(campaign)
            faulthandler.cancel_dump_traceback_later()
            results[name] = campaign.result, time.monotonic() - began
            shown.end(f"{name}: {campaign.result.operations:,} operations, {_count(campaign.result)}")
    return report(results)


def report(results: dict[str, tuple[Result, float]]) -> int:
    """Print the figures as a table, and what was violated; return the exit code."""
    print("\n| campaign | seconds | operations | violations | figures |\n|---|---|---|---|---|")
    for name, (result, seconds) in results.items():
        figures = "; ".join(f"{what}: {value}" for what, value in result.figures.items())
        print(f"| {name} | {seconds:.0f} | {result.operations:,} | {len(result.violations)} | {figures} |")
    violations = [f"{name}: {each}" for name, (result, _) in results.items() for each in result.violations]
    for each in violations[:50]:
        print(f"violated: {each}", file=sys.stderr)
    return 1 if violations else 0


def _count(result: Result) -> str:
    return "all as promised" if not result.violations else f"{len(result.violations)} VIOLATIONS"


if __name__ == "__main__":
    sys.exit(main())
