"""Emitters from which frames are drawn while a phase mask is learned, and their light in them.

A frame itself cannot be drawn beforehand: the mask decides what it looks like.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rtsmlm.models.simulation.draw import Draw
from rtsmlm.models.simulation.training_windows import Targets
from rtsmlm.models.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Scenes:
    """Emitters of n windows, all with the noise that their light is to have."""

    window: Tensor
    """Window of each emitter, int64, (m,)."""
    x_px: Tensor
    """(m,); pixel j of a row is centred at j; some lie outside."""
    y_px: Tensor
    z_nm: Tensor
    photons: Tensor
    colour: Tensor
    """Index of the dye, int64, (m,)."""
    background: Tensor
    """Photons per pixel, (n,)."""
    noise: Tensor
    """Standard normal, (n, side, side)."""
    targets: Targets


class SceneSampler:
    """Draws emitters anew at every call.

    Parameters
    ----------
    recipe
        Side, density, photons, background and margin of `simulation`; depths of `psf`.
    device
        Where they are made.
    colours
        Number of dyes, all as frequent.
    """

    def __init__(self, recipe: Recipe, device: torch.device, *, colours: int = 1) -> None:
        self._ranges, self._psf, self._colours = recipe.simulation, recipe.psf, colours
        self._pixel_nm, self._device = recipe.optics.pixel_nm, device

    @torch.no_grad()
    def __call__(self, n: int, generator: torch.Generator, crowding: float) -> Scenes:
        """Return n windows; see `rtsmlm.models.training.trainable.Sampler`."""
        ranges, draw = self._ranges, Draw(n, generator)
        side, margin = ranges.crop_px, ranges.margin_px
        low, high = (math.log(d) for d in ranges.density)
        share = torch.rand(n, generator=generator, device=draw.device)
        density_um2 = torch.exp(low + crowding * (high - low) * share)
        area_um2 = ((side + 2 * margin) * self._pixel_nm * 1e-3) ** 2
        counts = torch.poisson(density_um2 * area_um2, generator=generator).long()
        window = torch.repeat_interleave(torch.arange(n, device=draw.device), counts)

        def uniform(first: float, last: float) -> Tensor:
            draws = torch.rand(len(window), generator=generator, device=draw.device)
            return first + (last - first) * draws

        x, y = (uniform(-margin - 0.5, side + margin - 0.5) for _ in range(2))
        z_nm = uniform(*self._psf.z_nm)
        photons = torch.exp(uniform(*(math.log(p) for p in ranges.photons)))
        few, many = (math.log(b) for b in ranges.background)
        level = torch.rand(n, generator=generator, device=draw.device)
        inside = (torch.stack([x, y]) > -0.5).all(dim=0) & (torch.stack([x, y]) < side - 0.5).all(0)
        return Scenes(
            window=window,
            x_px=x,
            y_px=y,
            z_nm=z_nm,
            photons=photons,
            colour=self._draw_colours(len(window), generator),
            background=torch.exp(few + (many - few) * level),
            noise=torch.randn(n, side, side, generator=generator, device=draw.device),
            targets=Targets(
                window=window[inside],
                x_px=x[inside],
                y_px=y[inside],
                photons=photons[inside],
                ignored=torch.zeros(n, side, side, dtype=torch.bool, device=draw.device),
                background=torch.zeros(n, side // 2, side // 2, device=draw.device),
                z=((z_nm - self._psf.middle_nm) / self._psf.half_nm)[inside],
            ),
        )

    def _draw_colours(self, n: int, generator: torch.Generator) -> Tensor:
        if self._colours == 1:
            return torch.zeros(n, dtype=torch.int64, device=generator.device)
        return torch.randint(self._colours, (n,), generator=generator, device=generator.device)


def light_of(scenes: Scenes, share: Tensor, side: int) -> Tensor:
    """Return the expected photons per pixel without background, (n, side, side).

    Parameters
    ----------
    scenes
        Emitters of n windows.
    share
        Part of its light that each emitter leaves in the pixels around the one it lies in, (m,
        box, box); the box is odd.
    side
        Of the windows, in pixels.
    """
    box_px = share.shape[-1]
    column, row = scenes.x_px.round().long(), scenes.y_px.round().long()
    reach = torch.arange(box_px, device=column.device) - box_px // 2
    rows, columns = row[:, None] + reach, column[:, None] + reach
    inside = ((rows >= 0) & (rows < side))[:, :, None]
    inside = inside & ((columns >= 0) & (columns < side))[:, None, :]
    place = scenes.window[:, None, None] * side + rows[:, :, None]
    place = place * side + columns[:, None, :]
    values = share * scenes.photons[:, None, None]
    n = len(scenes.background)
    light = torch.zeros(n * side**2, device=column.device)
    return light.index_add(0, place[inside], values[inside]).view(n, side, side)
