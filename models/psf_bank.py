"""Computed PSFs for training windows: real objectives, out of focus and slightly aberrated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtsmlm.models.emitters import Emitters
from rtsmlm.physics.gaussian import render_spots
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.pupil import Optics, pupil_psf

BOX_PX = 25
FINE_PER_PX = 3
Z_RANGE_NM = 800.0
Z_STEP_NM = 50.0
DEPTH_OF_FOCUS_NM = 350.0
"""Depth u = 1 of an emitter: about where a PSF is wider by the square root of 2."""
ABERRATIONS = ((2, 2), (2, -2), (3, 1), (3, -1), (4, 0))
ABERRATION_NM = 12.0
"""Standard deviation of the wavefront error by each of them, root mean square."""
WIDTHS_PX = np.arange(0.6, 2.6, 0.02)


@dataclass(frozen=True, slots=True)
class PsfBank:
    """Tables of running sums of several PSFs, as `rtsmlm.physics.psf.TablePsf` has them."""

    sums: Tensor
    """(psfs, planes, n + 1, n + 1)."""
    sigma_px: Tensor
    """Width of the Gaussian that is nearest in focus, (psfs,)."""

    def __len__(self) -> int:
        return len(self.sums)

    def to(self, device: torch.device) -> PsfBank:
        """Return the bank on another device."""
        return PsfBank(self.sums.to(device), self.sigma_px.to(device))


def make_bank(n: int, seed: int, sigma_px: tuple[float, float]) -> PsfBank:
    """Compute n PSFs of random objectives, wavelengths, pixels and aberrations.

    Parameters
    ----------
    n
        How many.
    seed
        Of the random numbers.
    sigma_px
        Least and largest width in focus; others are drawn again.
    """
    rng = np.random.default_rng(seed)
    sums: list[NDArray[np.float32]] = []
    widths: list[float] = []
    while len(sums) < n:
        table = _draw_psf(rng)
        width = _width_in_focus(table)
        if sigma_px[0] <= width <= sigma_px[1]:
            sums.append(table.sums)
            widths.append(width)
    return PsfBank(torch.from_numpy(np.stack(sums)), torch.tensor(widths, dtype=torch.float32))


def _draw_psf(rng: np.random.Generator) -> TablePsf:
    optics = Optics(
        na=rng.uniform(1.2, 1.49),
        wavelength_nm=rng.uniform(560.0, 710.0),
        depth_nm=rng.uniform(0.0, 1200.0),
        zernike_nm={mode: rng.normal(0.0, ABERRATION_NM) for mode in ABERRATIONS},
    )
    return pupil_psf(
        optics,
        pixel_nm=rng.uniform(65.0, 130.0),
        vectorial=True,
        z_range_nm=Z_RANGE_NM,
        z_step_nm=Z_STEP_NM,
        box_px=BOX_PX,
        fine_per_px=FINE_PER_PX,
        pupil_points=48,
    )


def _width_in_focus(table: TablePsf) -> float:
    """Return the width of the Gaussian nearest in least squares to the middle plane."""
    middle = len(table.sums) // 2
    corners = table.sums[middle, ::FINE_PER_PX, ::FINE_PER_PX].astype(np.float64)
    pixels: NDArray[np.floating] = np.diff(np.diff(corners, axis=0), axis=1)
    near = pixels[BOX_PX // 2 - 4 : BOX_PX // 2 + 5, BOX_PX // 2 - 4 : BOX_PX // 2 + 5]
    misfits = []
    for sigma in WIDTHS_PX:
        spot = render_spots(near.shape, 4.0, 4.0, 1.0, sigma)
        scale = float((spot * near).sum() / (spot * spot).sum())
        misfits.append(float(np.square(near - scale * spot).sum()))
    return float(WIDTHS_PX[int(np.argmin(misfits))])


def render_from_bank(bank: PsfBank, psf: Tensor, emitters: Emitters, n_px: int) -> Tensor:
    """Return the expected photons per pixel, shape (n, 3, n_px, n_px).

    Parameters
    ----------
    bank
        The PSFs.
    psf
        Which of them each window has, int64, (n,).
    emitters
        The emitters of n windows; their depth chooses the plane.
    n_px
        Side of a window.
    """
    lit = emitters.photons.amax(dim=1) > 0.0
    window, slot = lit.nonzero(as_tuple=True)
    margin = BOX_PX
    side = n_px + 2 * margin
    image = torch.zeros(len(psf) * 3 * side * side, device=psf.device)
    x, y = emitters.x_px[window, slot], emitters.y_px[window, slot]
    column, row = x.round(), y.round()
    z_nm = emitters.depth[window, slot] * DEPTH_OF_FOCUS_NM
    planes = bank.sums.shape[1]
    plane = ((z_nm + Z_RANGE_NM) / Z_STEP_NM).round().long().clamp(0, planes - 1)
    patch = _patches(bank, psf[window] * planes + plane, x - column, y - row)
    reach = torch.arange(BOX_PX, device=psf.device) - BOX_PX // 2 + margin
    rows = (row.long()[:, None] + reach).clamp(0, side - 1)
    columns = (column.long()[:, None] + reach).clamp(0, side - 1)
    place = rows[:, :, None] * side + columns[:, None, :]
    photons = emitters.photons[window, :, slot]
    which, frame = (photons > 0.0).nonzero(as_tuple=True)
    offset = (window[which] * 3 + frame) * side * side
    values = patch[which] * photons[which, frame][:, None, None]
    image.index_add_(0, (place[which] + offset[:, None, None]).flatten(), values.flatten())
    image = image.view(len(psf), 3, side, side)
    return image[:, :, margin : margin + n_px, margin : margin + n_px]


def _patches(bank: PsfBank, table: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    """Return unit spots, (m, BOX_PX, BOX_PX), shifted within the middle pixel."""
    n = bank.sums.shape[2]
    flat = bank.sums.reshape(-1)
    corner = torch.arange(BOX_PX + 1, device=dx.device, dtype=torch.float32) * FINE_PER_PX

    def index(shift: Tensor) -> tuple[Tensor, Tensor]:
        at = (corner - shift[:, None] * FINE_PER_PX).clamp(0.0, n - 1.0)
        low = at.floor().clamp(max=n - 2.0)
        return low.long(), at - low

    (left, u), (top, v) = index(dx), index(dy)
    start = table[:, None, None] * (n * n) + top[:, :, None] * n + left[:, None, :]
    u, v = u[:, None, :], v[:, :, None]
    upper = flat[start] * (1.0 - u) + flat[start + 1] * u
    lower = flat[start + n] * (1.0 - u) + flat[start + n + 1] * u
    sums = upper * (1.0 - v) + lower * v
    return sums.diff(dim=1).diff(dim=2)
