"""Boxes around emitters of several dyes, whose PSF is as wide as their light is red."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtsmlm.models.simulation.draw import Draw
from rtsmlm.models.simulation.dye_ranges import DyeBoxRanges
from rtsmlm.models.simulation.optics import OpticsSection
from rtsmlm.models.simulation.scenes import poisson
from rtsmlm.models.simulation.spot_tables import SpotTables, spot_tables, unit_spots
from rtsmlm.physics.dye_psf import Z_STEP_NM, dye_psf
from rtsmlm.physics.psf import TablePsf, table_from_planes
from rtsmlm.physics.spectra import DYES

GAUSSIAN_BOX_PX = 31


@dataclass(frozen=True, slots=True)
class DyeBoxes:
    """A batch of boxes; all truths have shape (n,)."""

    photons: Tensor
    """(n, 1, box, box)."""
    dye: Tensor
    """Index of the dye."""
    x_px: Tensor
    """From the centre of the box."""
    y_px: Tensor
    z_nm: Tensor
    light: Tensor
    """Photons of the emitter, on all of the camera."""
    background: Tensor
    """Photons per pixel in the middle."""


class DyeBoxSampler:
    """Training boxes, drawn anew at every call.

    Parameters
    ----------
    ranges
        What to draw from.
    tables
        The PSF of each dye; `dye_tables` computes them.
    device
        Where they are made.
    """

    def __init__(self, ranges: DyeBoxRanges, tables: SpotTables, device: torch.device) -> None:
        self.ranges = ranges
        self.tables = tables.to(device)

    @torch.no_grad()
    def __call__(self, n: int, generator: torch.Generator, crowding: float = 1.0) -> DyeBoxes:
        """Return n boxes; the crowding is without effect."""
        del crowding
        ranges, draw = self.ranges, Draw(n, generator)
        dye = torch.randint(len(ranges.names), (n,), generator=generator, device=generator.device)
        x_px, y_px = draw.uniform((-ranges.offset_px, ranges.offset_px), 2).unbind(1)
        z_nm = draw.uniform(ranges.z_nm)
        light, background = draw.log_uniform(ranges.photons), draw.log_uniform(ranges.background)
        mean = light[:, None, None] * self.spots(dye, x_px, y_px, z_nm)
        mean = mean + self._beside(draw, light)
        mean = mean + background[:, None, None] * self._ramp(draw)
        side = ranges.box_px
        read_e = draw.log_uniform(ranges.read_noise_e, 1, 1)
        photons = poisson(mean, draw) + read_e * draw.normal(side, side)
        return DyeBoxes(photons[:, None], dye, x_px, y_px, z_nm, light, background)

    def spots(self, dye: Tensor, x_px: Tensor, y_px: Tensor, z_nm: Tensor) -> Tensor:
        """Return the image of one photon of each emitter, (n, box, box)."""
        return dye_spots(self.tables, dye, x_px, y_px, z_nm, self.ranges.box_px)

    def _beside(self, draw: Draw, light: Tensor) -> Tensor:
        """Return the light of a second emitter outside the middle, where there is one."""
        ranges, n = self.ranges, draw.n
        image = torch.zeros((n, ranges.box_px, ranges.box_px), device=draw.device)
        chosen = draw.chance(ranges.neighbour_fraction).nonzero().squeeze(1)
        if not len(chosen):
            return image
        angle = draw.uniform((0.0, 2.0 * math.pi))[chosen]
        distance = ranges.box_px * draw.uniform((0.4, 0.7))[chosen]
        dye = torch.randint(len(ranges.names), (n,), generator=draw.generator, device=draw.device)
        share = draw.uniform((0.2, 1.0))[chosen] * light[chosen]
        spots = self.spots(
            dye[chosen], distance * torch.cos(angle), distance * torch.sin(angle),
            draw.uniform(ranges.z_nm)[chosen],
        )  # fmt: skip
        image[chosen] = share[:, None, None] * spots
        return image

    def _ramp(self, draw: Draw) -> Tensor:
        ranges = self.ranges
        side = torch.linspace(-1.0, 1.0, ranges.box_px, device=draw.device)
        along_x, along_y = draw.uniform((-ranges.slope, ranges.slope), 2, 1, 1).unbind(1)
        return (1.0 + along_x * side + along_y * side[:, None]).clamp(min=0.05)


def dye_tables(ranges: DyeBoxRanges, optics: OpticsSection) -> SpotTables:
    """Return the spots of each dye, over the depths that emitters may have."""
    return spot_tables(dye_psfs(ranges, optics))


def dye_psfs(ranges: DyeBoxRanges, optics: OpticsSection) -> list[TablePsf]:
    """Compute the PSF of each dye, over the depths that emitters may have."""
    return [
        dye_psf(
            DYES[name], optics.optics(), pixel_nm=optics.pixel_nm, z_nm=ranges.z_nm,
            vectorial=optics.vectorial, wavelengths=ranges.wavelengths,
        )
        for name in ranges.names
    ]  # fmt: skip


def dye_spots(
    tables: SpotTables, dye: Tensor, x_px: Tensor, y_px: Tensor, z_nm: Tensor, box_px: int
) -> Tensor:
    """Return the image of one photon in the box of each emitter, (n, box, box).

    Parameters
    ----------
    tables
        The PSF of each dye.
    dye
        Which of them, int64, (n,).
    x_px, y_px
        Places from the centre of the box, (n,); the side of the box is odd.
    z_nm
        Depths, (n,); those beyond the tables take their last plane.
    box_px
        Side of the box.
    """
    column, row = x_px.floor(), y_px.floor()
    spots = unit_spots(tables, dye, z_nm, x_px - column, y_px - row)
    spots = spots.view(-1, tables.box_px, tables.box_px)
    from_middle = torch.arange(box_px, device=x_px.device) - box_px // 2 + tables.left_px
    rows = from_middle - row.long()[:, None]
    columns = from_middle - column.long()[:, None]
    last = tables.box_px - 1
    box = torch.arange(len(spots), device=x_px.device)[:, None, None]
    cut = spots[box, rows.clamp(0, last)[:, :, None], columns.clamp(0, last)[:, None]]
    row_is_in, column_is_in = ((at >= 0) & (at <= last) for at in (rows, columns))
    return cut * (row_is_in[:, :, None] & column_is_in[:, None])


def gaussian_tables(sigmas_px: Sequence[float], fine_per_px: int = 8) -> SpotTables:
    """Return tables of Gaussian PSFs, one a dye, the same at all depths.

    Parameters
    ----------
    sigmas_px
        Standard deviation of each.
    fine_per_px
        Points of the table along a pixel.
    """
    n = GAUSSIAN_BOX_PX * fine_per_px
    at_px = (np.arange(n) - (n - 1) / 2) / fine_per_px
    profiles = [np.exp(-0.5 * (at_px / sigma) ** 2) for sigma in sigmas_px]
    return spot_tables(
        [
            table_from_planes(
                np.outer(profile, profile)[None], fine_per_px=fine_per_px, z_first_nm=0.0,
                z_step_nm=Z_STEP_NM,
            )
            for profile in profiles
        ]
    )  # fmt: skip
