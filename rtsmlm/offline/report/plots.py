"""Charts of the report as SVG: axes with round numbers, a grid, and colours by class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import number_text
from rtsmlm.files.run.charts import figure

F64 = NDArray[np.float64]

_WIDTH, _HEIGHT = 560, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 14, 16, 44
_TICKS = 5
_MOST_POINTS = 600


@dataclass(frozen=True, slots=True)
class Line:
    """A curve of a chart."""

    label: str
    x: F64
    y: F64
    """Shape of `x`; NaN leaves a gap."""
    style: str = "s0"
    """Class of the line: s0 to s3 for data, aim for what was wanted (dashed)."""
    is_stepped: bool = False
    """A value stays until the next one."""


@dataclass(frozen=True, slots=True)
class _Axis:
    low: float
    high: float
    start_px: float
    end_px: float
    is_log: bool = False

    def at(self, value: F64 | float) -> F64:
        """Return the pixel of a value."""
        low, high, values = self.low, self.high, np.asarray(value, np.float64)
        if self.is_log:
            low, high, values = math.log10(low), math.log10(high), np.log10(values)
        return self.start_px + (values - low) / (high - low) * (self.end_px - self.start_px)

    def ticks(self) -> list[float]:
        """Return round numbers along it."""
        if self.is_log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            decades = [10.0**k for k in range(first, last + 1)]
            if len(decades) > 2:
                return decades
            steps = [m * 10.0**k for k in range(first - 1, last + 1) for m in (1, 2, 5)]
            return [step for step in steps if self.low <= step <= self.high]
        step = _round_step((self.high - self.low) / _TICKS)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]


def _round_step(step: float) -> float:
    """Return 1, 2 or 5 times a power of ten, not below a step."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def line_plot(
    title: str,
    x_label: str,
    y_label: str,
    lines: Sequence[Line],
    *,
    from_zero: bool = True,
    least_span: float = 0.0,
) -> str:
    """Return curves as a figure; nothing where none has a point.

    Parameters
    ----------
    title, x_label, y_label
        Plain text, with units.
    lines
        The curves; the legend names them where there are several.
    from_zero
        Whether the vertical axis begins at 0.
    least_span
        The vertical axis spans at least so much.
    """
    lines = [line for line in lines if np.isfinite(line.y).any()]
    if not lines:
        return ""
    x_low = min(float(line.x[0]) for line in lines)
    x_high = max(float(line.x[-1]) for line in lines)
    y_low = min(float(np.nanmin(line.y)) for line in lines)
    y_high = max(float(np.nanmax(line.y)) for line in lines)
    if from_zero:
        y_low, y_high = 0.0, max(y_high * 1.08, 1e-9)
    else:
        more = max(0.08 * (y_high - y_low), (least_span - (y_high - y_low)) / 2, 1e-9)
        y_low, y_high = y_low - more, y_high + more
    x_axis = _Axis(x_low, max(x_high, x_low + 1e-9), _LEFT, _WIDTH - _RIGHT)
    y_axis = _Axis(y_low, y_high, _HEIGHT - _BOTTOM, _TOP)
    curves = "".join(_curve(line, x_axis, y_axis) for line in lines)
    legend = [(line.style, line.label) for line in lines] if len(lines) > 1 else []
    return _figure(title, x_label, y_label, curves, x_axis, y_axis, legend)


def _curve(line: Line, x_axis: _Axis, y_axis: _Axis) -> str:
    x, y = line.x, line.y
    if len(x) > _MOST_POINTS:
        chosen = np.unique(np.linspace(0, len(x) - 1, _MOST_POINTS).astype(int))
        x, y = x[chosen], y[chosen]
    if line.is_stepped:
        x, y = x.repeat(2)[1:], y.repeat(2)[:-1]
    px, py, is_known = x_axis.at(x), y_axis.at(y), np.isfinite(y)
    parts = []
    for run in np.split(np.arange(len(x)), np.flatnonzero(np.diff(is_known)) + 1):
        if len(run) and is_known[run[0]]:
            points = " ".join(f"{px[k]:.1f},{py[k]:.1f}" for k in run)
            parts.append(f"<polyline class='{line.style}' points='{points}'/>")
    return "".join(parts)


