"""The image of a point at every depth, from a stack of beads: for simulations, not for fits."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rtsmlm.calibrate.beads import find_beads
from rtsmlm.calibrate.widths import SIGMA_X, SIGMA_Y, X, Y, fit_widths
from rtsmlm.errors import CalibrationError
from rtsmlm.localizations import F32
from rtsmlm.physics.psf import TablePsf, table_from_planes

F64: TypeAlias = NDArray[np.float64]

HALF_PX = 16
"""Half width of the windows cut around beads."""
FIT_HALF_PX = 5
FINE_PER_PX = 4
RIM_PX = 2
"""Outermost pixels, of which the mean is the background; the median of an EMCCD lies below."""
SMOOTH_PLANES = 2.0
"""Number of planes averaged; their noise would be taken for light."""
BAND = 0.45
"""Frequencies beyond, in cycles per pixel, hold noise alone: light has none above 2 NA / lambda."""


def psf_from_beads(stack: F32, *, z_first_nm: float, z_step_nm: float) -> tuple[TablePsf, float]:
    """Return the average image of the beads in a stack, and its width in focus.

    All beads are shifted onto each other by a fraction of a pixel and averaged; what the pixels
    have blurred is undone, as the table integrates over pixels itself.

    Parameters
    ----------
    stack
        Planes of beads in photons, shape (planes, height, width).
    z_first_nm
        Depth of the first plane.
    z_step_nm
        Distance of planes.

    Returns
    -------
    :
        The PSF, centred where a Gaussian fit finds it in focus, and the standard deviation of
        that Gaussian in pixels.

    Raises
    ------
    CalibrationError
        If no bead lies far enough from the edges.
    """
    cut = _cut_out(stack)
    sharpest = int(np.argmax(cut.max(axis=(2, 3)).mean(axis=0)))
    near = slice(HALF_PX - FIT_HALF_PX, HALF_PX + FIT_HALF_PX + 1)
    theta, good = fit_widths(cut[:, sharpest, near, near])
    if not good.any():
        raise CalibrationError("no bead of the stack could be fitted in its sharpest plane")
    shift = theta[good][:, [Y, X]] - FIT_HALF_PX
    rim = np.ones(cut.shape[2:], dtype=np.bool_)
    rim[RIM_PX:-RIM_PX, RIM_PX:-RIM_PX] = False
    light = cut[good] - cut[good][..., rim].mean(axis=-1)[..., None, None]
    planes = np.stack([_aligned(bead, by) for bead, by in zip(light, shift, strict=True)])
    mean = ndimage.gaussian_filter1d(planes.mean(axis=0), SMOOTH_PLANES, axis=0, mode="nearest")
    table = table_from_planes(
        _faded(mean), fine_per_px=FINE_PER_PX, z_first_nm=z_first_nm, z_step_nm=z_step_nm
    )
    return table, float(np.median(np.sqrt(theta[good, SIGMA_X] * theta[good, SIGMA_Y])))


def _cut_out(stack: F32) -> F64:
    """Return the beads, shape (beads, planes, side, side)."""
    found = find_beads(stack.max(axis=0))[:, :2].astype(np.int64)
    height, width = stack.shape[1:]
    inside = np.all((found >= HALF_PX) & (found < np.array([width, height]) - HALF_PX), axis=1)
    apart = np.abs(found[:, None] - found).max(axis=2)
    np.fill_diagonal(apart, 2 * HALF_PX)
    alone = apart.min(axis=1) > HALF_PX if len(found) > 1 else np.ones(len(found), np.bool_)
    places = found[inside & alone]
    if len(places) == 0:
        raise CalibrationError(
            f"no bead lies alone and {HALF_PX} pixels from the edges; a PSF needs at least one"
        )
    return np.stack(
        [stack[:, y - HALF_PX : y + HALF_PX + 1, x - HALF_PX : x + HALF_PX + 1] for x, y in places]
    ).astype(np.float64)


def _aligned(planes: F64, shift_px: F64) -> F64:
    """Return planes on a finer grid with the bead in the middle and without the pixels' blur.

    Parameters
    ----------
    planes
        Shape (planes, side, side).
    shift_px
        How far the bead lies below and right of the central pixel.
    """
    side = planes.shape[1]
    frequency = np.fft.fftfreq(side)
    fine = side * FINE_PER_PX
    factor = np.ones((side, side), dtype=np.complex128)
    for axis, by in enumerate(shift_px):
        middle = (side - 1) / 2 + by
        # The emitter belongs into the middle between the fine points.
        move = (fine - 1) / (2 * FINE_PER_PX) - middle
        ramp = np.exp(-2j * np.pi * frequency * move) / np.sinc(frequency)
        factor *= ramp[:, None] if axis == 0 else ramp[None, :]
    radius = np.hypot(frequency[:, None], frequency[None, :])
    factor *= np.clip((0.5 - radius) / (0.5 - BAND), 0.0, 1.0)
    spectrum = np.fft.fftshift(np.fft.fft2(planes) * factor, axes=(1, 2))
    pad = (fine - side) // 2 + (fine - side) % 2
    padded = np.pad(spectrum, ((0, 0), (pad, fine - side - pad), (pad, fine - side - pad)))
    return np.asarray(np.fft.ifft2(np.fft.ifftshift(padded, axes=(1, 2))).real)


def _faded(planes: F64) -> F64:
    """Return planes without negative light, which fade towards the edges."""
    n = planes.shape[1]
    place = np.arange(n) - (n - 1) / 2
    radius = np.hypot(place[:, None], place[None, :])
    edge = (n - 1) / 2
    window = np.clip((edge - radius) / (RIM_PX * FINE_PER_PX), 0.0, 1.0)
    return np.asarray(np.maximum(planes, 0.0) * window)
