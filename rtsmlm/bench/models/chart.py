"""The picture of docs/models.md: what is found against the density, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rtsmlm.bench.accuracy.figures import JACCARD, RMSE
from rtsmlm.bench.models.results import Results
from rtsmlm.bench.models.row_sets import DENSITIES, PLANE

WIDTH, HEIGHT = 760, 320
LEFT, RIGHT, TOP, BOTTOM = 50, 130, 34, 44
GAP = 70
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")
"""Told apart with any colour vision (Okabe & Ito)."""
STYLE = """<style>
text { font: 12px sans-serif; fill: #222 } .axis { stroke: #888; fill: none }
.grid { stroke: #ddd } .title { font-weight: bold }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } }
</style>"""


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    figure: str
    left: float
    width: float
    most: float
    ticks: Sequence[float]

    def x(self, density: float) -> float:
        """Return the place of a density; the axis is logarithmic."""
        low, high = math.log(DENSITIES[0]), math.log(DENSITIES[-1])
        return self.left + self.width * (math.log(density) - low) / (high - low)

    def y(self, value: float) -> float:
        """Return the place of a value; beyond the panel at its edge."""
        share = min(max(value / self.most, 0.0), 1.0)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def chart(results: Results) -> str | None:
    """Return the picture as SVG; None where the sets were not measured.

    Parameters
    ----------
    results
        What was measured.
    """
    names = list(dict.fromkeys(s.model for s in results.scores if s.section == PLANE))
    if not names:
        return None
    width = (WIDTH - LEFT - RIGHT - GAP) / 2
    panels = (
        _Panel("Jaccard index", JACCARD, LEFT, width, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0)),
        _Panel("lateral error, nm", RMSE, LEFT + width + GAP, width, 100.0, (0, 25, 50, 75, 100)),
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img">',
        "<title>Jaccard index and lateral error against density</title>",
        STYLE,
    ]
    for panel in panels:
        parts += _frame(panel)
        for k, name in enumerate(names):
            parts += _line(panel, results, name, COLOURS[k % len(COLOURS)])
    for k, name in enumerate(names):
        y = TOP + 10 + 18 * k
        x = WIDTH - RIGHT + 12
        colour = COLOURS[k % len(COLOURS)]
        parts.append(f'<line x1="{x}" x2="{x + 16}" y1="{y}" y2="{y}" stroke="{colour}" '
                     f'stroke-width="3"/><text x="{x + 22}" y="{y + 4}">{name}</text>')  # fmt: skip
    return "\n".join([*parts, "</svg>\n"])


def _frame(panel: _Panel) -> list[str]:
    right, floor = panel.left + panel.width, HEIGHT - BOTTOM
    parts = [f'<text class="title" x="{panel.left}" y="{TOP - 14}">{panel.title}</text>']
    for tick in panel.ticks:
        y = panel.y(tick)
        parts.append(f'<line class="grid" x1="{panel.left}" x2="{right:.1f}" y1="{y:.1f}" '
                     f'y2="{y:.1f}"/>')  # fmt: skip
        parts.append(
            f'<text x="{panel.left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    parts += [
        f'<text x="{panel.x(density):.1f}" y="{floor + 16}" text-anchor="middle">{density:g}</text>'
        for density in DENSITIES
    ]
    middle = panel.left + panel.width / 2
    parts.append(f'<text x="{middle:.1f}" y="{floor + 34}" text-anchor="middle">emitters per µm² '
                 "and frame</text>")  # fmt: skip
    parts.append(f'<path class="axis" d="M{panel.left} {TOP} V{floor} H{right:.1f}"/>')
    return parts


def _line(panel: _Panel, results: Results, name: str, colour: str) -> list[str]:
    points = []
    for density in DENSITIES:
        value = results.figure(name, PLANE, f"{density:g} per µm²", panel.figure)
        if not math.isnan(value):
            points.append(f"{panel.x(density):.1f},{panel.y(value):.1f}")
    if not points:
        return []
    return [
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>'
    ]
