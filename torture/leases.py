"""Leases whose holders are stopped and killed: no two holders at a time within a lease, no value that goes back.

Each process takes the lease of a counter, reads it, works for a while, and stores one more. It notes when it began and
ended each step, by the clock that all processes of a machine have in common.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from hitrate.errors import StoreError
from torture.campaign import Campaign, make

LEASE = 0.3
ROOT = Path(__file__).parents[1]
KEYS = [(b"\x01t", b"%d" % number) for number in range(3)]
PROCESSES = 4


def hold(kind: str, where: str, log: str, seed: int) -> None:
    """Take leases until killed, or alone. A process of its own."""
    chance = random.Random(seed)
    parent = os.getppid()
    with make(kind, where) as cache, Path(log).open("a", buffering=1) as out:
        store = cache._store

        def note(what: str, *details: Any) -> None:
            out.write(json.dumps([what, *details]) + "\n")

        while os.getppid() == parent:
            place = chance.randrange(len(KEYS))
            key, token = KEYS[place], uuid4().bytes
            try:
                asked = time.monotonic()
                (wait,) = store.lease([key], token, LEASE)
                note("asked", place)
                if wait:
                    time.sleep(min(wait, chance.uniform(0.0, 0.02)))
                    read(store, place, note)
                    continue
                note("held", place, token.hex(), asked, time.monotonic())
                value = read(store, place, note)
                time.sleep(chance.choice([0.0, 0.0, 0.01, LEASE / 2]))
                note("settling", token.hex(), time.monotonic())
                late = store.settle({key: ("bytes", b"%d" % (value + 1), None, 0.0)}, token)
                note("late" if late else "stored", place)
            except StoreError:
                note("failed", place)


def read(store: Any, place: int, note: Any) -> int:
    """Read a counter, and note what it showed."""
    began = time.monotonic()
    (found,) = store.get([KEYS[place]])
    value = int(found[1]) if found else 0
    note("read", place, began, time.monotonic(), value)
    return value


def run(campaign: Campaign) -> None:
    """Have processes hold leases, and stop and kill them."""
    for kind, seconds in campaign.shares(("sqlite", "valkey", "postgres")):
        where = campaign.where(kind)
        make(kind, where).close()
        logs: list[Path] = []
        running = [_started(campaign, kind, where, logs) for _ in range(PROCESSES)]
        stopped = killed = 0
        try:
            while not all(log.stat().st_size for log in logs):
                time.sleep(0.01)  # until all have begun
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(campaign.random.uniform(0.02, 0.3))
                place = campaign.random.randrange(PROCESSES)
                if campaign.random.random() < 0.8:
                    os.kill(running[place].pid, signal.SIGSTOP)
                    time.sleep(campaign.random.choice([0.05, LEASE, LEASE * 2]))
                    os.kill(running[place].pid, signal.SIGCONT)
                    stopped += 1
                else:
                    _kill(running[place])
                    running[place] = _started(campaign, kind, where, logs)
                    killed += 1
                campaign.tell(f"{kind}: {stopped} stopped, {killed} killed")
        finally:
            for process in running:
                _kill(process)
        with make(kind, where) as cache:
            final = [int(found[1]) if found else 0 for found in cache._store.get(KEYS)]
        _check(campaign, kind, [_read_log(log) for log in logs], final)
        campaign.result.figures[f"{kind}: holders stopped, killed"] = f"{stopped}, {killed}"


def _started(campaign: Campaign, kind: str, where: str, logs: list[Path]) -> subprocess.Popen[bytes]:
    log = campaign.folder / uuid4().hex
    log.touch()
    logs.append(log)
    call = (
        f"from torture.leases import hold; hold({kind!r}, {where!r}, {str(log)!r}, {campaign.random.getrandbits(32)})"
    )
    return subprocess.Popen([sys.executable, "-c", call], stderr=subprocess.DEVNULL, cwd=ROOT)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _read_log(log: Path) -> list[Any]:
    lines = log.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1]]  # the last may be cut off


def _check(campaign: Campaign, kind: str, logs: list[list[Any]], final: list[int]) -> None:
    events = [event for log in logs for event in log]
    campaign.result.operations += len(events)
    if not any(event[0] == "stored" for event in events):
        campaign.violated(f"{kind}: nothing was stored")
    settling = {token: began for what, token, began in (e for e in events if e[0] == "settling")}
    for place in range(len(KEYS)):
        held = sorted((asked, got, token) for _, _, token, asked, got in _of(events, "held", place))
        for index, (asked, got, token) in enumerate(held):
            over = min(asked + LEASE, settling.get(token, asked + LEASE))
            for later, had, _ in held[index + 1 :]:
                if later > over:
                    break
                if later > got and had < over:
                    campaign.violated(f"{kind}: two holders of key {place}, {over - had:.3f} s before the first ended")
        highest, shown = 0, 0
        ends = sorted((ended, value) for _, _, _, ended, value in _of(events, "read", place))
        for _, _, began, _, value in sorted(_of(events, "read", place), key=lambda event: event[2]):
            while shown < len(ends) and ends[shown][0] < began:
                highest, shown = max(highest, ends[shown][1]), shown + 1
            if value < highest:
                campaign.violated(f"{kind}: key {place} went back from {highest} to {value}")
        stored = len(_of(events, "stored", place))
        unknown = len(settling) - sum(event[0] in ("stored", "late") for event in events)
        if not stored <= final[place] <= stored + unknown:
            campaign.violated(f"{kind}: key {place} is {final[place]} after {stored} (and {unknown} unknown) additions")


def _of(events: list[Any], what: str, place: int) -> list[Any]:
    return [event for event in events if event[0] == what and event[1] == place]
