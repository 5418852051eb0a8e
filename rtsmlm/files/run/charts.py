"""Charts and tables of a page that stands alone: plain SVG, no script, nothing fetched."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import number_text

_WIDTH, _HEIGHT, _MARGIN = 520, 150, 34
_NOTHING = 1e-9
"""Top of the axis of a line that is 0 throughout."""

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1120px;padding:0 1rem;
color:#222;background:#fff}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}
.good{color:#126b2f}.bad{color:#a11}.note{color:#7a5600}
table{border-collapse:collapse}td,th{padding:.15rem .9rem .15rem 0;text-align:right}
td:first-child,th:first-child{text-align:left}
.charts{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}figcaption{font-size:.85rem}
img{width:100%;max-width:720px;background:#000}
.about td{text-align:left;vertical-align:top;white-space:pre-wrap}
svg{background:#fafafa}polyline{fill:none;stroke:#1f5fa8;stroke-width:1.5}
polygon{fill:#1f5fa8;opacity:.18}rect{fill:#1f5fa8}text{font:11px system-ui,sans-serif;fill:#555}
pre{background:#f5f5f5;padding:.8rem;font-size:.8rem;white-space:pre-wrap;overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}svg,pre{background:#222}
text{fill:#aaa}polyline{stroke:#7fb2ee}polygon,rect{fill:#7fb2ee}.good{color:#6fce8b}.bad{color:#f88}
.note{color:#e5b95c}}
@media print{body{margin:0;max-width:none;font-size:11px;color:#000;background:#fff}
pre,svg{background:#fff;border:1px solid #ccc}figure,tr,img{break-inside:avoid}
h2{break-after:avoid}img{max-width:520px;print-color-adjust:exact}}
"""


def line_chart(
    title: str,
    unit: str,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    band: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> str:
    """Return a line as a figure; the vertical axis begins at 0.

    Parameters
    ----------
    title
        What is shown, above the figure.
    unit
        Unit of `x`.
    x, y
        Points in order, at least one.
    band
        Lower and upper edge of a shaded band behind the line, at the same `x`.
    """
    top = max(float(y.max(initial=0)), 0.0 if band is None else float(band[1].max()), _NOTHING)
    left, right = float(x[0]), max(float(x[-1]), float(x[0]) + 1)

    def points(at: NDArray[np.float64], values: NDArray[np.float64]) -> str:
        px = _MARGIN + (at - left) / (right - left) * (_WIDTH - 2 * _MARGIN)
        py = _HEIGHT - _MARGIN - values / top * (_HEIGHT - 2 * _MARGIN)
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True))

    marks = f"<polyline points='{points(x, y)}'/>"
    if band is not None:
        low, high = band
        marks = f"<polygon points='{points(x, low)} {points(x[::-1], high[::-1])}'/>" + marks
    return _figure(title, unit, marks, (left, right), top)


def _figure(title: str, unit: str, marks: str, ends: tuple[float, float], top: float) -> str:
    base = _HEIGHT - _MARGIN + 16
    labels = (
        f"<text x='{_MARGIN}' y='{base}'>{figure(ends[0])}</text>"
        f"<text x='{_WIDTH - _MARGIN}' y='{base}' text-anchor='end'>"
        f"{figure(ends[1])} {escape(unit)}</text>"
        f"<text x='{_MARGIN}' y='{_MARGIN - 8}'>{figure(top) if top > _NOTHING else 0}</text>"
    )
    size = f"width='{_WIDTH}' height='{_HEIGHT}' viewBox='0 0 {_WIDTH} {_HEIGHT}'"
    drawing = f"<svg {size}>{marks}{labels}</svg>"
    return f"<figure><figcaption>{escape(title)}</figcaption>{drawing}</figure>"


def figure(value: float) -> str:
    """Return a number as a person writes it: 35 000 rather than 3.5e+04, 0.123, 12.3."""
    if not math.isfinite(value):
        return str(value)
    if value and abs(value) < 1e-3:
        return number_text(value, 2)
    return number_text(value, thousands="\u202f")


def table_of(heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows of values as a table; floats with two digits, thousands apart."""

    def text(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.2f}"
        is_count = isinstance(value, int) and not isinstance(value, bool)
        return figure(value) if is_count else escape(str(value))

    head = "".join(f"<th>{escape(name)}</th>" for name in heading)
    body = "".join("<tr>" + "".join(f"<td>{text(v)}</td>" for v in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
