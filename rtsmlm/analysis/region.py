"""Regions of the sample plane, and statistics of the localizations in them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.measurement import Measurement, Quantity

Column = NDArray[np.floating]
Box = tuple[float, float, float, float]
"""Least x, least y, greatest x, greatest y."""


class Region(Protocol):
    """A part of the sample plane."""

    @property
    def name(self) -> str:
        """Kind of the region."""
        ...

    @property
    def area_um2(self) -> float:
        """Its area."""
        ...

    @property
    def box_nm(self) -> Box:
        """The least box around it."""
        ...

    def contains(self, x_nm: Column, y_nm: Column) -> NDArray[np.bool_]:
        """Return for each position whether it lies inside, shape (n,)."""
        ...


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle along the axes; opposite corners in any order."""

    x0_nm: float
    y0_nm: float
    x1_nm: float
    y1_nm: float

    @property
    def name(self) -> str:
        """Kind of the region."""
        return "rectangle"

    @property
    def box_nm(self) -> Box:
        """The rectangle itself, with its corners in order."""
        x = sorted((self.x0_nm, self.x1_nm))
        y = sorted((self.y0_nm, self.y1_nm))
        return x[0], y[0], x[1], y[1]

    @property
    def area_um2(self) -> float:
        """Its area."""
        return abs((self.x1_nm - self.x0_nm) * (self.y1_nm - self.y0_nm)) * 1e-6

    def contains(self, x_nm: Column, y_nm: Column) -> NDArray[np.bool_]:
        """Return for each position whether it lies inside."""
        left, top, right, bottom = self.box_nm
        return (x_nm >= left) & (x_nm < right) & (y_nm >= top) & (y_nm < bottom)


@dataclass(frozen=True, slots=True)
class Ellipse:
    """The ellipse in a box along the axes; opposite corners in any order."""

    x0_nm: float
    y0_nm: float
    x1_nm: float
    y1_nm: float

    @property
    def name(self) -> str:
        """Kind of the region."""
        return "ellipse"

    @property
    def box_nm(self) -> Box:
        """The box."""
        return Rectangle(self.x0_nm, self.y0_nm, self.x1_nm, self.y1_nm).box_nm

    @property
    def area_um2(self) -> float:
        """Its area."""
        left, top, right, bottom = self.box_nm
        return math.pi / 4 * (right - left) * (bottom - top) * 1e-6

    def contains(self, x_nm: Column, y_nm: Column) -> NDArray[np.bool_]:
        """Return for each position whether it lies inside."""
        left, top, right, bottom = self.box_nm
        u = (2 * x_nm - left - right) / max(right - left, 1e-9)
        v = (2 * y_nm - top - bottom) / max(bottom - top, 1e-9)
        inside: NDArray[np.bool_] = u**2 + v**2 < 1
        return inside


@dataclass(frozen=True, slots=True)
class Polygon:
    """A closed polygon, also one drawn by hand; parts that it encloses twice are outside."""

    points_nm: tuple[tuple[float, float], ...]

    @property
    def name(self) -> str:
        """Kind of the region."""
        return "polygon"

    @property
    def box_nm(self) -> Box:
        """The least box around it."""
        points = np.array(self.points_nm)
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    @property
    def area_um2(self) -> float:
        """Its area by the shoelace formula; right where no edges cross."""
        x, y = np.array(self.points_nm).T
        twice = np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))
        return abs(float(twice)) / 2 * 1e-6

    def contains(self, x_nm: Column, y_nm: Column) -> NDArray[np.bool_]:
        """Return for each position whether it lies inside: an odd number of edges to its right."""
        inside = np.zeros(len(x_nm), bool)
        left, top, right, bottom = self.box_nm
        near = np.flatnonzero((x_nm >= left) & (x_nm <= right) & (y_nm >= top) & (y_nm <= bottom))
        order = near[np.argsort(y_nm[near])]
        x, y = x_nm[order], y_nm[order]
        odd = np.zeros(len(order), bool)
        corners = self.points_nm
        for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
            if y0 == y1:
                continue
            first, last = np.searchsorted(y, sorted((y0, y1)))
            part = slice(int(first), int(last))
            odd[part] ^= x[part] < x0 + (y[part] - y0) * ((x1 - x0) / (y1 - y0))
        inside[order[odd]] = True
        return inside


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionStatistics:
    """What lies in a region; NaN where no row states it."""

    region: Region
    n_rows: int
    density_per_um2: float
    median_precision_nm: float
    """Of the root mean square of both lateral standard deviations."""
    mean_photons: float
    median_photons: float
    n_frames: int
    """Frames that have a localization there."""
    first_frame: int
    """-1 without rows."""
    last_frame: int

    def measurement(self) -> Measurement:
        """Return the statistics as a measurement."""
        left, top, right, bottom = self.region.box_nm
        return Measurement("region", (
            Quantity("shape", self.region.name),
            Quantity("localizations", self.n_rows),
            Quantity("area", self.region.area_um2, "µm²"),
            Quantity("density", self.density_per_um2, "1/µm²"),
            Quantity("median precision", self.median_precision_nm, "nm"),
            Quantity("mean photons", self.mean_photons, "photons"),
            Quantity("median photons", self.median_photons, "photons"),
            Quantity("frames with localizations", self.n_frames),
            Quantity("first frame", self.first_frame),
            Quantity("last frame", self.last_frame),
            Quantity("least x", left, "nm"),
            Quantity("least y", top, "nm"),
            Quantity("greatest x", right, "nm"),
            Quantity("greatest y", bottom, "nm"),
        ))  # fmt: skip


def region_statistics(columns: Mapping[str, Column], region: Region) -> RegionStatistics:
    """Return statistics of the rows in a region.

    Parameters
    ----------
    columns
        `x_nm`, `y_nm`, `std_x_nm`, `std_y_nm`, `photons` and `frame`, each of shape (n,).
    region
        Rows outside do not count.
    """
    inside = np.flatnonzero(region.contains(columns["x_nm"], columns["y_nm"]))
    part = {name: column[inside].astype(np.float64) for name, column in columns.items()}
    frames = part["frame"]
    precision = np.sqrt((part["std_x_nm"] ** 2 + part["std_y_nm"] ** 2) / 2)
    photons = _known(part["photons"])
    area_um2 = region.area_um2
    return RegionStatistics(
        region=region,
        n_rows=len(inside),
        density_per_um2=len(inside) / area_um2 if area_um2 > 0 else math.nan,
        median_precision_nm=_median(_known(precision)),
        mean_photons=float(photons.mean()) if len(photons) else math.nan,
        median_photons=_median(photons),
        n_frames=len(np.unique(frames)),
        first_frame=int(frames.min(initial=math.inf)) if len(frames) else -1,
        last_frame=int(frames.max(initial=-1)),
    )


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values)]


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else math.nan
