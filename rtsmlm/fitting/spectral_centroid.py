"""The classical way to tell dyes by dispersed spectra: the centroid of each, in a window.

Zhang et al., Nano Lett. 15, 4374 (2015); Dong et al., Nat. Commun. 7, 12290 (2016). They add up the
rows of a spectrum and take all of it; rows weighted with the light they hold, and a window around
the maxima of the dyes, make far fewer mistakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import pixel_integrals

F64: TypeAlias = NDArray[np.float64]
Window: TypeAlias = tuple[float, float]
WHOLE_NM: Window = (600.0, 800.0)
WINDOWS_NM: tuple[Window, ...] = (
    WHOLE_NM, (620.0, 780.0), (630.0, 760.0), (640.0, 740.0), (650.0, 730.0), (655.0, 720.0),
    (660.0, 715.0), (665.0, 710.0),
)  # fmt: skip
"""Parts of the spectrum of which one is chosen: background spoils a centroid far from the light."""
SIGMA_PX = 1.3
"""Width across the rows; from 1.1 to 1.5 the centroid of the whole spectrum moves by 1 nm."""


@dataclass(frozen=True, slots=True)
class CentroidRule:
    """Which dye a centroid stands for."""

    wavelengths_nm: F64
    """Of the samples of a spectrum, (samples,)."""
    window_nm: Window
    weighted: bool
    """Rows count by the light they hold, else alike."""
    centers_nm: F64
    """Centroid of each dye, (dyes,)."""

    def __call__(self, spectra: F32) -> tuple[NDArray[np.int64], F64]:
        """Return the dye of each spectrum, and how far its centroid is from being another's.

        Parameters
        ----------
        spectra
            Photons per pixel, (n, rows, samples).

        Returns
        -------
        dye
            Index, (n,).
        margin
            Distance of the centroid from the nearest border between two dyes in nm, (n,).
        """
        centroid = centroids_nm(
            spectra, self.wavelengths_nm, self.window_nm, weighted=self.weighted
        )
        order = np.argsort(self.centers_nm)
        ascending = self.centers_nm[order]
        borders = np.array([0.5 * (low + high) for low, high in pairwise(ascending)])
        dye = order[np.searchsorted(borders, centroid)]
        return dye, np.abs(centroid[:, None] - borders).min(axis=1)


def fit_rule(spectra: F32, dye: NDArray[np.int64], wavelengths_nm: F64) -> CentroidRule:
    """Return the rule that mistakes fewest spectra of known dyes, with weighted rows.

    Parameters
    ----------
    spectra
        Photons per pixel, (n, rows, samples).
    dye
        True dyes, (n,); each one is there.
    wavelengths_nm
        Of the samples, (samples,).
    """
    return _best(spectra, dye, wavelengths_nm, WINDOWS_NM, weighted=True)


def whole_spectrum_rule(spectra: F32, dye: NDArray[np.int64], wavelengths_nm: F64) -> CentroidRule:
    """Return the rule of the sums of all rows at all wavelengths; see `fit_rule`."""
    return _best(spectra, dye, wavelengths_nm, (WHOLE_NM,), weighted=False)


def _best(
    spectra: F32,
    dye: NDArray[np.int64],
    wavelengths_nm: F64,
    windows_nm: Sequence[Window],
    *,
    weighted: bool,
) -> CentroidRule:
    rules: list[tuple[float, CentroidRule]] = []
    for window in windows_nm:
        centroid = centroids_nm(spectra, wavelengths_nm, window, weighted=weighted)
        # The median: a spectrum with hardly any light has its centroid anywhere.
        centers = np.array([np.median(centroid[dye == k]) for k in range(int(dye.max()) + 1)])
        rule = CentroidRule(wavelengths_nm, window, weighted, centers)
        rules.append((float(np.mean(rule(spectra)[0] != dye)), rule))
    return min(rules, key=lambda found: found[0])[1]


def centroids_nm(
    spectra: F32, wavelengths_nm: F64, window_nm: Window, *, weighted: bool = False
) -> F64:
    """Return the mean wavelength of the light of each spectrum, its background taken off, (n,).

    The background is that of the first and the last row, without the little light there.
    """
    n_rows, n_samples = spectra.shape[1:]
    share = _row_shares(n_rows)
    leak = (share[0] + share[-1]) / 2.0
    total = spectra.sum(axis=(1, 2), dtype=np.float64)
    outer = spectra[:, [0, -1]].mean(axis=1, dtype=np.float64).sum(axis=1)
    light = (total - n_rows * outer) / (share.sum() - n_rows * leak)
    level = (outer - leak * light) / n_samples
    weight = share / np.sum(share**2) if weighted else np.ones(n_rows)
    profile = np.einsum("r,nrk->nk", weight, spectra.astype(np.float64) - level[:, None, None])
    inside = (wavelengths_nm >= window_nm[0]) & (wavelengths_nm <= window_nm[1])
    profile, nm = profile[:, inside], wavelengths_nm[inside]
    return np.asarray(profile @ nm / np.maximum(profile.sum(axis=1), 1.0))


@lru_cache(maxsize=4)
def _row_shares(n_rows: int) -> F64:
    """Return the part of the light that each row holds, of a spectrum in their middle."""
    part = np.empty((3, n_rows))
    pixel_integrals((n_rows - 1) / 2.0, SIGMA_PX, part)
    return np.array(part[0], dtype=np.float64)
