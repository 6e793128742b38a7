"""The plot: where each cell is, and where it was asked and aimed to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bench.cells import CELLS
from bench.report import number
from bench.score import verdict

_COLOURS = {"aim": "#1a7f37", "met": "#2f6fbb", "short": "#c0392b", "": "#6e7781"}
_VERDICTS = {
    "aim": "reaches the aim",
    "met": "reaches what was asked",
    "short": "short of what was asked",
    "": "nothing asked",
}
_ELSEWHERE = ("Tails", "Eviction")
INK = "#24292f"
GRID = "#d8dee4"
# Text stays text in the SVG, and the same results give the same file.
STYLE: dict[str, Any] = {
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "bench",
    "font.family": "sans-serif",
}


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw all cells that have been measured: a panel for each table, and one for where less is better."""
    cells = [results["cells"][name] for name in CELLS if name in results["cells"]]
    # These groups have pictures of their own.
    panels = _panels([cell for cell in cells if cell["score"] is not None and cell["group"] not in _ELSEWHERE])
    if not panels:
        return
    lines = [len(chosen) for chosen in panels.values()]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 1.0 + 0.27 * sum(lines) + 0.75 * len(lines)), layout="constrained")
        axes = figure.subplots(len(panels), height_ratios=[count + 1.0 for count in lines], squeeze=False)[:, 0]
        for ax, (title, chosen) in zip(axes, panels.items(), strict=True):
            (_at_most if chosen[0]["score_is"] != "faster" else _faster)(ax, chosen)
            ax.set_title(title, loc="left", fontweight="bold", fontsize=10.5)
        _align([ax for ax, chosen in zip(axes, panels.values(), strict=True) if chosen[0]["score_is"] == "faster"])
        _legend(figure)
        save(figure, path)


def draw_early(results: dict[str, Any], path: Path) -> None:
    """Draw, if it was measured, how many callers are held up around the moment at which many keys expire."""
    cells = [cell for cell in results["cells"].values() if "course" in cell]
    if not cells:
        return
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 3.6), layout="constrained")
        ax = figure.subplots()
        times = [step / 10 for step in range(-20, 30)]
        for cell in cells:
            counts = [cell["course"].get(f"{at:.1f}", 0.0) for at in times]
            after = number(cell["score"]["value"])
            ax.step(times, counts, where="post", label=f"{cell['title'].rpartition(', ')[2]}: {after} callers in all")
        ax.set_title("1,000 keys expire at one moment, each asked for 20 times a second", loc="left", fontsize=10.5)
        ax.set_xlabel("seconds from the moment of expiry; a value takes one second to compute")
        ax.set_ylabel("callers in 0.1 s who compute or wait")
        ax.axvline(0, color=INK, linewidth=0.9)
        ax.grid(color=GRID, linewidth=0.5)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
        save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure."""
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)


def _panels(cells: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    panels: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        if cell["score_is"] == "faster":
            panels.setdefault(f"{cell['group']}: times as fast as LangGraph (right is better)", []).append(cell)
    less = [cell for cell in cells if cell["score_is"] != "faster" and cell["asked"] is not None]
    return {**panels, "Part taken of what is allowed (left is better)": less} if less else panels


def _align(axes: list[Axes]) -> None:
    """Give the panels of ratios one scale."""
    if axes:
        low, high = min(ax.get_xlim()[0] for ax in axes), max(ax.get_xlim()[1] for ax in axes)
        for ax in axes:
            ax.set_xlim(low, high)


def _faster(ax: Axes, cells: list[dict[str, Any]]) -> None:
    """Draw how many times as fast as LangGraph's own cache."""
    values = [cell["score"]["value"] for cell in cells]
    spreads = [cell["score"]["quartiles"] for cell in cells]
    _dots(ax, cells, values, spreads, [cell["asked"] for cell in cells], [cell["aim"] for cell in cells])
    ax.axvline(1, color=INK, linewidth=0.9)


def _at_most(ax: Axes, cells: list[dict[str, Any]]) -> None:
    """Draw what part of its ceiling each number takes: they have different units."""
    values = [cell["score"]["value"] / cell["asked"] for cell in cells]
    spreads = [[edge / cell["asked"] for edge in cell["score"]["quartiles"]] for cell in cells]
    _dots(
        ax,
        cells,
        values,
        spreads,
        [1.0] * len(cells),
        [(cell["aim"] or cell["asked"]) / cell["asked"] for cell in cells],
    )
    ax.set_xticks([0.25, 0.5, 1, 2])


def _dots(
    ax: Axes,
    cells: list[dict[str, Any]],
    values: list[float],
    spreads: list[list[float]],
    asked: list[float | None],
    aims: list[float | None],
) -> None:
    for y, (cell, value, (low, high)) in enumerate(zip(cells, values, spreads, strict=True)):
        colour = _COLOURS[verdict(cell)]
        ax.plot([low, high], [y, y], color=colour, linewidth=2.2, alpha=0.45, solid_capstyle="round", zorder=3)
        ax.plot(value, y, "o", color=colour, markersize=6.5, zorder=4)
        for mark, bound in (("|", asked[y]), ("D", aims[y])):
            if bound is not None:
                _bound(ax, mark, bound, y)
        ax.annotate(_label(cell), (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=9, color=colour)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    ax.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    ax.set_yticks(range(len(cells)), [cell["title"] for cell in cells], color=INK)
    ax.set_ylim(len(cells) - 0.4, -0.6)
    ax.grid(axis="x", which="major", color=GRID, zorder=0)
    ax.grid(axis="y", which="major", color=GRID, linewidth=0.4, zorder=0)
    ax.tick_params(length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)


def _bound(ax: Axes, mark: str, value: float, y: int) -> None:
    if mark == "|":
        ax.plot(value, y, "|", color=INK, markersize=13, markeredgewidth=1.8, zorder=5)
    else:
        ax.plot(value, y, "D", color=INK, markersize=5.5, markerfacecolor="none", zorder=5)


def _label(cell: dict[str, Any]) -> str:
    value = number(cell["score"]["value"])
    unit = " B" if cell["score_is"] == "own" and cell["unit"] == "bytes" else "x"
    return f"{value}{unit}"


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    def handle(marker: str, colour: str, label: str, **more: Any) -> Line2D:
        return Line2D([], [], linestyle="none", marker=marker, color=colour, label=label, **more)

    handles = [handle("o", _COLOURS[kind], text) for kind, text in _VERDICTS.items()]
    handles.append(handle("|", INK, "asked", markersize=12, markeredgewidth=1.8))
    handles.append(handle("D", INK, "aim", markersize=5.5, markerfacecolor="none"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
