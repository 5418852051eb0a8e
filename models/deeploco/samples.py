"""Training samples of DeepLOCO: tiles of single frames, with all emitters that lie in them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from rtsmlm.errors import ConfigError
from rtsmlm.models.deeploco.geometry import LIGHT_UNIT, TILE_PX
from rtsmlm.models.simulation.draw import Draw
from rtsmlm.models.simulation.emitters import CROWDED_SIGMA_PX, Emitters, draw_emitters
from rtsmlm.models.simulation.one_psf import OnePsfSampler
from rtsmlm.models.simulation.scenes import draw_background, measure
from rtsmlm.models.simulation.training_windows import TARGET
from rtsmlm.models.training.recipe import Recipe

PADDED_FRACTION = 0.25
"""Tiles that end beyond their frame, whose last pixels are repeated there."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """A batch of tiles; the emitters of each are padded to k by those of no weight."""

    photons: Tensor
    """(n, 64, 64)."""
    read_variance: Tensor
    """In photons², (n, 64, 64)."""
    at_nm: Tensor
    """x, y from the corner of the tile, z from the lower end of its range, (n, k, 3)."""
    weight: Tensor
    """1 for an emitter, (n, k)."""
    light: Tensor
    """Square root of their photons in `LIGHT_UNIT`, as the calibration has them, (n, k)."""
    extent_nm: tuple[float, float, float]
    """Of a tile along x, y, z."""


class TileSampler:
    """Draws tiles of the recipe's PSF; one frame is rendered, not the three of a window.

    All emitters are asked for, dim ones, too: the weight of what cannot be seen for sure becomes
    its probability.

    Parameters
    ----------
    recipe
        Its sections `simulation`, `psf` and `optics`.
    device
        Where the tiles are made.

    Raises
    ------
    ConfigError
        If the windows of the recipe are no tiles.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        if recipe.simulation.crop_px != TILE_PX:
            raise ConfigError(
                f"simulation.crop_px is {recipe.simulation.crop_px}; a tile of deeploco has "
                f"{TILE_PX} pixels"
            )
        self._ranges = recipe.simulation
        stored = recipe.psf.load(recipe.optics)
        self._windows = OnePsfSampler(recipe.simulation, stored.table, recipe.psf, device)
        side_nm = TILE_PX * stored.pixel_nm
        self.extent_nm = (side_nm, side_nm, 2.0 * recipe.psf.half_nm)

    @torch.no_grad()
    def __call__(self, n: int, generator: torch.Generator, crowding: float) -> Tiles:
        """Return n tiles."""
        draw = Draw(n, generator)
        width = torch.full((n,), CROWDED_SIGMA_PX, device=draw.device)
        emitters = _of_one_frame(draw_emitters(self._ranges, draw, width, crowding))
        emitters = self._windows.in_depth(draw, emitters)
        return self.expose(draw, emitters)

    @torch.no_grad()
    def expose(self, draw: Draw, emitters: Emitters) -> Tiles:
        """Return what a camera makes of emitters, whose photons are (n, 1, k)."""
        background = draw_background(self._ranges, draw, TILE_PX)
        mean = self._windows.render(emitters, TILE_PX) + background
        photons, variance, gain, _ = measure(self._ranges, draw, mean)
        photons, variance = photons[:, 0], variance[:, 0]
        edge = _draw_edges(draw)
        photons, variance = _repeat_last(photons, edge), _repeat_last(variance, edge)
        x, y, light = emitters.x_px, emitters.y_px, emitters.photons[:, 0] * gain
        inside = (x >= -0.5) & (x < edge[:, :1] - 0.5) & (y >= -0.5) & (y < edge[:, 1:] - 0.5)
        there = inside & (light > 0.0)
        share = torch.stack([(x + 0.5) / TILE_PX, (y + 0.5) / TILE_PX, (emitters.depth + 1) / 2], 2)
        return Tiles(
            photons=photons,
            read_variance=variance,
            at_nm=share * share.new_tensor(self.extent_nm),
            weight=there.float(),
            light=(light / LIGHT_UNIT).sqrt() * there,
            extent_nm=self.extent_nm,
        )


def _of_one_frame(emitters: Emitters) -> Emitters:
    """Return the emitters that are on in the target frame, with their light in it alone."""
    photons = emitters.photons[:, TARGET]
    most = max(1, int((photons > 0.0).sum(1).max()))
    order = (photons > 0.0).float().argsort(dim=1, descending=True)[:, :most]
    kept = {
        field.name: getattr(emitters, field.name).gather(1, order)
        for field in dataclasses.fields(emitters)
        if field.name != "photons"
    }
    return Emitters(photons=photons.gather(1, order)[:, None], **kept)


def _draw_edges(draw: Draw) -> Tensor:
    """Return where the frame ends in each tile, along x and y, (n, 2)."""
    padded = draw.chance(PADDED_FRACTION, 2)
    edge = draw.uniform((8.0, float(TILE_PX)), 2).floor()
    return torch.where(padded, edge, torch.full_like(edge, TILE_PX))


def _repeat_last(images: Tensor, edge: Tensor) -> Tensor:
    """Return images whose pixels from the edge on repeat the last one before it."""
    place = torch.arange(TILE_PX, device=images.device)
    n = len(images)
    across = torch.minimum(place, edge[:, :1].long() - 1)[:, None].expand(n, TILE_PX, TILE_PX)
    down = torch.minimum(place, edge[:, 1:].long() - 1)[:, :, None].expand(n, TILE_PX, TILE_PX)
    return images.gather(2, across).gather(1, down)