def histogram(
    title: str,
    x_label: str,
    counts: NDArray[np.int64],
    edges: F64,
    *,
    is_log: bool = False,
    mark: tuple[str, float] | None = None,
) -> str:
    """Return counts as bars; nothing where all are 0.

    Parameters
    ----------
    title, x_label
        Plain text.
    counts
        Shape (n,).
    edges
        Of the bins, shape (n + 1,); empty bins at both ends are left out.
    is_log
        Whether the horizontal axis is logarithmic.
    mark
        A value that gets a line, with its label.
    """
    used = np.flatnonzero(counts)
    if not len(used):
        return ""
    # A few far-off rows must not press all others into one bar.
    share = np.cumsum(counts) / counts.sum()
    last = min(int(used[-1]), int(np.searchsorted(share, 0.999)) + 2)
    first = max(int(used[0]), int(np.searchsorted(share, 0.001)) - 2)
    first, last = max(first - 1, 0), min(last + 1, len(counts) - 1)
    counts, edges = counts[first : last + 1], edges[first : last + 2]
    x_axis = _Axis(float(edges[0]), float(edges[-1]), _LEFT, _WIDTH - _RIGHT, is_log)
    y_axis = _Axis(0.0, 1.08 * float(counts.max()), _HEIGHT - _BOTTOM, _TOP)
    lefts, tops, base = x_axis.at(edges), y_axis.at(counts.astype(np.float64)), _HEIGHT - _BOTTOM
    bars = [
        f"<rect class='s0' x='{lefts[k]:.1f}' y='{tops[k]:.1f}' "
        f"width='{max(lefts[k + 1] - lefts[k] - 0.7, 0.4):.1f}' height='{base - tops[k]:.1f}'/>"
        for k in range(len(counts))
        if counts[k]
    ]
    if mark is not None and edges[0] <= mark[1] <= edges[-1]:
        at = float(x_axis.at(mark[1]))
        anchor, shift = ("end", -5) if at > _WIDTH * 0.7 else ("start", 5)
        bars.append(f"<line class='aim' x1='{at:.1f}' x2='{at:.1f}' y1='{_TOP}' y2='{base}'/>")
        bars.append(
            f"<text class='mark' x='{at + shift:.1f}' y='{_TOP + 9}' text-anchor='{anchor}'>"
            f"{escape(mark[0])}</text>"
        )
    return _figure(title, x_label, "localizations", "".join(bars), x_axis, y_axis, [])


def _figure(
    title: str, x_label: str, y_label: str, marks: str,
    x_axis: _Axis, y_axis: _Axis, legend: Sequence[tuple[str, str]],
) -> str:  # fmt: skip
    base, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for tick in y_axis.ticks():
        at = float(y_axis.at(tick))
        parts.append(f"<line class='grid' x1='{_LEFT}' x2='{right}' y1='{at:.1f}' y2='{at:.1f}'/>")
        parts.append(_text(_LEFT - 7, at + 4, "end", _number(tick)))
    for tick in x_axis.ticks():
        at = float(x_axis.at(tick))
        parts.append(
            f"<line class='tick' x1='{at:.1f}' x2='{at:.1f}' y1='{base}' y2='{base + 4}'/>"
        )
        parts.append(_text(at, base + 17, "middle", _number(tick)))
    axis = f"<line class='axis' x1='{_LEFT}' x2='{right}' y1='{base}' y2='{base}'/>"
    labels = _text((_LEFT + right) / 2, _HEIGHT - 8, "middle", x_label, "label")
    upright = _text(-(_TOP + base) / 2, 12, "middle", y_label, "label")
    upright = f"<g transform='rotate(-90)'>{upright}</g>"
    keys = "".join(
        f"<span class='key'><i class='{style}'></i>{escape(label)}</span>"
        for style, label in legend
    )
    return (
        f"<figure class='chart'><figcaption>{escape(title)}{keys}</figcaption>"
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' aria-label='{escape(title)}'>"
        f"{''.join(parts)}{marks}{axis}{labels}{upright}</svg></figure>"
    )


def _text(x: float, y: float, anchor: str, text: str, style: str = "") -> str:
    styled = f" class='{style}'" if style else ""
    return f"<text{styled} x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}'>{escape(text)}</text>"


def _number(value: float) -> str:
    """Return the number of a tick: 0.15, 20, 35 000, 2 M."""
    if abs(value) >= 1e6:
        return f"{number_text(value / 1e6)} M"
    rounded = round(value, 10) + 0.0  # no minus before a 0
    return "0" if rounded == 0 else figure(rounded)


def share_bar(title: str, parts: Sequence[tuple[str, str, int]]) -> str:
    """Return a bar whose parts are shares of their sum; nothing where all are 0.

    Parameters
    ----------
    title
        Plain text.
    parts
        Class, label and count of each.
    """
    total = sum(count for _, _, count in parts)
    if not total:
        return ""
    marks, at = [], 0.0
    for style, label, count in parts:
        width = 100 * count / total
        if count:
            marks.append(
                f"<rect class='{style}' x='{at:.3f}' y='0' width='{width:.3f}' height='10'>"
                f"<title>{escape(label)}: {figure(count)}</title></rect>"
            )
        at += width
    keys = "".join(
        f"<span class='key'><i class='{style}'></i>{escape(label)} {figure(count)}</span>"
        for style, label, count in parts
    )
    return (
        f"<figure class='share'><figcaption>{escape(title)}</figcaption>"
        f"<svg viewBox='0 0 100 10' preserveAspectRatio='none' role='img' "
        f"aria-label='{escape(title)}'>{''.join(marks)}</svg><p class='keys'>{keys}</p></figure>"
    )
