"""The plots of sections: percentile curves of the tails, and what eviction keeps of each trace."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bench.cells import CELLS
from bench.percentiles import PERCENTILES
from bench.plot import GRID, INK, STYLE, save
from bench.report import number

_COLOURS = {
    "hitrate": "#2f6fbb",
    "LangGraph": "#c0392b",
    "diskcache": "#8250df",
    "cachetools LRUCache": "#bf8700",
    "hitrate by default": "#8ab4e8",
    "LRU": "#6e7781",
    "GDSF": "#c0392b",
    "S3-FIFO": "#1a7f37",
    "theine": "#bf8700",
    "moka-py": "#8250df",
}
_TICKS = (50, 90, 99, 99.9, 99.99, 100)
_WORST = 5.0
"""Where the worst is drawn: one decade beyond 99.99%, whatever the number of calls."""


def draw_tails(results: dict[str, Any], path: Path) -> None:
    """Draw, if they were measured, the percentiles of each situation, and what is asked of ours."""
    cells = {name: results["cells"][name] for name in CELLS if name in results["cells"]}
    shown = {name: cell for name, cell in cells.items() if "curves" in cell}
    if not shown:
        return
    with mpl.rc_context(STYLE):
        rows = math.ceil(len(shown) / 2)
        figure = Figure(figsize=(10, 0.6 + 2.7 * rows), layout="constrained")
        axes = figure.subplots(rows, 2, squeeze=False, sharex=True).flat
        # The axes second: an iterator that zip would take one too many from.
        for (name, cell), ax in zip(shown.items(), axes, strict=False):
            situation = name.removesuffix(".worst")
            _curves(ax, cell)
            for part, percent in (("p50", 50), ("p99", 99), ("p99.9", 99.9), ("worst", 100)):
                asked = cells.get(f"{situation}.{part}", {}).get("asked")
                if asked is not None:
                    ax.plot(_place(percent), asked, "_", color=INK, markersize=16, markeredgewidth=1.8, zorder=5)
        for ax in axes:
            ax.set_axis_off()
        _legend(figure, [who for who in _COLOURS if any(who in cell["curves"] for cell in shown.values())], asked="_")
        save(figure, path)


def draw_eviction(results: dict[str, Any], path: Path) -> None:
    """Draw, if they were measured, the hits of each trace: ours, the peers', and what is asked."""
    _draw_shares(results, "Eviction", "Hits in percent of all reads, room for 1,000 (right is better)", path)


def draw_worth(results: dict[str, Any], path: Path) -> None:
    """Draw, if they were measured, the seconds saved on each trace: ours by worth and by default, and the peers'."""
    _draw_shares(results, "Eviction by worth", "Seconds saved in percent (right is better)", path)


def _draw_shares(results: dict[str, Any], group: str, title: str, path: Path) -> None:
    cells = [results["cells"][name] for name, cell in CELLS.items() if name in results["cells"] and cell.group == group]
    if not cells:
        return
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 1.0 + 0.32 * len(cells)), layout="constrained")
        ax = figure.subplots()
        for y, cell in enumerate(cells):
            for who, each in cell["contenders"].items():
                ours = who == "hitrate"
                ax.plot(
                    each["value"], y, "o", color=_COLOURS[who], markersize=8 if ours else 5.5, zorder=4 if ours else 3
                )
            if cell["asked"] is not None:
                ax.plot(cell["asked"], y, "|", color=INK, markersize=13, markeredgewidth=1.8, zorder=5)
        ax.set_title(title, loc="left", fontsize=10.5)
        ax.set_yticks(range(len(cells)), [cell["title"] + " (quick)" * cell["quick"] for cell in cells], color=INK)
        ax.set_ylim(len(cells) - 0.4, -0.6)
        ax.set_xlim(-2, 100)
        ax.grid(color=GRID, linewidth=0.5, zorder=0)
        ax.tick_params(length=0)
        ax.spines[["top", "right", "left"]].set_visible(False)
        _legend(figure, [who for who in _COLOURS if any(who in cell["contenders"] for cell in cells)], asked="|")
        save(figure, path)


def _curves(ax: Axes, cell: dict[str, Any]) -> None:
    places = [_place(percent) for percent in PERCENTILES]
    for who, times in cell["curves"].items():
        ax.plot(places, times, color=_COLOURS[who], linewidth=1.8, zorder=4 if who == "hitrate" else 3)
    ax.set_title(cell["title"].rpartition(", ")[0] + " (quick)" * cell["quick"], loc="left", fontsize=10)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{number(value)} ms"))
    ax.set_xticks([_place(percent) for percent in _TICKS], [*(f"{percent:g}%" for percent in _TICKS[:-1]), "worst"])
    ax.xaxis.set_tick_params(labelbottom=True)
    ax.grid(color=GRID, linewidth=0.5, zorder=0)
    ax.tick_params(length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)


def _place(percent: float) -> float:
    """Return where a percentile is drawn: each nine is as wide as the last."""
    return _WORST if percent == 100 else -math.log10(1 - percent / 100)


def _legend(figure: Figure, names: list[str], asked: str) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=_COLOURS[who], marker="o", linestyle="none", label=who) for who in names]
    handles.append(Line2D([], [], color=INK, marker=asked, linestyle="none", markersize=12, label="asked"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
