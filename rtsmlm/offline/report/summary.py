"""TableSummary: what the page shows of a table, in memory that does not grow."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import Localizations

_BINS = 4096


@dataclass
class TableSummary:
    """What the page shows of a table, gathered batch by batch."""

    n_rows: int = 0
    per_bin: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, np.int64))
    """Rows by frame number, in bins of `frames_per_bin` from frame 0."""
    frames_per_bin: int = 1
    """A power of two, so that the bins hold the highest frame number there is."""
    photons: NDArray[np.int64] = field(default_factory=lambda: np.zeros(140, np.int64))
    """Rows by photons, between `PHOTON_EDGES`; what lies beyond is in the outermost bins."""
    background: NDArray[np.int64] = field(default_factory=lambda: np.zeros(140, np.int64))
    """Rows by background in photons per pixel, between `PHOTON_EDGES`."""
    precision: NDArray[np.int64] = field(default_factory=lambda: np.zeros(240, np.int64))
    z: NDArray[np.int64] = field(default_factory=lambda: np.zeros(200, np.int64))
    """Rows by depth, of those whose depth is known, between `Z_EDGES_NM`."""

    preview_png: bytes = b""
    """The image of the page, a PNG file; empty takes `image.png` of the folder."""
    preview_pixel_nm: float = math.nan
    """Side of a pixel of that image."""
    resolution_nm: float = math.nan
    """Fourier ring correlation of all rows; NaN where it cannot be measured."""
    correlation: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """That correlation by ring, (rings,), from 0 to one over two bins."""
    correlation_bin_nm: float = math.nan
    nena_nm: float = math.nan
    """Precision by repeated localizations (NeNA); NaN where too few repeat."""
    field_um2: float = math.nan
    """Area in which rows can lie."""

    PHOTON_EDGES = np.geomspace(1.0, 1e7, 141)
    PRECISION_EDGES_NM = np.linspace(0.0, 240.0, 241)
    Z_EDGES_NM = np.linspace(-2000.0, 2000.0, 201)

    def add(self, table: Localizations) -> None:
        """Count the rows of one batch."""
        self.n_rows += len(table)
        last = int(table.frame.max(initial=-1))
        while last >= _BINS * self.frames_per_bin:
            self.per_bin[: _BINS // 2] = self.per_bin.reshape(-1, 2).sum(axis=1)
            self.per_bin[_BINS // 2 :] = 0
            self.frames_per_bin *= 2
        numbered = table.frame[table.frame >= 0]  # a damaged table may hold others
        self.per_bin += np.bincount(numbered // self.frames_per_bin, minlength=_BINS)
        self.photons += _log_counts(table.photons)
        self.background += _log_counts(table.background)
        precision = (table.std_x_nm + table.std_y_nm) / 2
        self.precision += _counts(precision, self.PRECISION_EDGES_NM)
        self.z += _counts(table.z_nm[np.isfinite(table.std_z_nm)], self.Z_EDGES_NM)

    @property
    def last_frame(self) -> int:
        """The last frame that has rows, as exactly as the bins tell; -1 without rows."""
        used = np.flatnonzero(self.per_bin)
        return int((used[-1] + 1) * self.frames_per_bin - 1) if len(used) else -1

    def per_frame(self, n_frames: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return frame numbers and the mean count of rows around them, at most 250 points.

        Parameters
        ----------
        n_frames
            How far the axis goes.
        """
        n_frames = max(n_frames, 1)
        edges = np.floor(np.linspace(0, n_frames, min(n_frames, 250) + 1))
        bins = np.arange(_BINS + 1) * float(self.frames_per_bin)
        rows_before = np.interp(edges, bins, np.concatenate(([0], np.cumsum(self.per_bin))))
        return edges[:-1], np.diff(rows_before) / np.diff(edges)


def median_of(counts: NDArray[np.int64], edges: NDArray[np.float64]) -> float:
    """Return the median of what was counted between edges; NaN of nothing."""
    total = int(counts.sum())
    if not total:
        return math.nan
    cumulated = np.concatenate(([0], np.cumsum(counts)))
    return float(np.interp(total / 2, cumulated, edges))


def _counts(values: NDArray[np.floating], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    inside = np.clip(values[np.isfinite(values)].astype(np.float64), edges[0], edges[-1])
    return np.histogram(inside, edges)[0]


_PER_DECADE = 20


def _log_counts(values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return counts between `PHOTON_EDGES`: `np.histogram` would search each edge."""
    known = np.clip(values[np.isfinite(values)], 1.0, 9.99e6)
    bins = (np.log10(known) * _PER_DECADE).astype(np.int64)
    return np.bincount(np.minimum(bins, 139), minlength=140)
