"""Emission spectra of dyes, what a dichroic mirror makes of them, and how far light is dispersed.

Emission of AF647, CF660C, CF680, AF700 and of the red form of mEos3.2: the fluorophore library of
SMIS (Bourgeois, Commun. Biol. 6, 53 (2023), doi 10.1038/s42003-023-04432-x), averaged over 5 nm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

F64: TypeAlias = NDArray[np.float64]
Transmission: TypeAlias = Callable[[ArrayLike], F64]
"""Wavelengths in nm to the part of the light that passes, 0..1, same shape."""

STEP_NM = 5.0
"""Distance of the tabulated wavelengths."""


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Emission of a dye, with straight lines between its points.

    Raises
    ------
    ValueError
        If the wavelengths do not rise, or there is no light.
    """

    wavelength_nm: F64
    """Rising, (n,)."""
    density: F64
    """Part of the photons per nm, (n,); scaled so that its integral is 1. 0 beyond the ends."""

    def __post_init__(self) -> None:
        nm = np.array(self.wavelength_nm, dtype=np.float64)
        density = np.array(self.density, dtype=np.float64)
        if nm.ndim != 1 or nm.shape != density.shape or not np.all(np.diff(nm) > 0.0):
            raise ValueError("wavelengths of a spectrum must rise, with one density for each")
        total = _integral(nm, density)
        if np.any(density < 0.0) or not total > 0.0:
            raise ValueError("densities of a spectrum must be 0 or more, and not all 0")
        object.__setattr__(self, "wavelength_nm", nm)
        object.__setattr__(self, "density", density / total)

    def at(self, wavelength_nm: ArrayLike) -> F64:
        """Return the density at wavelengths, same shape, per nm."""
        nm = np.asarray(wavelength_nm, dtype=np.float64)
        return np.interp(nm, self.wavelength_nm, self.density, left=0.0, right=0.0)

    def mean_nm(self) -> float:
        """Return the mean wavelength of the photons."""
        nm = self.points_nm()
        return _integral(nm, nm * self.at(nm))

    def moved(self, by_nm: float) -> Spectrum:
        """Return the spectrum at longer wavelengths, such as that of one molecule among others."""
        return Spectrum(self.wavelength_nm + by_nm, self.density)

    def through(self, transmission: Transmission) -> Spectrum:
        """Return the spectrum of what passes a filter or mirror, on points 1 nm apart."""
        nm = self.points_nm()
        return Spectrum(nm, self.at(nm) * transmission(nm))

    def points_nm(self) -> F64:
        """Return its wavelengths at most 1 nm apart, from end to end."""
        first, last = self.wavelength_nm[0], self.wavelength_nm[-1]
        return np.linspace(first, last, int(np.ceil(last - first)) + 1)


def band_fraction(spectrum: Spectrum, low_nm: float, high_nm: float) -> float:
    """Return the part of the photons between two wavelengths."""
    own = spectrum.wavelength_nm
    low, high = (min(max(edge, own[0]), own[-1]) for edge in (low_nm, high_nm))
    nm = np.unique([low, *own[(own > low) & (own < high)], max(low, high)])
    return _integral(nm, spectrum.at(nm))


def dichroic(cut_nm: float, width_nm: float = 10.0) -> Transmission:
    """Return the transmission of a mirror that reflects short wavelengths and passes long ones.

    Parameters
    ----------
    cut_nm
        Wavelength of which it passes one half.
    width_nm
        Distance of the wavelengths of which it passes 10 and 90 %.
    """
    steepness = 2.0 * np.log(9.0) / width_nm

    def transmission(wavelength_nm: ArrayLike) -> F64:
        nm = np.asarray(wavelength_nm, dtype=np.float64)
        return np.asarray(expit(steepness * (nm - cut_nm)), dtype=np.float64)

    return transmission


def split_fractions(spectrum: Spectrum, mirror: Transmission) -> tuple[float, float]:
    """Return the parts of the photons that a mirror reflects and passes; their sum is 1."""
    nm = spectrum.points_nm()
    passed = _integral(nm, spectrum.at(nm) * mirror(nm)) / _integral(nm, spectrum.at(nm))
    return 1.0 - passed, passed


