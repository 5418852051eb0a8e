"""A plot of widths against z as SVG text: points of all beads, curves on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from rtsmlm.fitting.widths import F64

WIDTH, HEIGHT = 720, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 56, 55
MAX_POINTS = 3000
# Blue and orange can be distinguished with any colour vision.
COLORS = ("#0072b2", "#d55e00", "#333333")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One set of points and, where there is one, its curve."""

    name: str
    z_nm: F64
    sigma_nm: F64
    curve_z_nm: F64 | None = None
    curve_sigma_nm: F64 | None = None


@dataclass(frozen=True, slots=True)
class _Axes:
    z_low: float
    z_high: float
    sigma_high: float

    def x(self, z_nm: ArrayLike) -> F64:
        share = (np.asarray(z_nm) - self.z_low) / (self.z_high - self.z_low)
        return np.asarray(LEFT + share * (WIDTH - LEFT - RIGHT))

    def y(self, sigma_nm: ArrayLike) -> F64:
        share = np.asarray(sigma_nm) / self.sigma_high
        return np.asarray(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM))


def width_plot(series: Sequence[Series], title: str, x_label: str = "z (nm)") -> str:
    """Return an SVG picture of widths against z.

    Parameters
    ----------
    series
        At most three, drawn in the order given.
    title, x_label
        What stands above and below.
    """
    axes = _axes(series)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>',
        *_ticks(axes, x_label),
    ]
    for k, (one, color) in enumerate(zip(series, COLORS, strict=False)):
        parts += _points(one, axes, color)
        parts.append(
            f'<text x="{(LEFT + WIDTH - RIGHT) // 2}" y="{TOP + 18 * k}" text-anchor="middle" '
            f'fill="{color}">{escape(one.name)}</text>'
        )
    for one, color in zip(series, COLORS, strict=False):
        if one.curve_z_nm is not None and one.curve_sigma_nm is not None:
            at = zip(axes.x(one.curve_z_nm), axes.y(one.curve_sigma_nm), strict=True)
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at if y > TOP)
            parts.append(
                f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axes(series: Sequence[Series]) -> _Axes:
    z = np.concatenate([one.z_nm[np.isfinite(one.sigma_nm)] for one in series])
    sigma = np.concatenate([one.sigma_nm[np.isfinite(one.sigma_nm)] for one in series])
    z = np.concatenate([z, *(one.curve_z_nm for one in series if one.curve_z_nm is not None)])
    shown = [one.curve_sigma_nm for one in series if one.curve_sigma_nm is not None]
    top = max([1.15 * float(curve.max()) for curve in shown] or [float(np.quantile(sigma, 0.9))])
    low, high = float(z.min()), float(z.max())
    margin = max(0.02 * (high - low), 1.0)
    return _Axes(low - margin, high + margin, top)


def _points(one: Series, axes: _Axes, color: str) -> list[str]:
    shown = np.isfinite(one.sigma_nm) & (one.sigma_nm < axes.sigma_high)
    rows = np.flatnonzero(shown)
    rows = rows[:: max(1, -(-len(rows) // MAX_POINTS))]
    at = zip(axes.x(one.z_nm[rows]), axes.y(one.sigma_nm[rows]), strict=True)
    dots = "".join(f"M{x:.1f} {y:.1f}h.1" for x, y in at)
    return [
        f'<path d="{dots}" stroke="{color}" stroke-width="3.5" stroke-linecap="round" '
        'opacity="0.3"/>'
    ]


def _ticks(axes: _Axes, x_label: str) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [
        f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="black"/>',
        f'<text x="{(LEFT + right) / 2:.0f}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"{escape(x_label)}</text>",
        f'<text transform="translate(18 {(TOP + bottom) / 2:.0f}) rotate(-90)" '
        'text-anchor="middle">standard deviation of the PSF (nm)</text>',
    ]
    for value in _round_values(axes.z_low, axes.z_high):
        x = float(axes.x(value))
        parts.append(f'<path d="M{x:.1f} {bottom}v5" stroke="black"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{value:g}</text>')
    for value in _round_values(0.0, axes.sigma_high):
        y = float(axes.y(value))
        parts.append(f'<path d="M{LEFT} {y:.1f}h-5" stroke="black"/>')
        parts.append(f'<text x="{LEFT - 9}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    return parts


def _round_values(low: float, high: float) -> list[float]:
    raw = (high - low) / 6
    scale = 10.0 ** np.floor(np.log10(raw))
    step = float(next(s * scale for s in (1, 2, 5, 10) if s * scale >= raw))
    first = int(np.ceil(low / step))
    return [k * step for k in range(first, int(np.floor(high / step)) + 1)]
