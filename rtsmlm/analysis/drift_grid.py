"""DriftGrid: the rows that a block is compared with, and where the block fits best among them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.drift_reference import (
    UNIFORM,
    peak_1d,
    peak_2d,
    scores_2d,
    scores_z,
    spread_2d,
    spread_3d,
)

F64 = NDArray[np.float64]

_MOST_BINS = 4096
_MOST_COLUMNS = 256
_LAYERS = 128
_COLUMN_NM = 80.0
_NEAR, _NEAR_Z = 4, 5
"""Bins on each side in which the shift is searched for, about the one that is expected."""
_FAR = 20
"""The same where nothing is found there: steps of two bins."""
_MOST_FAR_ROWS = 2000
_AROUND_NM = 150.0
"""Grid of 5 x 5 shifts, its middle left out, that the best one is held against."""
_CONTRAST = (4.0, 6.0)
"""Least in a search nearby and far away. Rows that repeat no structure reach 1.4 in the middle and
3.9 in one of twenty blocks; filaments, pores and origami 8 and more, mitochondria 5."""
_LEAST_HIT = 0.01
"""Added to the floor: a single row nearby, which has 0.16 at its place, is no certainty."""
_OVERDISPERSION = 1.3
"""An emitter that is on for some frames is several rows, and their errors of place in the reference
are shared."""


class DriftGrid:
    """Density of rows of a field, folded to a bounded size.

    Parameters
    ----------
    side_nm
        Longer side of the field.
    bin_nm, layer_nm
        Bins in x and y, and in z: about the precision of a row. No layer means no depth.
    """

    def __init__(self, side_nm: float, bin_nm: float, layer_nm: float | None) -> None:
        n = 1 << max(6, math.ceil(math.log2(side_nm / bin_nm + 1)))
        self._grid = np.zeros((min(n, _MOST_BINS),) * 2, np.float32)
        self._area = min(side_nm / bin_nm, _MOST_BINS) ** 2
        self.bin_nm, self.layer_nm = bin_nm, layer_nm
        self.n_rows = 0
        if layer_nm is not None:
            n = 1 << max(3, math.ceil(math.log2(side_nm / _COLUMN_NM + 1)))
            n = min(n, _MOST_COLUMNS)
            self._deep = np.zeros((n, n, _LAYERS), np.float32)

    def add(self, places_nm: F64, sign: int = 1) -> None:
        """Add rows at places without drift, (n, 3); -1 takes them away again."""
        x, y = places_nm[:, 0] / self.bin_nm, places_nm[:, 1] / self.bin_nm
        spread_2d(self._grid, x, y, float(sign))
        self.n_rows += sign * len(places_nm)
        if self.layer_nm is not None:
            spread_3d(self._deep, *self._in_bins(places_nm), float(sign))

    @property
    def n_bytes(self) -> int:
        """Memory of the grid."""
        return self._grid.nbytes + (self._deep.nbytes if self.layer_nm is not None else 0)

    @property
    def most(self) -> float:
        """The highest density, rows per bin."""
        return float(np.abs(self._grid).max())

    def clear(self) -> None:
        """Forget all rows."""
        self._grid[:] = 0
        self.n_rows = 0
        if self.layer_nm is not None:
            self._deep[:] = 0

    def _in_bins(self, places_nm: F64) -> tuple[F64, F64, F64]:
        return (
            places_nm[:, 0] / _COLUMN_NM,
            places_nm[:, 1] / _COLUMN_NM,
            places_nm[:, 2] / (self.layer_nm or 1.0),
        )

    def shift(self, places_nm: F64, expected_nm: F64, *, far: bool = True) -> tuple[F64, F64]:
        """Return how far rows lie from the others, and how sure that is.

        Parameters
        ----------
        places_nm
            Places as localized, (n, 3).
        expected_nm
            Drift that is expected, (3,).
        far
            Search far away where there is no maximum nearby.

        Returns
        -------
        :
            Drift (3,) and its variance (3,) in nm²; the variance is infinite where nothing fits.
        """
        drift, variance = expected_nm.copy(), np.full(3, np.inf)
        lateral = self._lateral(places_nm, drift, far)
        if lateral is None:
            return drift, variance
        drift[:2], variance[:2] = lateral
        if self.layer_nm is not None:
            axial = self._axial(places_nm, drift, far)
            if axial is not None:
                drift[2], variance[2] = axial
        return drift, variance

    def _lateral(self, places_nm: F64, drift: F64, far: bool) -> tuple[F64, F64] | None:
        floor = UNIFORM * self.n_rows / self._area + _LEAST_HIT
        at = drift[:2].copy()
        for widen in (False, True):
            if widen:
                few = places_nm[:: max(1, len(places_nm) // _MOST_FAR_ROWS)]
                x, y = (few[:, k] / self.bin_nm - drift[k] / self.bin_nm for k in (0, 1))
                step, _, _ = peak_2d(scores_2d(self._grid, x, y, floor, _FAR, 2))
                at = drift[:2] + 2 * self.bin_nm * step
            for _ in range(2):  # about the middle the paraboloid is unbiased
                x, y = ((places_nm[:, k] - at[k]) / self.bin_nm for k in (0, 1))
                step, covariance, inside = peak_2d(scores_2d(self._grid, x, y, floor, _NEAR, 1))
                if not inside:
                    break
                at = at + self.bin_nm * step
            if inside and self._contrast(x, y, floor) > _CONTRAST[widen]:
                return at, np.diag(covariance) * self.bin_nm**2 * _OVERDISPERSION
            if not far:
                return None
        return None

    def _contrast(self, x: F64, y: F64, floor: float) -> float:
        """Return by how many standard deviations rows fit better where they are than around it."""
        around = scores_2d(self._grid, x, y, floor, 2, round(_AROUND_NM / self.bin_nm)).ravel()
        here, others = around[len(around) // 2], np.delete(around, len(around) // 2)
        return float((here - others.mean()) / max(others.std(), 1e-9))

    def _axial(self, places_nm: F64, drift: F64, far: bool) -> tuple[float, float] | None:
        layer_nm = self.layer_nm or 1.0
        z = float(drift[2])
        for widen in (False, True):
            if widen:
                moved = places_nm - [drift[0], drift[1], z]
                step, _, _ = peak_1d(
                    scores_z(self._deep, *self._in_bins(moved), _LEAST_HIT, _FAR, 2)
                )
                z += 2 * layer_nm * step
            for _ in range(2):
                moved = places_nm - [drift[0], drift[1], z]
                step, variance, inside = peak_1d(
                    scores_z(self._deep, *self._in_bins(moved), _LEAST_HIT, _NEAR_Z, 1)
                )
                if not inside:
                    break
                z += layer_nm * step
            if inside:
                return z, variance * layer_nm**2 * _OVERDISPERSION
            if not far:
                return None
        return None