class Dispersion(Protocol):
    """Where light of each wavelength falls, along the direction of the dispersion."""

    def displacement_px(self, wavelength_nm: ArrayLike) -> F64:
        """Return the distance from light of the reference wavelength in pixels, same shape."""
        ...

    def wavelength_nm(self, displacement_px: ArrayLike) -> F64:
        """Return the wavelength that falls there, same shape."""
        ...


@dataclass(frozen=True, slots=True)
class Grating:
    """First order of a grating: displacement in proportion to the wavelength."""

    nm_per_px: float
    reference_nm: float = 690.0

    def displacement_px(self, wavelength_nm: ArrayLike) -> F64:
        """Return the distance from light of the reference wavelength in pixels, same shape."""
        nm = np.asarray(wavelength_nm, dtype=np.float64)
        return np.asarray((nm - self.reference_nm) / self.nm_per_px)

    def wavelength_nm(self, displacement_px: ArrayLike) -> F64:
        """Return the wavelength that falls there, same shape."""
        px = np.asarray(displacement_px, dtype=np.float64)
        return np.asarray(self.reference_nm + px * self.nm_per_px)


@dataclass(frozen=True, slots=True)
class Prism:
    """A thin prism: long wavelengths are deflected less, and spread less, than short ones.

    Its index is n = A + B/wavelength² (Cauchy), so that the displacement falls with 1/wavelength².
    The sign is turned here: longer wavelengths lie at larger displacements, as for a grating.
    """

    nm_per_px: float
    """Nanometres per pixel at the reference wavelength."""
    reference_nm: float = 690.0

    def displacement_px(self, wavelength_nm: ArrayLike) -> F64:
        """Return the distance from light of the reference wavelength in pixels, same shape."""
        ratio = self.reference_nm / np.asarray(wavelength_nm, dtype=np.float64)
        return np.asarray(self._reach_px() * (1.0 - ratio**2))

    def wavelength_nm(self, displacement_px: ArrayLike) -> F64:
        """Return the wavelength that falls there, same shape; NaN beyond the longest."""
        px = np.asarray(displacement_px, dtype=np.float64)
        left = 1.0 - px / self._reach_px()
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(left > 0.0, self.reference_nm / np.sqrt(left), np.nan))

    def _reach_px(self) -> float:
        return self.reference_nm / (2.0 * self.nm_per_px)


def _integral(x: F64, y: F64) -> float:
    return float(np.sum(0.5 * (y[1:] + y[:-1]) * np.diff(x)))


def _tabulated(first_nm: float, per_mille: str) -> Spectrum:
    values = np.array([0.0, *map(float, per_mille.split()), 0.0])
    steps = np.arange(len(values), dtype=np.float64)
    return Spectrum(first_nm - STEP_NM + STEP_NM * steps, values)


DYES: Mapping[str, Spectrum] = {
    "AF647": _tabulated(
        630.0,
        "15 44 93 183 323 517 733 915 1000 960 840 691 546 432 348 290 253 235 224 215 204 188 170"
        " 148 126 104 83 68 58 50 43 37 34 29 16",
    ),
    "CF660C": _tabulated(
        640.0,
        "11 24 54 121 226 380 612 918 1000 994 934 802 635 505 388 298 248 214 184 157 134 116 103"
        " 93 74 65 48 34 24 20 18 15 11 2",
    ),
    "CF680": _tabulated(
        645.0,
        "3 15 27 52 106 198 337 522 746 939 1000 970 895 791 647 500 380 287 227 184 150 123 108"
        " 100 92 81 66 53 44 40 35 24 5",
    ),
    "AF700": _tabulated(
        640.0,
        "4 7 10 12 16 24 38 60 99 161 251 371 524 695 858 965 1000 942 826 679 535 409 322 254 203"
        " 171 145 128 115 101 93 84 75 66 56 47 38 30 23 18 15 11 6",
    ),
    "mEos3.2": _tabulated(
        535.0,
        "2 4 7 17 43 107 257 528 846 1000 913 716 535 411 339 302 299 320 343 343 316 268 215 170"
        " 135 110 92 79 72 67 62 58 53 46 39 33 27 22 19 17 14 12 10",
    ),
}
"""Emission of the dyes by name, tabulated in per mille of the brightest 5 nm."""
