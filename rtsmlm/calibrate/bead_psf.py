"""The image of a point at every depth, from a stack of beads: for simulations and training.

x and y of 0 are where a Gaussian fits the beads best in their sharpest plane, or the true places
where they are stated. The beads of the challenge of 2016 have a truth that lies (+28, -45) nm
beside their image: a network that is scored against that challenge wants the true places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rtsmlm.calibrate.bead_windows import find_beads
from rtsmlm.errors import CalibrationError
from rtsmlm.fitting.widths import SIGMA_X, SIGMA_Y, X, Y, fit_widths
from rtsmlm.localizations import F32
from rtsmlm.physics.psf import TablePsf, table_from_planes

F64: TypeAlias = NDArray[np.float64]

HALF_PX = 16
"""Half width of the windows cut around beads."""
FIT_HALF_PX = 5
FINE_PER_PX = 4
RIM_PX = 2
"""Outermost pixels, of which the mean is the background; the median of an EMCCD lies below."""
SMOOTH_NM = 20.0
"""Standard deviation of the averaging over depth: noise of planes would be taken for light."""
BAND = 0.45
"""Frequencies beyond, in cycles per pixel, hold noise alone: light has none above 2 NA / lambda."""


def psf_from_beads(
    stacks: Sequence[F32],
    *,
    z_first_nm: float,
    z_step_nm: float,
    centers_px: F64 | None = None,
    half_px: int = HALF_PX,
) -> tuple[TablePsf, float]:
    """Return the average image of the beads in stacks, and its width in focus.

    All beads are shifted onto each other by a fraction of a pixel and averaged; what the pixels
    have blurred is undone, as the table integrates over pixels itself.

    Parameters
    ----------
    stacks
        Planes of beads in photons, shape (planes, height, width) each.
    z_first_nm
        Depth of the first plane: z of 0 in the table is where this counts from.
    z_step_nm
        Distance of planes; negative where they descend.
    centers_px
        True places of the beads as (x, y) from the centre of the first pixel, shape (beads, 2),
        where they are known: x and y of 0 in the table are then these places.
    half_px
        Half width of the windows cut around beads; an engineered PSF needs more than a round one.

    Returns
    -------
    :
        The PSF, and the standard deviation of the Gaussian nearest in focus, in pixels.

    Raises
    ------
    CalibrationError
        If no bead lies far enough from the edges, or none could be fitted.
    """
    cut, off_px = _cut_out(stacks, centers_px, half_px)
    sharpest = int(np.argmax(cut.max(axis=(2, 3)).mean(axis=0)))
    near = slice(half_px - FIT_HALF_PX, half_px + FIT_HALF_PX + 1)
    theta, good = fit_widths(cut[:, sharpest, near, near])
    if centers_px is not None:
        shift, kept = off_px, np.ones(len(cut), dtype=np.bool_)
    elif good.any():
        shift, kept = theta[good][:, [X, Y]] - FIT_HALF_PX, good
    else:
        raise CalibrationError("no bead of the stack could be fitted in its sharpest plane")
    rim = np.ones(cut.shape[2:], dtype=np.bool_)
    rim[RIM_PX:-RIM_PX, RIM_PX:-RIM_PX] = False
    light = cut[kept] - cut[kept][..., rim].mean(axis=-1)[..., None, None]
    planes = np.stack([_aligned(bead, by[::-1]) for bead, by in zip(light, shift, strict=True)])
    smooth = SMOOTH_NM / abs(z_step_nm)
    mean = ndimage.gaussian_filter1d(planes.mean(axis=0), smooth, axis=0, mode="nearest")
    if z_step_nm < 0:
        mean, z_first_nm = mean[::-1], z_first_nm + z_step_nm * (len(mean) - 1)
    table = table_from_planes(
        _faded(mean), fine_per_px=FINE_PER_PX, z_first_nm=z_first_nm, z_step_nm=abs(z_step_nm)
    )
    widths = theta[good] if good.any() else theta
    return table, float(np.median(np.sqrt(widths[:, SIGMA_X] * widths[:, SIGMA_Y])))


def _cut_out(stacks: Sequence[F32], centers_px: F64 | None, half_px: int) -> tuple[F64, F64]:
    """Return the beads, shape (beads, planes, side, side), and how far (x, y) off the middle."""
    cut: list[F32] = []
    off: list[F64] = []
    for stack in stacks:
        found = find_beads(stack.max(axis=0))[:, :2] if centers_px is None else centers_px
        whole = np.rint(found).astype(np.int64)
        height, width = stack.shape[1:]
        inside = np.all((whole >= half_px) & (whole < np.array([width, height]) - half_px), axis=1)
        apart = np.abs(whole[:, None] - whole).max(axis=2)
        np.fill_diagonal(apart, 2 * half_px)
        alone = apart.min(axis=1) > half_px if len(whole) > 1 else np.ones(len(whole), np.bool_)
        reach = np.arange(-half_px, half_px + 1)
        for (x, y), exact in zip(whole[inside & alone], found[inside & alone], strict=True):
            cut.append(stack[:, (y + reach)[:, None], x + reach])
            off.append(np.asarray(exact - (x, y), dtype=np.float64))
    if not cut:
        raise CalibrationError(
            f"no bead lies alone and {half_px} pixels from the edges; a PSF needs at least one"
        )
    return np.stack(cut).astype(np.float64), np.stack(off)


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
