"""Layer diagrams as SVG: the forge draws a page's mermaid itself, and the site draws the same lines when it is built.

The theme would have each reader's browser load mermaid from a CDN. What the pages need of it is little: layers
(``subgraph``) one below the other, boxes side by side in each, and arrows from a layer to the next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

_WIDTH, _EDGE, _GAP, _TITLE, _LINE = 880, 14, 10, 26, 18
_ARROW = 26

_LAYER = re.compile(r'subgraph (\w+)\["([^"]+)"\]$')
_BOX = re.compile(r'\w+\["([^"]+)"\]$')
_LINK = re.compile(r"(\w+) --> (\w+)$")
_FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class _Layer:
    title: str
    boxes: list[list[str]] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """Lines of text in its tallest box."""
        return max(len(box) for box in self.boxes)

    @property
    def height(self) -> int:
        return _TITLE + self.lines * _LINE + 2 * _EDGE


def drawn(page: str) -> str:
    """Return a Markdown page with its mermaid diagrams as SVG.

    Raises:
        ValueError: a diagram has a line that is none of the few that are understood here.
    """
    page = _FENCE.sub(lambda fence: _svg(_read(fence[1])), page)
    if "```mermaid" in page:
        raise ValueError("a diagram stands at the beginning of a line: elsewhere the theme would load mermaid")
    return page


def _read(text: str) -> list[_Layer]:
    head, *lines = (line.strip() for line in text.strip().splitlines())
    if head != "flowchart TB":
        raise ValueError(f"a diagram is a 'flowchart TB', not {head!r}: the site draws nothing else")
    layers: dict[str, _Layer] = {}
    links = []
    for line in lines:
        if layer := _LAYER.match(line):
            layers[layer[1]] = _Layer(layer[2])
        elif box := _BOX.match(line):
            layers[list(layers)[-1]].boxes.append(box[1].split("<br/>"))
        elif link := _LINK.match(line):
            links.append((link[1], link[2]))
        elif line not in ("direction TB", "end"):  # with TB mermaid has boxes without arrows side by side
            raise ValueError(f"the site cannot draw this line of a diagram: {line!r}")
    names = list(layers)
    if links != list(pairwise(names)):
        raise ValueError("the arrows of a diagram lead from each layer to the next: the site draws no others")
    return list(layers.values())


def _svg(layers: list[_Layer]) -> str:
    parts = []
    top = 1
    for number, layer in enumerate(layers):
        if number:
            parts.append(f'<path class="arrow" d="M{_WIDTH // 2} {top - _ARROW}v{_ARROW - 6}m-5 -5l5 5l5 -5"/>')
        parts.append(f'<rect class="layer" x="1" y="{top}" width="{_WIDTH - 2}" height="{layer.height}" rx="6"/>')
        parts.append(f'<text class="title" x="{_EDGE}" y="{top + 20}">{escape(layer.title)}</text>')
        width = (_WIDTH - 2 * _EDGE - (len(layer.boxes) - 1) * _GAP) / len(layer.boxes)
        height = layer.lines * _LINE + _EDGE
        for place, box in enumerate(layer.boxes):
            left = _EDGE + place * (width + _GAP)
            size = f'width="{width:.0f}" height="{height}"'
            parts.append(f'<rect class="box" x="{left:.0f}" y="{top + _TITLE + 4}" {size} rx="4"/>')
            for row, line in enumerate(box):
                y = top + _TITLE + 4 + _EDGE // 2 + 13 + row * _LINE + (layer.lines - len(box)) * _LINE // 2
                parts.append(f'<text x="{left + width / 2:.0f}" y="{y}" text-anchor="middle">{escape(line)}</text>')
        top += layer.height + _ARROW
    label = escape(", ".join(layer.title for layer in layers), quote=True)
    size = f'viewBox="0 0 {_WIDTH} {top - _ARROW + 2}"'
    return f'<svg class="layers" role="img" aria-label="{label}" {size}>{"".join(parts)}</svg>'
