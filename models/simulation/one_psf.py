"""OnePsfSampler: windows of three frames whose emitters all have one known PSF.

For networks that are trained for one microscope. Density, blinking, background and camera are
drawn as for the networks that are given the PSF, by the same code.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from rtsmlm.models.simulation.curves import draw_heights
from rtsmlm.models.simulation.draw import Draw
from rtsmlm.models.simulation.emitters import CROWDED_SIGMA_PX, Emitters, draw_emitters
from rtsmlm.models.simulation.psf_section import PsfSection
from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.models.simulation.scenes import draw_background, render_wandering
from rtsmlm.models.simulation.spot_tables import render_spots, spot_tables
from rtsmlm.models.simulation.training_windows import Windows, expose
from rtsmlm.physics.psf import TablePsf


class OnePsfSampler:
    """Training windows of one PSF, drawn anew at every call.

    `Windows.targets.z` is in halves of the range of depths, `Windows.condition` is zero: the
    network is given nothing of the PSF.

    Parameters
    ----------
    ranges
        What to draw from. What it says of the PSF (widths, computed ones, haloes, astigmatism)
        has no effect; its density holds whatever the width, and `margin_px` is to be about the
        radius of a spot.
    table
        The PSF on the pixels of the camera.
    section
        Where in depth emitters lie.
    device
        Where the windows are made.
    """

    def __init__(
        self,
        ranges: SimulationRanges,
        table: TablePsf,
        section: PsfSection,
        device: torch.device,
    ) -> None:
        self._ranges, self._section = ranges, section
        self._tables = spot_tables([_between(table, section.z_nm)]).to(device)
        # Width of the Gaussian that has the same noise: decides which emitters are too dim.
        self._sigma_px = (self._tables.noise_area_px2()[0] / (4.0 * math.pi)).sqrt()

    @torch.no_grad()
    def __call__(self, n: int, generator: torch.Generator, crowding: float) -> Windows:
        """Return n windows; see `rtsmlm.models.training.trainable.Sampler`."""
        ranges, draw = self._ranges, Draw(n, generator)
        n_px = ranges.crop_px
        # At this width the whole range of densities is drawn.
        width = torch.full((n,), CROWDED_SIGMA_PX, device=draw.device)
        emitters = self.in_depth(draw, draw_emitters(ranges, draw, width, crowding))
        background = draw_background(ranges, draw, n_px)
        light = self.render(emitters, n_px)
        wandering, image = render_wandering(
            ranges, draw, emitters, n_px, lambda some: self.render(some, n_px)
        )
        light[wandering] = image
        unknown = torch.zeros(n, 2, device=draw.device)
        return expose(ranges, draw, emitters, light, background, unknown, axial=True)

    def render(self, emitters: Emitters, n_px: int) -> Tensor:
        """Return the expected photons per pixel, shape (n, 3, n_px, n_px).

        Parameters
        ----------
        emitters
            The emitters of n windows; their depth is in halves of the range.
        n_px
            Side of a window.
        """
        section = self._section
        z_nm = section.middle_nm + section.half_nm * emitters.depth
        psf = torch.zeros(len(z_nm), dtype=torch.int64, device=z_nm.device)
        return render_spots(self._tables, psf, emitters, z_nm, n_px)

    def in_depth(self, draw: Draw, emitters: Emitters) -> Emitters:
        """Return emitters with depths drawn in the section's range, in halves of it."""
        section, tables = self._section, self._tables
        depth = draw_heights(
            draw,
            emitters.depth.shape[1],
            thin_fraction=section.thin_fraction,
            thickness=section.thickness,
            beyond=1.0,
        )
        z_nm = section.middle_nm + section.half_nm * depth
        plane = ((z_nm - tables.z_first_nm) / tables.z_step_nm).round().long()
        sigma_px = self._sigma_px[plane.clamp(0, tables.planes - 1)]
        return replace(emitters, depth=depth, sigma_x_px=sigma_px, sigma_y_px=sigma_px)


def _between(table: TablePsf, z_nm: tuple[float, float]) -> TablePsf:
    """Return the planes that emitters of a range of depths have a share of."""
    first = (z_nm[0] - table.z_first_nm) / table.z_step_nm
    last = (z_nm[1] - table.z_first_nm) / table.z_step_nm
    low = min(max(math.floor(first), 0), len(table.sums) - 1)
    high = max(min(math.ceil(last), len(table.sums) - 1), low)
    return replace(
        table,
        sums=table.sums[low : high + 1],
        z_first_nm=table.z_first_nm + low * table.z_step_nm,
    )
