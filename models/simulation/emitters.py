"""Emitters of training windows: places, widths, photons in each frame. Batched, in torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from rtsmlm.models.simulation.curves import Curves, draw_heights
from rtsmlm.models.simulation.draw import Draw
from rtsmlm.models.simulation.ranges import SimulationRanges

UM2_PER_PX = 0.01
"""At the nominal pixel of 100 nm."""
SPARSE_UM2 = 0.5
CROWDED_SIGMA_PX = 1.4
"""Up to this width the whole range of densities is drawn; wider PSFs overlap sooner."""


@dataclass(frozen=True, slots=True)
class Emitters:
    """Emitters of n windows, padded to k per window; padding has no photons."""

    x_px: Tensor
    """(n, k); pixel j of a row is centred at j."""
    y_px: Tensor
    sigma_x_px: Tensor
    sigma_y_px: Tensor
    photons: Tensor
    """Detected photons in each frame of the window, (n, window frames, k)."""
    depth: Tensor
    """Round PSFs: distance from focus, 1 where the PSF is wider by the square root of 2; astigmatic
    ones: z in halves of its range; (n, k)."""

    def seen_at(self, frame: int, shift_px: Tensor) -> Emitters:
        """Return the emitters of one frame alone, moved by (n, 2, k) pixels."""
        lit = torch.zeros_like(self.photons)
        lit[:, frame] = self.photons[:, frame]
        x_px, y_px = self.x_px + shift_px[:, 0], self.y_px + shift_px[:, 1]
        return replace(self, x_px=x_px, y_px=y_px, photons=lit)

    def take(self, windows: Tensor) -> Emitters:
        """Return the emitters of some of the windows."""
        return Emitters(*(getattr(self, field.name)[windows] for field in fields(self)))


def draw_sigma(ranges: SimulationRanges, draw: Draw) -> Tensor:
    """Return the in-focus PSF width of each window in pixels, (n,)."""
    usual = draw.chance(ranges.usual_fraction)
    return torch.where(usual, draw.uniform(ranges.usual_sigma_px), draw.uniform(ranges.sigma_px))


def draw_emitters(
    ranges: SimulationRanges,
    draw: Draw,
    sigma_px: Tensor,
    crowding: float = 1.0,
    computed: Tensor | None = None,
    curves: Curves | None = None,
) -> Emitters:
    """Draw the emitters of n windows.

    Parameters
    ----------
    ranges
        What to draw from.
    draw
        Source of random numbers, which holds n.
    sigma_px
        In-focus PSF width of each window, (n,).
    crowding
        Share of the upper end of the density range that is used, 0..1.
    computed
        Windows whose PSF is a computed one, which is never all in focus, bool, (n,).
    curves
        Widths of an astigmatic PSF of each window; not given makes it round.
    """
    on_time = draw.log_uniform(ranges.on_time_frames)
    lonely = draw.chance(ranges.uncorrelated_fraction)
    clustered = draw.chance(ranges.clustered_fraction)
    count = _draw_counts(ranges, draw, sigma_px, on_time, lonely, clustered, crowding)
    k = max(int(count.max()), 1)
    present = torch.arange(k, device=draw.device) < count[:, None]
    x_px, y_px = _move_some(ranges, draw, sigma_px, *_draw_places(ranges, draw, k, clustered))
    n_frames = ranges.window_frames
    overlap = torch.where(
        lonely[:, None, None], _one_frame(draw, k, n_frames), _blink(draw, k, on_time, n_frames)
    )
    spread = draw.uniform(ranges.photons_spread)[:, None]
    # A symmetric on-and-off scatter: the median of the window stays what was drawn.
    flux = draw.log_uniform(ranges.photons)[:, None] * torch.exp(spread * draw.normal(k))
    flux = flux.clamp(max=1.5 * ranges.photons[1])
    if curves is not None and ranges.astigmatism is not None:
        drawn = ranges.astigmatism
        depth = draw_heights(draw, k, thin_fraction=drawn.thin_fraction, thickness=drawn.thickness)
        jitter = _draw_jitter(ranges, draw, k)
        sigma_x, sigma_y = (width * jitter for width in curves.widths(depth))
    else:
        depth = _draw_depth(ranges, draw, k, computed)
        sigma_x, sigma_y = _draw_widths(ranges, draw, sigma_px, depth)
    return Emitters(
        x_px=x_px,
        y_px=y_px,
        sigma_x_px=sigma_x,
        sigma_y_px=sigma_y,
        photons=overlap * (flux * present)[:, None, :],
        depth=depth,
    )


def _draw_counts(
    ranges: SimulationRanges,
    draw: Draw,
    sigma_px: Tensor,
    on_time: Tensor,
    lonely: Tensor,
    clustered: Tensor,
    crowding: float,
) -> Tensor:
    """Return how many emitters each window has in its frames, (n,)."""
    low, high = ranges.density
    density = draw.log_uniform((low, low + crowding * (high - low)))
    sparse = draw.log_uniform((low, max(SPARSE_UM2, low)))
    density = torch.where(draw.chance(ranges.sparse_fraction), sparse, density)
    # In clusters the neighbours are nearer than the mean density tells.
    density = torch.where(clustered, density * 0.3, density)
    limit = high * (CROWDED_SIGMA_PX / sigma_px).square().clamp(max=1.0)
    side_px = ranges.crop_px + 2.0 * ranges.margin_px
    mean = torch.minimum(density, limit) * UM2_PER_PX * side_px**2
    # The density is that of emitters seen in the target frame, if only for a part of it.
    frames = ranges.window_frames
    seen = (on_time + frames) / (on_time + 1)
    factor = torch.where(lonely, torch.full_like(on_time, frames), seen)
    mean = torch.where(draw.chance(ranges.empty_fraction), torch.zeros_like(mean), mean * factor)
    return torch.poisson(mean, generator=draw.generator)


def _draw_places(
    ranges: SimulationRanges, draw: Draw, k: int, clustered: Tensor
) -> tuple[Tensor, Tensor]:
    """Return x and y in pixels, (n, k): anywhere, or on up to eight lines or clusters."""
    low, high = -0.5 - ranges.margin_px, ranges.crop_px - 0.5 + ranges.margin_px
    groups = 8
    group = (draw.uniform((0.0, 1.0), k) * draw.uniform((1.0, float(groups)), 1)).long()
    center = draw.uniform((low, high), 2, groups)
    angle = draw.uniform((0.0, math.pi), groups).gather(1, group)
    half = draw.log_uniform((1.5, 60.0), groups).gather(1, group)
    width = draw.log_uniform((0.05, 1.5), groups).gather(1, group)
    along, across = draw.uniform((-1.0, 1.0), k) * half, draw.normal(k) * width
    cos, sin = torch.cos(angle), torch.sin(angle)
    on_line_x = center[:, 0].gather(1, group) + along * cos - across * sin
    on_line_y = center[:, 1].gather(1, group) + along * sin + across * cos
    anywhere = draw.uniform((low, high), 2, k)
    # What a line carries beyond the margin comes in again on the other side.
    span = high - low
    x = torch.where(clustered[:, None], low + (on_line_x - low) % span, anywhere[:, 0])
    y = torch.where(clustered[:, None], low + (on_line_y - low) % span, anywhere[:, 1])
    return x, y


def _move_some(
    ranges: SimulationRanges, draw: Draw, sigma_px: Tensor, x_px: Tensor, y_px: Tensor
) -> tuple[Tensor, Tensor]:
    """Return places with pairs in some windows, and corners of pixels in others, (n, k) each.

    What would leave the margin stays where it is.
    """
    k = x_px.shape[1]
    low, high = -0.5 - ranges.margin_px, ranges.crop_px - 0.5 + ranges.margin_px
    angle = draw.uniform((0.0, 2.0 * math.pi), k)
    away = draw.uniform(ranges.pair_distance, k) * sigma_px[:, None]
    every_other = torch.arange(k, device=draw.device) % 2 == 1
    paired = draw.chance(ranges.paired_fraction)[:, None] & every_other
    beside_x = x_px.roll(1, dims=1) + away * torch.cos(angle)
    beside_y = y_px.roll(1, dims=1) + away * torch.sin(angle)
    inside = (beside_x >= low) & (beside_x <= high) & (beside_y >= low) & (beside_y <= high)
    x_px = torch.where(paired & inside, beside_x, x_px)
    y_px = torch.where(paired & inside, beside_y, y_px)
    cornered = draw.chance(ranges.corner_fraction)[:, None] & draw.chance(0.5, k)
    near = 0.08 * draw.normal(2, k)
    corner_x = (x_px.floor() + 0.5 + near[:, 0]).clamp(low, high)
    corner_y = (y_px.floor() + 0.5 + near[:, 1]).clamp(low, high)
    return torch.where(cornered, corner_x, x_px), torch.where(cornered, corner_y, y_px)


def _one_frame(draw: Draw, k: int, n_frames: int) -> Tensor:
    """Return which of the frames each emitter is on in, for all of it, (n, n_frames, k)."""
    frame = (draw.uniform((0.0, 1.0), k) * n_frames).long().clamp(max=n_frames - 1)
    return torch.nn.functional.one_hot(frame, n_frames).transpose(1, 2).float()


def _blink(draw: Draw, k: int, on_time: Tensor, n_frames: int) -> Tensor:
    """Return the part of each frame for which each emitter is on, (n, n_frames, k).

    Emitters switch on at any time and stay on for an exponential time; those that overlap the
    frames were on at their beginning with probability tau / (tau + n_frames).
    """
    tau = on_time[:, None]
    was_on = draw.uniform((0.0, 1.0), k) < tau / (tau + n_frames)
    start = torch.where(was_on, torch.zeros_like(tau), draw.uniform((0.0, float(n_frames)), k))
    unit = draw.uniform((0.0, 1.0), k).clamp(min=1e-6)
    stop = start - tau * torch.log(unit)
    frame = torch.arange(n_frames, device=draw.device, dtype=torch.float32)[None, :, None]
    lit = torch.minimum(stop[:, None], frame + 1) - torch.maximum(start[:, None], frame)
    return lit.clamp(min=0.0)


def _draw_depth(ranges: SimulationRanges, draw: Draw, k: int, computed: Tensor | None) -> Tensor:
    """Return the distance of every emitter from focus, (n, k)."""
    largest = draw.uniform(ranges.deep_u) * draw.chance(ranges.deep_fraction)
    if computed is not None:
        largest = torch.where(computed, draw.log_uniform(ranges.computed_u), largest)
    return largest[:, None] * draw.uniform((-1.0, 1.0), k)


def _draw_widths(
    ranges: SimulationRanges, draw: Draw, sigma_px: Tensor, depth: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the PSF widths along x and y of every emitter, (n, k) each."""
    low, high = ranges.ellipticity
    stretch = torch.sqrt(draw.log_uniform((low, high), 1))
    jitter = _draw_jitter(ranges, draw, depth.shape[1])
    sigma = sigma_px[:, None] * jitter * torch.sqrt(1.0 + depth.square())
    return sigma * stretch, sigma / stretch


def _draw_jitter(ranges: SimulationRanges, draw: Draw, k: int) -> Tensor:
    """Return the factor by which the PSF of every emitter is wider, (n, k)."""
    scatter = draw.normal(k).clamp(-2, 2)
    return 1.0 + ranges.sigma_jitter * draw.uniform((0.0, 1.0), 1) * scatter
