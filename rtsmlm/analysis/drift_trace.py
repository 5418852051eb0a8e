"""Drift of a run over its frames, and rows without it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import F32, Localizations

F64 = NDArray[np.float64]

AXES = ("x", "y", "z")
RAW_COLUMNS = ("raw_x_nm", "raw_y_nm", "raw_z_nm")
"""Extra columns of a table whose places are without drift: the places as they were localized."""


@dataclass(frozen=True, slots=True)
class DriftTrace:
    """Drift at some frames, and on straight lines between them."""

    frame: F64
    """Ascending, shape (n,), n at least 1."""
    drift_nm: F64
    """Shape (n, 3): x, y and z. Where there is no depth, z is 0."""

    @classmethod
    def none(cls) -> DriftTrace:
        """Return the trace of a sample that stands still."""
        return cls(np.zeros(1), np.zeros((1, 3)))

    def at(self, frame: NDArray[Any]) -> F64:
        """Return the drift at frames, shape (n, 3); before and after the trace it stands still."""
        return np.column_stack(
            [np.interp(frame, self.frame, self.drift_nm[:, axis]) for axis in range(3)]
        )

    def from_zero(self, frame: float) -> DriftTrace:
        """Return the same movement, counted from where the sample was at a frame."""
        start = self.at(np.array([frame]))
        return replace(self, drift_nm=self.drift_nm - start)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftEstimate:
    """Drift of one block of frames as that block states it, for what is to act on it."""

    first_frame: int = -1
    last_frame: int = -1
    """-1 before the first block that was compared with others."""
    t_first_ns: int = 0
    """When the exposure of the first frame ended, on the clock of `realtime.clock.now_ns`."""
    x_nm: float = math.nan
    y_nm: float = math.nan
    z_nm: float = math.nan
    """Since the first frame of the run; NaN where the block does not say."""
    std_x_nm: float = math.nan
    std_y_nm: float = math.nan
    std_z_nm: float = math.nan
    """Standard deviations; NaN where the block does not say."""

    def axis(self, name: str) -> tuple[float, float]:
        """Return the drift along x, y or z and its standard deviation, in nm."""
        return {
            "x": (self.x_nm, self.std_x_nm),
            "y": (self.y_nm, self.std_y_nm),
            "z": (self.z_nm, self.std_z_nm),
        }[name]


def estimate_of(frames: tuple[int, int], drift_nm: F64, variance: F64) -> DriftEstimate:
    """Return the estimate of a block of frames from first to last; infinite variances are NaN."""
    known = np.isfinite(variance)
    drift, std = np.where(known, drift_nm, np.nan), np.sqrt(np.where(known, variance, np.nan))
    return DriftEstimate(
        first_frame=frames[0], last_frame=frames[1],
        x_nm=float(drift[0]), y_nm=float(drift[1]), z_nm=float(drift[2]),
        std_x_nm=float(std[0]), std_y_nm=float(std[1]), std_z_nm=float(std[2]),
    )  # fmt: skip


def raw_places(rows: Localizations) -> F64:
    """Return the places as they were localized, (n, 3) in nm, whatever has been taken off them."""
    return np.column_stack([column.astype(np.float64) for column in _raw(rows)])


def _raw(rows: Localizations) -> list[F32]:
    """Return x, y and z as localized; rows that were caught up have no such columns."""
    now = (rows.x_nm, rows.y_nm, rows.z_nm)
    if RAW_COLUMNS[0] not in rows.extras:
        return list(now)
    kept = [rows.extra_column(name) for name in RAW_COLUMNS]
    return [np.where(np.isnan(k), n, k) for k, n in zip(kept, now, strict=True)]


def without_drift(rows: Localizations, drift_nm: F64) -> Localizations:
    """Return rows at their places without the drift; those of before are kept in extra columns.

    Parameters
    ----------
    rows
        As they were localized, or with another drift taken off.
    drift_nm
        Drift of each row, shape (n, 3). Rows without depth keep z = 0.
    """
    columns = _raw(rows)
    raw = np.column_stack([column.astype(np.float64) for column in columns])
    place = raw - drift_nm
    flat = ~np.isfinite(rows.std_z_nm) & (raw[:, 2] == 0)
    place[flat, 2] = 0.0
    kept = dict(zip(RAW_COLUMNS, columns, strict=True))
    return replace(
        rows,
        x_nm=place[:, 0].astype(np.float32),
        y_nm=place[:, 1].astype(np.float32),
        z_nm=place[:, 2].astype(np.float32),
        extras={**rows.extras, **kept},
    )


def as_localized(rows: Localizations) -> Localizations:
    """Return rows at the places where they were localized, bit by bit, without the columns."""
    if RAW_COLUMNS[0] not in rows.extras:
        return rows
    extras: Mapping[str, Any] = {k: v for k, v in rows.extras.items() if k not in RAW_COLUMNS}
    x, y, z = _raw(rows)
    return replace(rows, x_nm=x, y_nm=y, z_nm=z, extras=dict(extras))
