"""The training simulator: windows of frames with the emitters that are to be found."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rtsmlm.models.psf_condition import REFERENCE_SIGMA_PX
from rtsmlm.models.simulation.curves import Curves, draw_curves
from rtsmlm.models.simulation.draw import Draw
from rtsmlm.models.simulation.emitters import Emitters, draw_emitters, draw_sigma
from rtsmlm.models.simulation.psf_bank import PsfBank, render_from_bank
from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.models.simulation.scenes import (
    draw_background,
    mask_pixels,
    measure,
    render,
    render_wandering,
    render_with_halo,
)

TARGET = 1
"""The frame of a window of three that is localized; of any window the middle one is."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What the network is asked for."""

    window: Tensor
    """Window of each labelled emitter, int64, (m,)."""
    x_px: Tensor
    """(m,); pixel j of a row is centred at j."""
    y_px: Tensor
    photons: Tensor
    """As measured with the imperfect calibration, (m,)."""
    ignored: Tensor
    """True around emitters too dim to be asked for, bool, (n, height, width)."""
    background: Tensor
    """Photons per pixel, mean of 2x2 pixels, (n, height / 2, width / 2)."""
    z: Tensor | None = None
    """In halves of the range of z, (m,); None for round PSFs."""


@dataclass(frozen=True, slots=True)
class Windows:
    """A batch of training windows."""

    photons: Tensor
    """Frames of the windows, the target in their middle, (n, window frames, height, width)."""
    read_variance: Tensor
    """In photons², (n, 1, height, width)."""
    condition: Tensor
    """PSF input of the network, (n, condition size): see `condition_of`."""
    context: Tensor
    """1 where a frame around the target is there, else 0, from the earliest to the latest without
    the target, (n, window frames - 1)."""
    targets: Targets


def condition_of(sigma_px: Tensor, known: Tensor) -> Tensor:
    """Return the condition vector: log(sigma / 1.3 px) and 1, or zeros where it is unknown.

    Parameters
    ----------
    sigma_px
        Standard deviation of the PSF in pixels, (n,).
    known
        Whether the network is given the width, bool, (n,).
    """
    log_ratio = torch.log(sigma_px / REFERENCE_SIGMA_PX)
    return torch.stack([log_ratio, torch.ones_like(log_ratio)], dim=1) * known[:, None]


@torch.no_grad()
def simulate(
    ranges: SimulationRanges,
    n: int,
    generator: torch.Generator,
    crowding: float = 1.0,
    bank: PsfBank | None = None,
) -> Windows:
    """Draw n training windows.

    Parameters
    ----------
    ranges
        What to draw from.
    n
        Number of windows.
    generator
        Source of random numbers; its device is where the windows are made.
    crowding
        Share of the upper end of the density range that is used, 0..1.
    bank
        Computed PSFs for part of the windows; not given makes all of them Gaussian.
    """
    draw = Draw(n, generator)
    n_px = ranges.crop_px
    psf = (draw.uniform((0.0, 1.0)) * (len(bank) if bank else 1)).long()
    computed = draw.chance(ranges.computed_fraction if bank else 0.0)
    sigma_px, curves, condition = _draw_psf(ranges, draw, psf, computed, bank)
    emitters = draw_emitters(ranges, draw, sigma_px, crowding, computed, curves)
    background = draw_background(ranges, draw, n_px)
    light = render_with_halo(ranges, draw, emitters, n_px)
    wandering, image = render_wandering(
        ranges, draw, emitters, n_px, lambda some: render(some, n_px)
    )
    light[wandering] = image
    if bank is not None and bool(computed.any()):
        chosen = computed.nonzero().squeeze(1)
        light[chosen] = render_from_bank(bank, psf[chosen], emitters.take(chosen), n_px)
    return expose(ranges, draw, emitters, light, background, condition, axial=curves is not None)


def expose(
    ranges: SimulationRanges,
    draw: Draw,
    emitters: Emitters,
    light: Tensor,
    background: Tensor,
    condition: Tensor,
    *,
    axial: bool,
) -> Windows:
    """Return what a camera makes of light and background, with what is asked of a network.

    Parameters
    ----------
    ranges
        What to draw from.
    draw
        Source of random numbers.
    emitters
        The emitters; their widths decide which are too dim to be asked for.
    light, background
        Expected photons per pixel, (n, window frames, height, width) and (n, 1, height, width).
    condition
        PSF input of the network, (n, condition size).
    axial
        Whether the depths of emitters are asked for, in halves of the range of z.
    """
    photons, variance, gain, shift = measure(ranges, draw, light + background)
    seen_background = (background * gain[..., None, None] + shift[..., None, None])[:, 0]
    targets = _label(ranges, emitters, gain, seen_background, variance[:, 0], axial=axial)
    photons = _spoil_neighbours(ranges, draw, photons)
    photons, variance = mask_pixels(ranges, draw, photons, variance)
    return Windows(photons, variance, condition, _draw_context(ranges, draw), targets)


