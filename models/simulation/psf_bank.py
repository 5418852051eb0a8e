"""Computed PSFs for training windows: real objectives, out of focus and slightly aberrated."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import erf
from torch import Tensor

from rtsmlm.models.psf_condition import CURVE_CONDITION, KNOTS, REFERENCE_SIGMA_PX
from rtsmlm.models.simulation.emitters import Emitters
from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.models.simulation.spot_tables import SpotTables, render_spots, spot_tables
from rtsmlm.physics import gaussian
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.pupil import Optics, pupil_psf

BOX_PX = 25
FINE_PER_PX = 3
Z_RANGE_NM = 800.0
Z_STEP_NM = 50.0
DEPTH_OF_FOCUS_NM = 350.0
"""Depth u = 1 of an emitter: about where a PSF is wider by the square root of 2."""
ABERRATIONS = ((2, 2), (2, -2), (3, 1), (3, -1), (4, 0))
HALF_RANGE_NM = (400.0, 750.0)
"""Half ranges of z of astigmatic PSFs."""
WIDTHS_PX = np.arange(0.6, 2.6, 0.02)


@dataclass(frozen=True, slots=True)
class PsfBank:
    """Spots of several PSFs, and what a network is given of each."""

    tables: SpotTables
    sigma_px: Tensor
    """Width of the Gaussian that is nearest in focus, (psfs,)."""
    zero_nm: Tensor
    """z of each PSF's middle in its table, (psfs,)."""
    unit_nm: Tensor
    """How many nm a depth of 1 is, (psfs,)."""
    condition: Tensor
    """PSF input of astigmatic PSFs, (psfs, condition size)."""

    def __len__(self) -> int:
        return len(self.sigma_px)

    def to(self, device: torch.device) -> PsfBank:
        """Return the bank on another device."""
        return PsfBank(*(getattr(self, field.name).to(device) for field in fields(self)))


