"""Measuring in the picture of a run: of the rows that the filter shows, as they are seen; no Qt."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.measurement import Measurement, Quantity
from rtsmlm.analysis.profile import Line, Profile, line_profile
from rtsmlm.analysis.region import Box, RegionStatistics, region_statistics
from rtsmlm.errors import number_text
from rtsmlm.localizations import F32
from rtsmlm.render.columns import COLUMNS, FRAME, PHOTONS, STD_X, STD_Y, X, Y
from rtsmlm.render.filter import Filter
from rtsmlm.render.projection import Projection
from rtsmlm.viewer.live_picture import LivePicture
from rtsmlm.viewer.shapes import Shape, Tool

_COLUMNS = {
    "x_nm": X, "y_nm": Y, "std_x_nm": STD_X, "std_y_nm": STD_Y, "photons": PHOTONS, "frame": FRAME,
}  # fmt: skip
_NAMES = {
    "std_nm": ("precision", "nm"), "photons": ("photons", ""), "frame": ("frames", ""),
    "z_nm": ("z", "nm"),
}  # fmt: skip
_UNBOUNDED = 1e38


@dataclass(frozen=True, slots=True)
class Measured:
    """What a tool found."""

    measurement: Measurement
    profile: Profile | None
    statistics: RegionStatistics | None
    version: int
    """Of the picture."""
    took_s: float


def measure(picture: LivePicture, tool: Tool, shape: Shape, width_nm: float) -> Measured:
    """Measure a shape; runs in the thread that draws.

    Parameters
    ----------
    picture
        Its rows that pass the filter count.
    tool
        With which the shape was drawn.
    shape
        In the plane of the picture.
    width_nm
        Full width of the strip of a profile.
    """
    begin_s = time.perf_counter()
    profile, statistics = None, None
    if tool == "distance" and isinstance(shape, Line):
        found = shape.measurement()
    elif isinstance(shape, Line):
        columns = _columns(picture, _box_around(shape, width_nm))
        profile = line_profile(columns["x_nm"], columns["y_nm"], shape, width_nm)
        found = profile.measurement()
    else:
        statistics = region_statistics(_columns(picture, shape.box_nm), shape)
        found = statistics.measurement()
    style = picture.style
    stated = [Quantity("rows", rows_text(style.filter))]
    if not style.projection.is_flat:
        stated.append(Quantity("seen from", view_text(style.projection)))
    found = replace(found, quantities=(*found.quantities, *stated))
    took_s = time.perf_counter() - begin_s
    return Measured(found, profile, statistics, picture.version, took_s)


def _columns(picture: LivePicture, box_nm: Box) -> dict[str, NDArray[np.float64]]:
    table: F32 = np.zeros((COLUMNS, 0), np.float32)
    if picture.pyramid is not None:
        table = picture.pyramid.rows(box_nm)
    return {name: table[column].astype(np.float64) for name, column in _COLUMNS.items()}


def _box_around(line: Line, width_nm: float) -> Box:
    x, y = sorted((line.x0_nm, line.x1_nm)), sorted((line.y0_nm, line.y1_nm))
    reach = width_nm / 2
    return x[0] - reach, y[0] - reach, x[1] + reach, y[1] + reach


def filter_texts(shown: Filter) -> dict[str, str]:
    """Return a short text for each limit that is set, by the name of the limit."""
    texts: dict[str, str] = {}
    for name, (title, unit) in _NAMES.items():
        limits = getattr(shown, name)
        if limits is not None:
            texts[name] = range_text(title, limits[0], limits[1], unit)
    if shown.min_probability > 0:
        texts["min_probability"] = f"probability > {number_text(shown.min_probability)}"
    if shown.hidden_channels:
        names = ", ".join(map(str, shown.hidden_channels))
        texts["hidden_channels"] = f"channel {names} hidden"
    return texts


def range_text(title: str, low: float, high: float, unit: str) -> str:
    """Return a range as `photons > 500`; a side beyond all values is open."""
    tail = f" {unit}" if unit else ""
    if abs(high) > _UNBOUNDED:
        return f"{title} > {number_text(low)}{tail}"
    if abs(low) > _UNBOUNDED:
        return f"{title} < {number_text(high)}{tail}"
    return f"{title} {number_text(low)} – {number_text(high)}{tail}"


def rows_text(shown: Filter) -> str:
    """Return which rows count, in a sentence."""
    texts = filter_texts(shown)
    return f"only those with {'; '.join(texts.values())}" if texts else "all"


def view_text(projection: Projection) -> str:
    """Return from where the sample is seen."""
    text = f"tilt {projection.tilt_x_deg:g}° about x, {projection.tilt_y_deg:g}° about y"
    if projection.slab_nm is not None:
        text += f"; slab of {projection.slab_nm:g} nm"
    return text
