"""Maximum likelihood fit of emitters that overlap: of a few at once, in the light of others.

Emitters nearer to each other than a few PSF widths are fitted together, with one background; those
further away that reach into their pixels are taken for known, and are known better when all have
been fitted once. The steps are those of Fisher scoring with the damping of Levenberg and Marquardt;
the stated precision is the CRLB of the group, in which what the members do not know of each other
counts (Huang et al., Biomed. Opt. Express 2, 1377 (2011) fit groups the same way). The PSF is
an astigmatic Gaussian, or the image of beads: `rtsmlm.fitting.group_psfs`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting import group_psfs as psfs
from rtsmlm.fitting.boxes import F64, I32
from rtsmlm.fitting.group_fitter import group_fitter
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

REACH_SIGMA, REACH_MEASURED = 3.0, 3.5
"""Pixels further from all members, in widths, are left out; the wings of a real spot tell z."""
ESCAPE_PX = 2.0
"""A member may go so far from its start, or a width of its spot if that is more."""

_fit_astigmatic = group_fitter(
    psfs.astigmatic_widths,
    psfs.astigmatic_reach,
    psfs.astigmatic_memory,
    psfs.evaluate_astigmatic,
    psfs.add_astigmatic,
    escape_px=ESCAPE_PX,
    reach_sigma=REACH_SIGMA,
)
_fit_measured = group_fitter(
    psfs.measured_widths,
    psfs.measured_reach,
    psfs.measured_memory,
    psfs.evaluate_measured,
    psfs.add_measured,
    escape_px=ESCAPE_PX,
    reach_sigma=REACH_MEASURED,
)


@njit(cache=True, nogil=True, error_model="numpy")
def fit_astigmatic_groups(
    pixels: Pixels,
    offset_adu: F32,
    photons_per_adu: F32,
    read_variance: F32,
    frame: I32,
    group: I32,
    wanted: NDArray[np.bool_],
    rows: F64,
    psf: F64,
    limits_nm: F64,
    max_step_nm: float,
    excess_noise: float,
    max_iterations: int,
    sweeps: int,
) -> None:
    """Fit the groups of rows with an astigmatic Gaussian, each in the light of all others.

    Parameters
    ----------
    pixels
        Raw frames in ADU, uint16, shape (n, height, width).
    offset_adu, photons_per_adu, read_variance
        Camera calibration, float32, shape (height, width); variance in photons².
    frame
        Position of the frame of each row; rows ordered by frame, then y, (m,).
    group
        As `group_rows` returns it, (m,).
    wanted
        Whether a group is to be fitted, by its first row, (m,).
    rows
        Start of x, y in pixels, photons, z in nm and background; overwritten by what is fitted,
        with standard deviations, chi² per pixel and status, (m, `GROUP_COLUMNS`).
    psf
        From `WidthCurves.as_array`, (2, 5).
    limits_nm
        Least and largest z, (2,).
    max_step_nm
        Longest step along z.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    max_iterations
        Most steps of a fit.
    sweeps
        How often all groups are fitted.
    """
    _fit_astigmatic(
        pixels, offset_adu, photons_per_adu, read_variance, frame, group, wanted, rows, psf,
        limits_nm, max_step_nm, excess_noise, max_iterations, sweeps,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def fit_measured_groups(
    pixels: Pixels,
    offset_adu: F32,
    photons_per_adu: F32,
    read_variance: F32,
    frame: I32,
    group: I32,
    wanted: NDArray[np.bool_],
    rows: F64,
    psf: psfs.Measured,
    limits_nm: F64,
    max_step_nm: float,
    excess_noise: float,
    max_iterations: int,
    sweeps: int,
) -> None:
    """Fit the groups of rows with the image of beads: x, y, z and photons of each.

    Parameters
    ----------
    pixels, offset_adu, photons_per_adu, read_variance, frame, group, wanted, rows
        As for `fit_astigmatic_groups`; places are those of the image of the beads.
    psf
        The spline through it, and the curves of its widths from `WidthCurves.as_array`, (2, 5).
    limits_nm, max_step_nm, excess_noise, max_iterations, sweeps
        As for `fit_astigmatic_groups`.
    """
    _fit_measured(
        pixels, offset_adu, photons_per_adu, read_variance, frame, group, wanted, rows, psf,
        limits_nm, max_step_nm, excess_noise, max_iterations, sweeps,
    )  # fmt: skip
