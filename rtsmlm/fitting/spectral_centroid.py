"""The classical way to tell dyes by dispersed spectra: the centroid of each, in a window.

Zhang et al., Nano Lett. 15, 4374 (2015); Dong et al., Nat. Commun. 7, 12290 (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import F32

F64: TypeAlias = NDArray[np.float64]
Window: TypeAlias = tuple[float, float]
WINDOWS_NM: tuple[Window, ...] = (
    (600.0, 800.0), (620.0, 780.0), (630.0, 760.0), (640.0, 740.0), (650.0, 730.0),
)  # fmt: skip
"""Parts of the spectrum of which one is chosen: background spoils a centroid far from the light."""


@dataclass(frozen=True, slots=True)
class CentroidRule:
    """Which dye a centroid stands for."""

    wavelengths_nm: F64
    """Of the samples of a spectrum, (samples,)."""
    window_nm: Window
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
        centroid = centroids_nm(spectra, self.wavelengths_nm, self.window_nm)
        order = np.argsort(self.centers_nm)
        ascending = self.centers_nm[order]
        borders = np.array([0.5 * (low + high) for low, high in pairwise(ascending)])
        dye = order[np.searchsorted(borders, centroid)]
        return dye, np.abs(centroid[:, None] - borders).min(axis=1)


def fit_rule(spectra: F32, dye: NDArray[np.int64], wavelengths_nm: F64) -> CentroidRule:
    """Return the rule that mistakes fewest spectra of known dyes.

    Parameters
    ----------
    spectra
        Photons per pixel, (n, rows, samples).
    dye
        True dyes, (n,); each one is there.
    wavelengths_nm
        Of the samples, (samples,).
    """
    rules: list[tuple[float, CentroidRule]] = []
    for window in WINDOWS_NM:
        centroid = centroids_nm(spectra, wavelengths_nm, window)
        # The median: a spectrum with hardly any light has its centroid anywhere.
        centers = np.array([np.median(centroid[dye == k]) for k in range(int(dye.max()) + 1)])
        rule = CentroidRule(wavelengths_nm, window, centers)
        rules.append((float(np.mean(rule(spectra)[0] != dye)), rule))
    return min(rules, key=lambda found: found[0])[1]


def centroids_nm(spectra: F32, wavelengths_nm: F64, window_nm: Window) -> F64:
    """Return the mean wavelength of the light of each spectrum, its background taken off, (n,).

    The background is that of the first and the last row, in which there is hardly any light.
    """
    level = spectra[:, [0, -1]].mean(axis=(1, 2), dtype=np.float64)
    profile = spectra.sum(axis=1, dtype=np.float64) - spectra.shape[1] * level[:, None]
    inside = (wavelengths_nm >= window_nm[0]) & (wavelengths_nm <= window_nm[1])
    profile, nm = profile[:, inside], wavelengths_nm[inside]
    light = np.maximum(profile.sum(axis=1), 1.0)
    return np.asarray(profile @ nm / light)
