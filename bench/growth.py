"""``python -m bench --growth [ROWS...]``: what a file with ever more rows takes for each operation.

Each size has a process and a file of its own, without copies in memory (``near_bytes=0``): hits at random over millions
of rows do not repeat. Medians are of single calls, as a program makes them.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from bench.environment import describe
from bench.payloads import NAMESPACE, PAYLOADS, FullKey

SIZES = (10**5, 10**6, 10**7)
_BATCH = 5_000
_CALLS = 2_000
_CLEARED, _MORTAL = (*NAMESPACE[:2], "to be cleared"), (*NAMESPACE[:2], "to expire")
"""Namespaces of one in a hundred rows each."""
_TTL = 3600

FIGURES = {
    "fill": ("fill, a row in batches of 5,000", "µs"),
    "bytes": ("the file, a row", "bytes"),
    "open": ("open, with a first hit", "ms"),
    "hit": ("one hit at random", "µs"),
    "hit10": ("10 hits at random", "µs"),
    "new": ("one new key", "µs"),
    "stats": ("`stats()`", "ms"),
    "clear": ("clear of a hundredth", "ms"),
    "stats_cleared": ("`stats()` while cleared rows wait", "ms"),
    "purge": ("purge, a row that has expired", "µs"),
    "evict": ("a new key at the limit", "µs"),
    "evict_worst": ("the same, 99th percentile", "µs"),
    "memory": ("memory of the process beyond its start", "MB"),
    "load": ("load of the machine meanwhile, by all", ""),
}


def measure(rows: int, folder: Path) -> dict[str, float]:
    """Measure one size, in this process.

    Args:
        rows: how many.
        folder: an empty folder.
    """
    from hitrate import SqliteCache

    def opened(**options: Any) -> Any:
        return SqliteCache(path=folder / "cache.db", max_bytes=None, near_bytes=0, clock=lambda: now, **options)

    now = time.time()
    payload, rng = PAYLOADS["R"], Random(rows)
    values = [payload.make(number, rng) for number in range(1_000)]
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found: dict[str, float] = {}
    cache = opened()
    found["fill"] = sum(_fill(cache, rows, values)) / rows * 1e6
    cache.close()
    os.sync()
    gc.collect()
    found["bytes"] = (folder / "cache.db").stat().st_size / rows
    found["open"] = 1e3 * median(_open(opened, rows) for _ in range(5))
    cache = opened()
    found["hit"] = 1e6 * _call(cache.get, ([key] for key in _some(rows, rng)))
    found["hit10"] = 1e6 * _call(cache.get, ([*islice(_some(rows, rng), 10)] for _ in range(_CALLS)))
    found["new"] = 1e6 * _call(cache.set, ({_key(rows + number): (values[0], None)} for number in range(_CALLS)))
    found["stats"] = 1e3 * _call(lambda _: cache.stats(), range(20))
    found["clear"] = 1e3 * _call(cache.clear, [[_CLEARED]])
    found["stats_cleared"] = 1e3 * _call(lambda _: cache.stats(), [0])
    now += 2 * _TTL
    # By the store: the command `hitrate` does so, too, and a program leaves it to the housekeeping.
    began = time.perf_counter()
    purged = cache._store.remove_expired()
    found["purge"] = 1e6 * (time.perf_counter() - began) / max(1, purged)  # the keeper may come first
    entries = cache.stats().entries
    cache.close()
    cache = opened(max_entries=entries)
    times = sorted(_each(cache.set, ({_key(2 * rows + number): (values[0], None)} for number in range(2 * _CALLS))))
    found["evict"] = 1e6 * median(times)
    found["evict_worst"] = 1e6 * times[int(len(times) * 0.99)]
    cache.close()
    found["memory"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) / 1024
    return found


def _key(number: int) -> FullKey:
    return NAMESPACE, f"{(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % (1 << 128):032x}"


def _fill(cache: Any, rows: int, values: list[Any]) -> Iterable[float]:
    """Store the rows; yield the seconds of each batch."""
    for first in range(0, rows, _BATCH):
        batch = {}
        for number in range(first, min(first + _BATCH, rows)):
            name = {1: _CLEARED, 2: _MORTAL}.get(number % 100, NAMESPACE)
            ttl = _TTL if name is _MORTAL else None
            batch[name, _key(number)[1]] = values[number % len(values)], ttl
        began = time.perf_counter()
        cache.set(batch)
        yield time.perf_counter() - began


def _some(rows: int, rng: Random) -> Iterable[FullKey]:
    """Keys at random of the large namespace."""
    for _ in range(_CALLS):
        yield _key(rng.randrange(rows // 100) * 100 + rng.randrange(3, 100))


def _open(opened: Callable[[], Any], rows: int) -> float:
    began = time.perf_counter()
    cache = opened()
    if not cache.get([_key(rows - 1)]):
        raise AssertionError("the newest row is not there")
    took = time.perf_counter() - began
    cache.close()
    return took


def _each(call: Callable[[Any], Any], arguments: Iterable[Any]) -> list[float]:
    times = []
    for argument in arguments:
        began = time.perf_counter()
        call(argument)
        times.append(time.perf_counter() - began)
    return times


def _call(call: Callable[[Any], Any], arguments: Iterable[Any]) -> float:
    return median(_each(call, arguments))


def run(sizes: Iterable[int], out: Path, folder: str | None, *, plot: bool = True) -> None:
    """Measure each size in a process of its own, and write the table and the plot after each.

    Args:
        sizes: numbers of rows.
        out: where the report is put; sizes that were measured before stay in it.
        folder: where files are put, the system's folder for temporary files when None.
        plot: whether the plot is drawn, too.
    """
    path = out / "growth.json"
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"sizes": {}}
    for rows in sizes:
        print(f"{rows:,} rows", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            command = [sys.executable, "-m", "bench.growth", str(rows), place]
            told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        results["sizes"][str(rows)] = json.loads(told.splitlines()[-1]) | {"load": os.getloadavg()[1]}
        results["environment"] = describe(folder)
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (out / "growth.md").write_text(table(results), encoding="utf-8")
        if plot:
            draw(results, out / "growth.svg")


def table(results: dict[str, Any]) -> str:
    """Return the report."""
    sizes = sorted(map(int, results["sizes"]))
    about = results["environment"]
    lines = [
        "# What more rows cost",
        "",
        "`SqliteCache`, values of about 110 bytes under keys of 32 hex digits, a file for each size,",
        f"`near_bytes=0`; {about['CPUs']} cores, {about['Python']}, fsync {about['fsync of 4 kB']}.",
        "Medians of single calls by the clock on the wall.",
        "",
        "| | " + " | ".join(f"{rows:,} rows" for rows in sizes) + " |",
        "|---|" + "---:|" * len(sizes),
    ]
    for name, (title, unit) in FIGURES.items():
        values = [results["sizes"][str(rows)][name] for rows in sizes]
        lines.append(f"| {title} | " + " | ".join(f"{_digits(value)} {unit}".rstrip() for value in values) + " |")
    return "\n".join([*lines, "", "![growth](growth.svg)", ""])


def _digits(value: float) -> str:
    """Return a number with two or three digits that count."""
    return f"{value:,.{max(0, 1 - math.floor(math.log10(value)))}f}" if value > 0 else "0"


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw what each operation takes, times what it takes at the smallest size."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from bench.plot import GRID, INK, STYLE, save

    sizes = sorted(map(int, results["sizes"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 4.2), layout="constrained")
        ax = figure.subplots()
        for name in ("fill", "open", "hit", "hit10", "new", "clear", "stats", "purge", "evict", "memory"):
            values = [results["sizes"][str(rows)][name] for rows in sizes]
            ax.plot(sizes, [value / values[0] for value in values], marker="o", label=FIGURES[name][0].strip("`"))
        ax.set_title(f"Times what it takes with {sizes[0]:,} rows (lower is better)", loc="left", fontsize=10.5)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(sizes, [f"{rows:,} rows" for rows in sizes])
        ax.axhline(1, color=INK, linewidth=0.9)
        ax.grid(color=GRID, linewidth=0.5)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        save(figure, path)


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), Path(sys.argv[2]))))
