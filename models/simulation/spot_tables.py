"""Spots of tabulated PSFs, ready to be added to windows: on a device, batched, in torch.

A table of running sums gives the pixels of a spot wherever its emitter lies in a pixel. Between
the points of its fine grid the sum is linear, and so are the pixels: the spot at any place is the
weighted sum of those at the four places around it, in the two planes beside its depth. Eight rows
of a table of spots are all that an emitter costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from rtsmlm.models.simulation.emitters import Emitters
from rtsmlm.physics.psf import TablePsf


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotTables:
    """Pixels of unit spots of several PSFs of the same grid."""

    spots: Tensor
    """(PSFs x planes x places along y x places along x, box x box)."""
    planes: int
    places: int
    """Places within a pixel along either axis."""
    first_place: float
    """Of these, in points of the fine grid right of the left edge of the middle."""
    fine_per_px: float
    left_px: int
    """Pixels of the box left of and above the one whose centre is left of the emitter."""
    box_px: int
    z_first_nm: float
    z_step_nm: float

    def to(self, device: torch.device) -> SpotTables:
        """Return the tables on another device."""
        return replace(self, spots=self.spots.to(device))

    def noise_area_px2(self) -> Tensor:
        """Return the pixels whose background adds to the noise of a spot, (PSFs, planes).

        It is 4 pi sigma^2 for a Gaussian, whatever the pixels.
        """
        middle = self.spots.view(-1, self.places * self.places, self.box_px**2)[:, 0]
        area: Tensor = middle.square().sum(dim=1).reciprocal()
        return area.view(-1, self.planes)


def spot_tables(tables: Sequence[TablePsf]) -> SpotTables:
    """Return the spots of PSFs, which have the same grid and the same planes.

    Light is integrated over pixels exactly where `fine_per_px` is whole, as `TablePsf.render` has
    it; otherwise as near as the fine grid is fine.
    """
    first = tables[0]
    fine = first.fine_per_px
    n = first.sums.shape[1] - 1
    middle = 0.5 * n
    left, right = math.ceil(middle / fine - 0.5), math.ceil(middle / fine + 0.5)
    # Corners of pixels fall on points of the grid.
    part = (middle - 0.5 * fine) % 1.0
    first_place = part - 1.0 if part > 0.0 else 0.0
    places = math.ceil(fine - first_place) + 1
    place = first_place + torch.arange(places, dtype=torch.float64)
    corner = (torch.arange(-left, right + 2, dtype=torch.float64) - 0.5) * fine
    at = (middle + corner - place[:, None]).clamp(0.0, float(n))
    low = at.floor().clamp(max=n - 1.0)
    weight, low = (at - low).float(), low.long()

    def cut(table: TablePsf) -> Tensor:
        sums = torch.from_numpy(table.sums)
        mixed = sums[:, low] * (1.0 - weight)[..., None] + sums[:, low + 1] * weight[..., None]
        rows = mixed.diff(dim=2)
        pixels = (rows[..., low] * (1.0 - weight) + rows[..., low + 1] * weight).diff(dim=-1)
        # (planes, places y, box y, places x, box x)
        spots: Tensor = pixels.transpose(2, 3).reshape(len(sums) * places * places, -1)
        return spots

    return SpotTables(
        spots=torch.cat([cut(table) for table in tables]),
        planes=len(first.sums),
        places=places,
        first_place=first_place,
        fine_per_px=fine,
        left_px=left,
        box_px=left + right + 1,
        z_first_nm=first.z_first_nm,
        z_step_nm=first.z_step_nm,
    )


def render_spots(
    tables: SpotTables, psf: Tensor, emitters: Emitters, z_nm: Tensor, n_px: int
) -> Tensor:
    """Return the expected photons per pixel, shape (n, frames, n_px, n_px).

    Parameters
    ----------
    tables
        The PSFs.
    psf
        Which of them each window has, int64, (n,).
    emitters
        The emitters of n windows.
    z_nm
        Their depths, (n, k); those beyond the table take its last plane.
    n_px
        Side of a window.
    """
    n, frames, _ = emitters.photons.shape
    margin, box = tables.box_px, tables.box_px
    side = n_px + 2 * margin
    x, y = emitters.x_px, emitters.y_px
    reach = float(margin - 1)
    near = (x > -reach) & (x < n_px - 1.0 + reach) & (y > -reach) & (y < n_px - 1.0 + reach)
    lit = near & (emitters.photons.amax(dim=1) > 0.0)
    window, slot = lit.nonzero(as_tuple=True)
    x, y = x[window, slot], y[window, slot]
    column, row = x.floor(), y.floor()
    spots = unit_spots(tables, psf[window], z_nm[window, slot], x - column, y - row)
    box_range = torch.arange(box, device=x.device) - tables.left_px + margin
    rows = (row.long()[:, None] + box_range).clamp(0, side - 1)
    columns = (column.long()[:, None] + box_range).clamp(0, side - 1)
    place = (rows[:, :, None] * side + columns[:, None, :]).view(-1, box * box)
    photons = emitters.photons[window, :, slot]
    which, frame = (photons > 0.0).nonzero(as_tuple=True)
    offset = (window[which] * frames + frame) * (side * side)
    values = spots[which] * photons[which, frame][:, None]
    image = torch.zeros(n * frames * side * side, device=x.device)
    image.index_add_(0, (place[which] + offset[:, None]).flatten(), values.flatten())
    image = image.view(n, frames, side, side)
    return image[:, :, margin : margin + n_px, margin : margin + n_px]


def unit_spots(
    tables: SpotTables, psf: Tensor, z_nm: Tensor, dx_px: Tensor, dy_px: Tensor
) -> Tensor:
    """Return unit spots, (m, box x box), of emitters right of and below a pixel's centre.

    Parameters
    ----------
    tables
        The PSFs.
    psf
        Which of them, int64, (m,).
    z_nm
        Depths, (m,).
    dx_px, dy_px
        Places from the pixel's centre, 0..1, (m,).
    """

    def between(value: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Return both neighbours on a grid, (m, 2), and their weights."""
        value = value.clamp(0.0, steps - 1.0)
        low = value.floor().clamp(max=max(steps - 2.0, 0.0))
        index = torch.stack([low, (low + 1.0).clamp(max=steps - 1.0)], dim=1).long()
        part = value - low
        return index, torch.stack([1.0 - part, part], dim=1)

    plane, in_z = between((z_nm - tables.z_first_nm) / tables.z_step_nm, tables.planes)
    right, in_x = between(dx_px * tables.fine_per_px - tables.first_place, tables.places)
    below, in_y = between(dy_px * tables.fine_per_px - tables.first_place, tables.places)
    plane = psf[:, None] * tables.planes + plane
    row = (plane[:, :, None] * tables.places + below[:, None, :])[..., None] * tables.places
    index = (row + right[:, None, None, :]).view(-1, 8)
    weight = in_z[:, :, None, None] * in_y[:, None, :, None] * in_x[:, None, None, :]
    spots: Tensor = functional.embedding_bag(
        index, tables.spots, mode="sum", per_sample_weights=weight.reshape(-1, 8)
    )
    return spots
