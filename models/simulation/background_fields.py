"""Structured backgrounds of boxes, batched: Perlin noise, slopes and clouds."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rtsmlm.models.simulation.background_ranges import BackgroundRanges
from rtsmlm.models.simulation.draw import Draw
from rtsmlm.physics.perlin import RMS

LEAST_SCALE_PX = 1.0
"""Finer octaves are left out: they would be noise from pixel to pixel."""
LEAST_SHARE = 0.05
"""Of the level, that stays everywhere."""


def relative_background(ranges: BackgroundRanges, draw: Draw, side: int, slope: float) -> Tensor:
    """Return backgrounds over their level, (n, side, side), positive everywhere.

    Parameters
    ----------
    ranges
        What to draw from.
    draw
        Source of random numbers.
    side
        Of the boxes, in pixels.
    slope
        Largest relative change from the centre of a box to a side.
    """
    at = torch.linspace(-1.0, 1.0, side, device=draw.device)
    along_x, along_y = draw.uniform((-slope, slope), 2, 1, 1).unbind(1)
    field = 1.0 + along_x * at + along_y * at[:, None]
    has_noise = draw.chance(ranges.perlin_fraction, 1, 1)
    contrast = draw.log_uniform(ranges.contrast, 1, 1) * has_noise
    field = field + contrast * _octaves(ranges, draw, side)
    has_cloud = draw.chance(ranges.haze_fraction, 1, 1)
    field = field + has_cloud * draw.log_uniform(ranges.haze_light, 1, 1) * _cloud(
        ranges, draw, side
    )
    return field.clamp(min=LEAST_SHARE)


def _cloud(ranges: BackgroundRanges, draw: Draw, side: int) -> Tensor:
    """Return a Gaussian of peak 1 around a place in or near each box."""
    sigma = draw.log_uniform(ranges.haze_px, 1)
    at = torch.arange(side, device=draw.device) - (side - 1) / 2
    x, y = (side * draw.uniform((-1.0, 1.0), 2, 1)).unbind(1)
    rows, columns = (torch.exp(-0.5 * ((at - c) / sigma).square()) for c in (y, x))
    return rows[:, :, None] * columns[:, None]


def _octaves(ranges: BackgroundRanges, draw: Draw, side: int) -> Tensor:
    """Return Perlin noise of several scales whose root mean square is 1."""
    scale = draw.log_uniform(ranges.scale_px)
    persistence = draw.uniform(ranges.persistence)
    field = torch.zeros(draw.n, side, side, device=draw.device)
    power = torch.zeros(draw.n, device=draw.device)
    for octave in range(ranges.octaves):
        size = scale / 2**octave
        strength = persistence**octave * (size >= LEAST_SCALE_PX)
        noise = perlin_noise(draw, side, size.clamp(min=LEAST_SCALE_PX))
        field = field + strength[:, None, None] * noise
        power = power + strength.square()
    return field / power.sqrt()[:, None, None]


def perlin_noise(draw: Draw, side: int, scale_px: Tensor) -> Tensor:
    """Return Perlin noise of root mean square 1, (n, side, side).

    Parameters
    ----------
    draw
        Source of random numbers.
    side
        Of the fields, in pixels.
    scale_px
        Side of a cell, at least `LEAST_SCALE_PX`, (n,).

    Notes
    -----
    Perlin, ACM Trans. Graph. 21, 681 (2002). `rtsmlm.physics.perlin` draws single fields of any
    shape.
    """
    corners = math.ceil(side / LEAST_SCALE_PX) + 2
    angle = draw.uniform((0.0, 2.0 * math.pi), corners * corners)
    slopes = torch.cos(angle), torch.sin(angle)
    start = draw.uniform((0.0, 1.0), 2, 1)
    place = start + torch.arange(side, device=draw.device) / scale_px[:, None, None]
    cell = place.floor()
    (v, u), (row, column) = (place - cell).unbind(1), cell.long().unbind(1)
    u, v = u[:, None], v[:, :, None]
    fade_u, fade_v = _fade(u), _fade(v)
    value = torch.zeros(draw.n, side, side, device=draw.device)
    for dy, weight_y in ((0, 1.0 - fade_v), (1, fade_v)):
        for dx, weight_x in ((0, 1.0 - fade_u), (1, fade_u)):
            corner = (row + dy)[:, :, None] * corners + (column + dx)[:, None]
            along_x, along_y = (
                slope.gather(1, corner.flatten(1)).view_as(value) for slope in slopes
            )
            value = value + weight_y * weight_x * (along_x * (u - dx) + along_y * (v - dy))
    return value / RMS


def _fade(t: Tensor) -> Tensor:
    return t**3 * (t * (6.0 * t - 15.0) + 10.0)
