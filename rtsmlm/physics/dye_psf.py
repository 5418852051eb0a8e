"""The PSF of a dye: the mean of those of its wavelengths, so that it is as wide as it is red."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from rtsmlm.localizations import F32
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.pupil import Optics, pupil_psf
from rtsmlm.physics.spectra import Spectrum

Z_STEP_NM = 50.0


def dye_psf(
    spectrum: Spectrum,
    optics: Optics,
    *,
    pixel_nm: float,
    z_nm: tuple[float, float],
    vectorial: bool = True,
    wavelengths: int = 5,
    box_px: int = 31,
    fine_per_px: int = 4,
) -> TablePsf:
    """Compute the PSF of a dye.

    Parameters
    ----------
    spectrum
        What is detected of the dye.
    optics
        Objective, media, aberrations and mask; its wavelength is that of the mask's radians.
    pixel_nm
        Camera pixel in the sample plane.
    z_nm
        Depths that are wanted.
    vectorial
        As `rtsmlm.physics.pupil.pupil_psf` takes it.
    wavelengths
        How many, each with the same part of the photons.
    box_px, fine_per_px
        As `rtsmlm.physics.pupil.pupil_psf` takes them.
    """
    reach_nm = Z_STEP_NM * math.ceil(max(abs(z_nm[0]), abs(z_nm[1])) / Z_STEP_NM + 1)
    parts = [
        pupil_psf(
            optics.at(nm), pixel_nm=pixel_nm, vectorial=vectorial,
            z_range_nm=reach_nm, z_step_nm=Z_STEP_NM, box_px=box_px, fine_per_px=fine_per_px,
        )
        for nm in quantiles_nm(spectrum, wavelengths)
    ]  # fmt: skip
    each = np.stack([part.sums for part in parts])
    sums: F32 = np.asarray(each.mean(axis=0, dtype=np.float64), dtype=np.float32)
    # One plane more at each end, for slopes there.
    first = math.floor((z_nm[0] + reach_nm) / Z_STEP_NM) - 1
    last = math.ceil((z_nm[1] + reach_nm) / Z_STEP_NM) + 1
    return replace(parts[0], sums=sums[first : last + 1], z_first_nm=-reach_nm + first * Z_STEP_NM)


def quantiles_nm(spectrum: Spectrum, n: int) -> list[float]:
    """Return the middle wavelengths of n parts of a spectrum that hold the same light."""
    nm = spectrum.points_nm()
    below = np.cumsum(spectrum.at(nm))
    return [float(np.interp((k + 0.5) / n * below[-1], below, nm)) for k in range(n)]