def make_bank(ranges: SimulationRanges, seed: int) -> PsfBank:
    """Compute PSFs of random objectives, wavelengths, pixels and aberrations.

    Parameters
    ----------
    ranges
        How many, how aberrated, and how wide in focus; others are drawn again.
    seed
        Of the random numbers.
    """
    rng = np.random.default_rng(seed)
    tables: list[TablePsf] = []
    rows: list[tuple[float, float, float]] = []
    conditions: list[NDArray[np.float64]] = []
    astigmatism = ranges.astigmatism
    low, high = ranges.sigma_px
    while len(tables) < ranges.computed_psfs:
        table = _draw_psf(ranges, rng)
        values = np.zeros(CURVE_CONDITION)
        zero_nm, unit_nm = 0.0, DEPTH_OF_FOCUS_NM
        width = width_at(table, len(table.sums) // 2)
        if astigmatism is not None:
            unit_nm = rng.uniform(*HALF_RANGE_NM)
            curves = measure_curves(table)
            if curves is None:
                continue
            zero_nm, width = curves.zero_nm, curves.sigma_px
            values = curves.condition(unit_nm)
        if low <= width <= high and np.all(np.isfinite(values)):
            tables.append(table)
            rows.append((width, zero_nm, unit_nm))
            conditions.append(values)
    width_column, zero_column, unit_column = torch.tensor(rows, dtype=torch.float32).T
    told_column = torch.from_numpy(np.stack(conditions)).float()
    return PsfBank(spot_tables(tables), width_column, zero_column, unit_column, told_column)


def _draw_psf(ranges: SimulationRanges, rng: np.random.Generator) -> TablePsf:
    zernike_nm = {mode: rng.normal(0.0, ranges.aberration_nm) for mode in ABERRATIONS}
    if ranges.astigmatism is not None:
        strength = rng.uniform(*ranges.astigmatism.computed_astigmatism_nm)
        zernike_nm[2, 2] = strength if rng.uniform() < 0.5 else -strength
        # Axes that are turned against the camera's are calibrated away by turning the lens.
        zernike_nm[2, -2] *= 0.3
    optics = Optics(
        na=rng.uniform(1.2, 1.49),
        wavelength_nm=rng.uniform(560.0, 710.0),
        depth_nm=rng.uniform(0.0, 1200.0),
        zernike_nm=zernike_nm,
    )
    return pupil_psf(
        optics,
        pixel_nm=rng.uniform(*((65.0, 130.0) if ranges.astigmatism is None else (90.0, 140.0))),
        vectorial=True,
        z_range_nm=Z_RANGE_NM,
        z_step_nm=Z_STEP_NM,
        box_px=BOX_PX,
        fine_per_px=FINE_PER_PX,
        pupil_points=48,
    )


def bank_of_table(table: TablePsf, sigma_px: float) -> PsfBank:
    """Return a bank of one PSF.

    Parameters
    ----------
    table
        The PSF; its focus is where it is sharpest.
    sigma_px
        Width that the network is given.
    """
    focus_nm = table.z_first_nm + table.z_step_nm * sharpest_plane(table)

    def one(value: float) -> Tensor:
        return torch.tensor([value], dtype=torch.float32)

    return PsfBank(
        spot_tables([table]),
        one(sigma_px),
        one(focus_nm),
        one(DEPTH_OF_FOCUS_NM),
        torch.zeros(1, CURVE_CONDITION),
    )


def sharpest_plane(table: TablePsf) -> int:
    """Return the plane whose brightest pixel is the brightest."""
    return int(np.argmax([plane_pixels(table, k).max() for k in range(len(table.sums))]))


def plane_pixels(table: TablePsf, plane: int) -> NDArray[np.floating]:
    """Return a unit spot in the middle of a pixel, (box, box)."""
    step = round(table.fine_per_px)
    corners = table.sums[plane, ::step, ::step].astype(np.float64)
    pixels: NDArray[np.floating] = np.diff(np.diff(corners, axis=0), axis=1)
    return pixels


def width_at(table: TablePsf, plane: int) -> float:
    """Return the width of the Gaussian nearest in least squares to a plane, in pixels."""
    pixels = plane_pixels(table, plane)
    middle = len(pixels) // 2
    near = pixels[middle - 4 : middle + 5, middle - 4 : middle + 5]
    misfits = []
    for sigma in WIDTHS_PX:
        spot = gaussian.render_spots(near.shape, 4.0, 4.0, 1.0, sigma)
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
        The emitters of n windows.
    n_px
        Side of a window.
    """
    z_nm = emitters.depth * bank.unit_nm[psf, None] + bank.zero_nm[psf, None]
    return render_spots(bank.tables, psf, emitters, z_nm, n_px)


@dataclass(frozen=True, slots=True)
class MeasuredCurves:
    """Widths of the elliptical Gaussian nearest to each plane, as beads would give them."""

    z_nm: NDArray[np.float64]
    sigma_x_px: NDArray[np.float64]
    sigma_y_px: NDArray[np.float64]
    zero_nm: float
    """Where both widths are equal."""
    sigma_px: float
    """Geometric mean of the least widths of both axes."""

    def condition(self, half_range_nm: float) -> NDArray[np.float64]:
        """Return the PSF input of a network; NaN where the table does not reach so far."""
        at = self.zero_nm + half_range_nm * np.array(KNOTS)
        widths = [
            np.interp(at, self.z_nm, sigma, left=np.nan, right=np.nan)
            for sigma in (self.sigma_x_px, self.sigma_y_px)
        ]
        return np.append(np.log(np.concatenate(widths) / REFERENCE_SIGMA_PX), 1.0)


def measure_curves(table: TablePsf) -> MeasuredCurves | None:
    """Return the astigmatic curves of a table, None where the widths do not cross once."""
    z_nm = np.asarray(
        table.z_first_nm + table.z_step_nm * np.arange(len(table.sums)), dtype=np.float64
    )
    widths = np.array([_ellipse(plane_pixels(table, k)) for k in range(len(z_nm))])
    ratio = np.log(widths[:, 0] / widths[:, 1])
    inner = np.abs(z_nm) < 400.0
    crossings = np.flatnonzero(np.diff(np.signbit(ratio)) & inner[:-1])
    if len(crossings) != 1:
        return None
    k = int(crossings[0])
    zero_nm = z_nm[k] + table.z_step_nm * ratio[k] / (ratio[k] - ratio[k + 1])
    focused = float(np.sqrt(widths.min(axis=0).prod()))
    return MeasuredCurves(z_nm, widths[:, 0], widths[:, 1], float(zero_nm), focused)


def _ellipse(pixels: NDArray[np.floating]) -> tuple[float, float]:
    """Return the widths of the nearest elliptical Gaussian, in least squares, in pixels."""
    half = 7
    middle = BOX_PX // 2
    near = pixels[middle - half : middle + half + 1, middle - half : middle + half + 1]
    edges = np.arange(2 * half + 2) - half - 0.5

    def row(sigma_px: float) -> NDArray[np.float64]:
        return np.asarray(0.5 * np.diff(erf(edges / (math.sqrt(2.0) * sigma_px))))

    def misfit(p: NDArray[np.float64]) -> NDArray[np.float64]:
        spot = np.outer(row(math.exp(p[1])), row(math.exp(p[0])))
        # Light and background that fit best, as a fit of a bead has them free.
        design = np.column_stack([spot.ravel(), np.ones(spot.size)])
        light = np.linalg.lstsq(design, near.ravel(), rcond=None)[0]
        return np.asarray(design @ light - near.ravel())

    found = least_squares(misfit, np.log([1.5, 1.5]), bounds=(np.log(0.5), np.log(8.0)))
    return math.exp(found.x[0]), math.exp(found.x[1])