def _draw_psf(
    ranges: SimulationRanges,
    draw: Draw,
    psf: Tensor,
    computed: Tensor,
    bank: PsfBank | None,
) -> tuple[Tensor, Curves | None, Tensor]:
    """Return width in focus (n,), curves of an astigmatic PSF, and the PSF input."""
    if ranges.astigmatism is None:
        sigma_px = draw_sigma(ranges, draw)
        if bank is not None:
            sigma_px = torch.where(computed, bank.sigma_px[psf], sigma_px)
        error = 1.0 + ranges.sigma_error * draw.normal().clamp(-2.5, 2.5)
        known = ~draw.chance(ranges.unknown_sigma_fraction)
        return sigma_px, None, condition_of(sigma_px * error, known)
    curves = draw_curves(ranges, ranges.astigmatism, draw)
    condition = curves.condition()
    sigma_px = curves.sigma0_px.prod(dim=1).sqrt()
    if bank is not None:
        condition = torch.where(computed[:, None], bank.condition[psf], condition)
        sigma_px = torch.where(computed, bank.sigma_px[psf], sigma_px)
    wrong = ranges.astigmatism.curve_error * draw.normal(condition.shape[1]).clamp(-2.5, 2.5)
    wrong[:, -1] = 0.0
    # Wide at both ends of the range: crowds are counted with the width between middle and ends.
    return 1.3 * sigma_px, curves, condition + wrong


def _draw_context(ranges: SimulationRanges, draw: Draw) -> Tensor:
    """Return which frames around the target are there; none is beyond one that is missing."""
    reach = ranges.window_frames // 2
    there = (~draw.chance(ranges.context_dropout, 2 * reach)).float()
    before, after = there[:, :reach].flip(1).cumprod(dim=1).flip(1), there[:, reach:]
    return torch.cat([before, after.cumprod(dim=1)], dim=1)


def _spoil_neighbours(ranges: SimulationRanges, draw: Draw, photons: Tensor) -> Tensor:
    """Return the frames, some neighbours replaced by the target frame or by another place's."""
    middle = ranges.window_frames // 2
    target = photons[:, middle]
    for frame in (k for k in range(ranges.window_frames) if k != middle):
        kind = draw.uniform((0.0, 1.0), 1, 1)
        here = photons[:, frame]
        here = torch.where(kind < ranges.repeated_fraction, target, here)
        foreign = kind > 1.0 - ranges.foreign_fraction
        photons[:, frame] = torch.where(foreign, here.roll(1, dims=0), here)
    return photons


def _label(
    ranges: SimulationRanges,
    emitters: Emitters,
    gain: Tensor,
    background: Tensor,
    read_variance: Tensor,
    *,
    axial: bool,
) -> Targets:
    n_px = ranges.crop_px
    column, row = emitters.x_px.round().long(), emitters.y_px.round().long()
    inside = (column >= 0) & (column < n_px) & (row >= 0) & (row < n_px)
    photons = emitters.photons[:, ranges.window_frames // 2] * gain
    window = torch.arange(len(photons), device=photons.device)[:, None].expand_as(photons)
    here = (window, row.clamp(0, n_px - 1), column.clamp(0, n_px - 1))
    area = 4.0 * math.pi * emitters.sigma_x_px * emitters.sigma_y_px
    noise = torch.sqrt(area * (background.clamp(min=0.0) + read_variance)[here] + photons)
    bright = (photons > ranges.min_photons) & (photons > ranges.min_snr * noise)
    asked = inside & bright
    dim = (photons > 0.0) & inside & ~bright & (photons > 0.2 * ranges.min_snr * noise)
    ignored = torch.zeros_like(background)
    ignored[tuple(index[dim] for index in here)] = 1.0
    ignored = torch.nn.functional.max_pool2d(ignored[:, None], 3, stride=1, padding=1)[:, 0] > 0.0
    cells = torch.nn.functional.avg_pool2d(background[:, None], 2)[:, 0]
    return Targets(
        window=window[asked],
        x_px=emitters.x_px[asked],
        y_px=emitters.y_px[asked],
        photons=photons[asked],
        ignored=ignored,
        background=cells,
        z=emitters.depth[asked] if axial else None,
    )
