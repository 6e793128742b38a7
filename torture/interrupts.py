"""Interrupts by a real timer, at any step: counts equal what is there, and nobody waits for ever."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.bad_days.test_interrupts import OPERATIONS, A, B, C, check_counts, check_order, soon

from torture.campaign import Campaign

KINDS = ("memory", "sqlite", ":memory:", "tiers")


class _Interrupts:
    """Raises ``KeyboardInterrupt`` a while after it was armed."""

    def __init__(self) -> None:
        self.armed = False
        self.came = 0
        signal.signal(signal.SIGALRM, self._handle)

    def _handle(self, *_: object) -> None:
        if self.armed:
            self.armed = False
            self.came += 1
            raise KeyboardInterrupt

    def during(self, do: Callable[[], Any], seconds: float) -> None:
        """Do something, interrupted if it takes longer than so many seconds."""
        try:
            self.armed = True
            signal.setitimer(signal.ITIMER_REAL, seconds)
            do()
            self.armed = False
        except KeyboardInterrupt:
            pass


def _say_nothing_of_interrupts(what: Any) -> None:
    """One that comes in a finaliser is told of and passed over by the interpreter."""
    if what.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(what)


def run(campaign: Campaign) -> None:
    """Interrupt each operation at a random moment."""
    before = signal.getsignal(signal.SIGALRM)
    sys.unraisablehook = _say_nothing_of_interrupts
    interrupts = _Interrupts()
    try:
        for kind, seconds in campaign.shares(KINDS):
            with campaign.cache(kind) as cache:
                _interrupt(campaign, kind, cache, interrupts, time.monotonic() + seconds)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = sys.__unraisablehook__
    campaign.result.figures["interrupts"] = f"{interrupts.came:,}"
    if not interrupts.came:
        campaign.violated("no interrupt came")


def _interrupt(campaign: Campaign, kind: str, cache: Any, interrupts: _Interrupts, end: float) -> None:
    takes = dict.fromkeys(OPERATIONS, 0.001)
    while time.monotonic() < end:
        name = campaign.random.choice([*OPERATIONS])
        cache.set({A: ("old", None), B: ("old", None), C: ("kept", None)})
        do = OPERATIONS[name](cache)
        came, began = interrupts.came, time.perf_counter()
        interrupts.during(do, max(1e-6, campaign.random.uniform(0.0, takes[name])))
        if came == interrupts.came:
            takes[name] = takes[name] * 0.9 + (time.perf_counter() - began) * 0.1
        campaign.result.operations += 1
        try:
            check_order(cache)
            check_counts(cache)
            if campaign.result.operations % 10 == 0:
                soon(lambda: cache.delete([A]))
                assert soon(lambda: cache.get_or_compute(A, lambda: "next", lease=600)) == "next"
                assert soon(lambda: cache.get([C])) == {C: "kept"}
        except AssertionError as error:
            campaign.violated(f"{kind}: after {name!r} was interrupted: {error}")
            return
        if campaign.result.operations % 1000 == 0:
            campaign.tell(f"{kind}: {interrupts.came:,} interrupts")
