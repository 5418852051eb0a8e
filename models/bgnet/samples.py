"""Boxes with structured background, and the background that is true of each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rtsmlm.models.simulation.background_fields import relative_background
from rtsmlm.models.simulation.boxes import BoxSampler, measure_boxes
from rtsmlm.models.simulation.draw import Draw
from rtsmlm.models.training.recipe import Recipe

NEIGHBOUR_REACH = (0.33, 0.8)
"""Distance of a neighbour from the middle, over the side of the box: never under the emitter."""


@dataclass(frozen=True, slots=True)
class BackgroundBoxes:
    """A batch of boxes; all of shape (n, 1, box, box)."""

    photons: Tensor
    read_variance: Tensor
    """In photons²."""
    background: Tensor
    """Expected photons of all that is not the emitter in the middle."""
    mean: Tensor
    """Expected photons in all."""


class BackgroundSampler:
    """Training boxes, drawn anew at every call.

    Parameters
    ----------
    recipe
        `boxes` and `backgrounds`; `optics` where the backgrounds state no width of a PSF.
    device
        Where they are made.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self._boxes, self._backgrounds = recipe.boxes, recipe.backgrounds
        self._of_lens: BoxSampler | None = None
        if recipe.backgrounds.sigma_px is None:
            self._of_lens = BoxSampler(recipe.boxes, recipe.optics, device)

    @torch.no_grad()
    def __call__(
        self, n: int, generator: torch.Generator, crowding: float = 1.0
    ) -> BackgroundBoxes:
        """Return n boxes; see `rtsmlm.models.training.trainable.Sampler`."""
        del crowding
        ranges, draw = self._boxes, Draw(n, generator)
        spot, neighbour = self._spots(draw, generator)
        light = draw.log_uniform(ranges.photons, 1, 1)
        level = draw.log_uniform(ranges.background, 1, 1)
        field = relative_background(self._backgrounds, draw, ranges.box_px, ranges.slope)
        beside = draw.log_uniform(ranges.photons, 1, 1)
        beside = beside * draw.chance(ranges.neighbour_fraction, 1, 1)
        background = level * field + beside * neighbour
        mean = background + light * spot
        photons, variance = measure_boxes(ranges, draw, mean)
        return BackgroundBoxes(
            photons[:, None], variance[:, None], background[:, None], mean[:, None]
        )

    def _spots(self, draw: Draw, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return emitters in the middle and beside it, one photon each, (n, box, box)."""
        if self._of_lens is not None:
            spots = self._of_lens.spots(draw.n, generator)
            return spots.image, spots.neighbour
        ranges, width = self._boxes, self._backgrounds.sigma_px
        sigma = draw.log_uniform(width or (1.0, 1.0), 1)
        is_far = draw.chance(ranges.far_fraction)
        reach = torch.where(is_far, ranges.far_px, ranges.offset_px)[:, None, None]
        x, y = (reach * draw.uniform((-1.0, 1.0), 2, 1)).unbind(1)
        angle = draw.uniform((0.0, 2.0 * torch.pi), 1)
        apart = draw.uniform(NEIGHBOUR_REACH, 1) * ranges.box_px
        beside = apart * torch.cos(angle), apart * torch.sin(angle)
        # A neighbour is no neighbour of an emitter that lies elsewhere: it would be the nearer one.
        present = (~is_far).float()[:, None, None]
        return (
            gaussian_spots(x, y, sigma, ranges.box_px),
            gaussian_spots(*beside, sigma, ranges.box_px) * present,
        )


def gaussian_spots(x_px: Tensor, y_px: Tensor, sigma_px: Tensor, side: int) -> Tensor:
    """Return pixel integrals of round Gaussians of one photon, (n, side, side).

    Parameters
    ----------
    x_px, y_px
        Places from the centre of the box, (n, 1).
    sigma_px
        Standard deviations, (n, 1).
    side
        Of the boxes, in pixels.
    """
    edge = torch.arange(side + 1, device=x_px.device) - side / 2
    rows, columns = (
        0.5 * torch.erf((edge - c) / (sigma_px * 2.0**0.5)).diff(dim=1) for c in (y_px, x_px)
    )
    return rows[:, :, None] * columns[:, None]
