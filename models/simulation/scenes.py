"""Expected light and camera noise of training windows. Batched, in torch."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from rtsmlm.calibration import MASKED_VARIANCE
from rtsmlm.models.simulation.draw import Draw
from rtsmlm.models.simulation.emitters import Emitters
from rtsmlm.models.simulation.ranges import SimulationRanges

GROUPS = 4
EXACT_BELOW = 12.0
"""Mean counts below which the Poisson distribution is drawn exactly."""


def pixel_integrals(center_px: Tensor, sigma_px: Tensor, n_px: int) -> Tensor:
    """Return the light of a unit Gaussian in each pixel of a row, shape (..., n_px).

    Pixel k reaches from k - 1/2 to k + 1/2 (Smith et al., Nat. Methods 7, 373 (2010)).
    """
    edges = torch.arange(n_px + 1, device=center_px.device, dtype=torch.float32) - 0.5
    scaled = (edges - center_px[..., None]) * (math.sqrt(0.5) / sigma_px[..., None])
    cumulative = torch.erf(scaled)
    return 0.5 * (cumulative[..., 1:] - cumulative[..., :-1])


def render(emitters: Emitters, n_px: int, widening: Tensor | float = 1.0) -> Tensor:
    """Return the expected photons per pixel, shape (n, frames, n_px, n_px).

    Parameters
    ----------
    emitters
        The emitters of n windows.
    n_px
        Side of a window.
    widening
        Factor on the PSF widths, number or (n, 1).
    """
    n, frames, k = emitters.photons.shape
    lit = emitters.photons.amax(dim=1) > 0.0
    used = (lit * torch.arange(1, k + 1, device=lit.device)).amax(dim=1)
    widening = torch.as_tensor(widening, device=lit.device).expand(n, 1)
    image = torch.empty(n, frames, n_px, n_px, device=lit.device)
    # Windows of like numbers of emitters together: padding all to the fullest is most of the work.
    for group in used.argsort().chunk(GROUPS):
        slots = slice(0, max(int(used[group].max()), 1))
        wide = widening[group]
        width_x = emitters.sigma_x_px[group, slots] * wide
        width_y = emitters.sigma_y_px[group, slots] * wide
        along_x = pixel_integrals(emitters.x_px[group, slots], width_x, n_px)
        along_y = pixel_integrals(emitters.y_px[group, slots], width_y, n_px).transpose(1, 2)
        weighted = along_y[:, None] * emitters.photons[group, :, None, slots]
        flat = torch.bmm(weighted.reshape(len(group), frames * n_px, -1), along_x)
        image[group] = flat.view(-1, frames, n_px, n_px)
    return image


def render_with_halo(ranges: SimulationRanges, draw: Draw, emitters: Emitters, n_px: int) -> Tensor:
    """Return the expected photons, some windows with part of the light in a wider Gaussian."""
    image = render(emitters, n_px)
    chosen = draw.chance(ranges.halo_fraction).nonzero().squeeze(1)
    weight = draw.uniform(ranges.halo_weight)[chosen, None, None, None]
    ratio = draw.uniform(ranges.halo_ratio)[chosen, None]
    if len(chosen):
        wide = render(emitters.take(chosen), n_px, ratio)
        image[chosen] = (1.0 - weight) * image[chosen] + weight * wide
    return image


def render_wandering(
    ranges: SimulationRanges,
    draw: Draw,
    emitters: Emitters,
    n_px: int,
    light_of: Callable[[Emitters], Tensor],
) -> tuple[Tensor, Tensor]:
    """Return windows whose emitters diffuse between frames, and their expected photons.

    In the target frame they are where they are said to be.

    Parameters
    ----------
    ranges
        What to draw from.
    draw
        Source of random numbers.
    emitters
        The emitters of n windows.
    n_px
        Side of a window.
    light_of
        Renders the emitters of some of the windows.
    """
    chosen = draw.chance(ranges.moving_fraction).nonzero().squeeze(1)
    k = emitters.x_px.shape[1]
    step = draw.log_uniform(ranges.diffusion_px2, 1, 1).mul(2.0).sqrt()
    n_frames = emitters.photons.shape[1]
    image = torch.zeros(len(chosen), n_frames, n_px, n_px, device=draw.device)
    for frame in range(n_frames if len(chosen) else 0):
        away = math.sqrt(abs(frame - n_frames // 2))
        shift = (away * step * draw.normal(2, k))[chosen]
        image += light_of(emitters.take(chosen).seen_at(frame, shift))
    return chosen, image


def draw_background(ranges: SimulationRanges, draw: Draw, n_px: int) -> Tensor:
    """Return the expected background photons per pixel, shape (n, 1, n_px, n_px)."""
    level = draw.log_uniform(ranges.background, 1, 1, 1)
    kind = draw.uniform((0.0, 1.0), 1, 1, 1)
    smooth = _field(draw, 4, n_px) * draw.uniform((0.05, 0.35), 1, 1, 1)
    rough = sum(_field(draw, 3 * 2**i, n_px) * 0.6**i for i in range(4))
    contrast = draw.uniform((0.2, 1.0), 1, 1, 1)
    rough = contrast * torch.tanh(0.7 * rough) if isinstance(rough, Tensor) else smooth
    relative = torch.where(kind < ranges.smooth_fraction, smooth, torch.zeros_like(smooth))
    noisy = kind > 1.0 - ranges.noise_fraction
    relative = torch.where(noisy, rough, relative)
    slope = draw.uniform((-0.6, 0.6), 2, 1, 1) * draw.chance(0.3, 1, 1, 1)
    ramp = torch.linspace(-1.0, 1.0, n_px, device=draw.device)
    relative = relative + slope[:, :1] * ramp + slope[:, 1:] * ramp[:, None]
    return level * (1.0 + relative).clamp(min=0.03) + _haze(ranges, draw, n_px)


def _field(draw: Draw, points: int, n_px: int) -> Tensor:
    """Return a smooth random field of unit scale, shape (n, 1, n_px, n_px)."""
    coarse = draw.normal(1, points, points)
    return functional.interpolate(coarse, (n_px, n_px), mode="bicubic", align_corners=False)


def _haze(ranges: SimulationRanges, draw: Draw, n_px: int) -> Tensor:
    """Return the light of emitters far out of focus, shape (n, 1, n_px, n_px)."""
    k = 6
    sigma = draw.log_uniform((4.0, 10.0), k)
    photons = draw.log_uniform((500.0, 30000.0), 1, k) * draw.chance(ranges.haze_fraction, 1, 1)
    places = draw.uniform((-8.0, n_px + 8.0), 2, k)
    flat = torch.zeros_like(sigma)
    return render(Emitters(places[:, 0], places[:, 1], sigma, sigma, photons, flat), n_px)


def poisson(mean: Tensor, draw: Draw) -> Tensor:
    """Return Poisson counts; above a mean of a dozen by the Cornish-Fisher expansion.

    The expansion has the exact mean, variance and skewness to within 0.2 %, and its rounding
    keeps the counts whole.
    """
    z = torch.randn(mean.shape, generator=draw.generator, device=mean.device)
    counts = torch.round(mean + mean.sqrt() * z + (z.square() - 1.0) / 6.0).clamp_(min=0.0)
    low = mean < EXACT_BELOW
    counts[low] = torch.poisson(mean[low], generator=draw.generator)
    return counts


def multiply(counts: Tensor, draw: Draw) -> Tensor:
    """Return counts after a gain register, divided by its mean gain.

    Gamma distributed (Basden et al., MNRAS 345, 985 (2003)), drawn with the cube of a normal
    number (Wilson and Hilferty, PNAS 17, 684 (1931)).
    """
    z = torch.randn(counts.shape, generator=draw.generator, device=counts.device)
    shape = counts.clamp(min=0.5)
    cube = 1.0 - 1.0 / (9.0 * shape) + z / (3.0 * shape.sqrt())
    cube = cube.clamp(min=0.0)
    return counts * cube * cube * cube


def _wrong_pixels(
    ranges: SimulationRanges, draw: Draw, fraction: float, height: int, width: int
) -> Tensor:
    """Return which pixels are wrong in all frames, bool, (n, 1, height, width)."""
    share = draw.log_uniform(ranges.wrong_pixels, 1, 1, 1) * draw.chance(fraction, 1, 1, 1)
    return draw.uniform((0.0, 1.0), 1, height, width) < share


def _hot_light(ranges: SimulationRanges, draw: Draw, height: int, width: int) -> Tensor:
    """Return what hot pixels add to the expected photons, (n, 1, height, width)."""
    hot = _wrong_pixels(ranges, draw, ranges.hot_fraction, height, width)
    return hot * draw.log_uniform(ranges.hot_photons, 1, height, width)


def mask_pixels(
    ranges: SimulationRanges, draw: Draw, photons: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Return frames (n, frames, height, width) and variance (n, 1, height, width), some masked.

    As the camera's calibration does it: the neighbours stand for a masked pixel, whose stated
    variance tells that nothing is known of it.
    """
    masked = _wrong_pixels(ranges, draw, ranges.masked_fraction, *photons.shape[2:])
    return (
        torch.where(masked, _mean_around(photons, masked), photons),
        torch.where(masked, torch.full_like(variance, MASKED_VARIANCE), variance),
    )


def _mean_around(photons: Tensor, masked: Tensor) -> Tensor:
    """Return the mean of the right ones among the eight pixels around each."""
    right = (~masked).to(photons.dtype)
    n = functional.avg_pool2d(right, 3, stride=1, padding=1)
    light = functional.avg_pool2d(photons * right, 3, stride=1, padding=1)
    return light / n.clamp(min=1e-3)


def measure(
    ranges: SimulationRanges, draw: Draw, mean: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw camera frames and convert them back to photons with an imperfect calibration.

    Parameters
    ----------
    ranges
        What to draw from.
    draw
        Source of random numbers.
    mean
        Expected photo-electrons, shape (n, frames, height, width).

    Returns
    -------
    :
        What the calibration makes of the frames (n, frames, height, width); the read variance it
        states (n, 1, height, width); factor (n, 1) and shift (n, 1) from true to measured
        photons. Light of an EMCCD is halved, so that its variance equals its mean again.
    """
    n, frames, height, width = mean.shape
    kind = draw.uniform((0.0, 1.0), 1, 1, 1)
    emccd = kind < ranges.emccd_fraction
    ideal = kind > 1.0 - ranges.ideal_fraction
    counts = poisson(mean + _hot_light(ranges, draw, height, width), draw)
    chosen = emccd.view(n).nonzero().squeeze(1)
    counts[chosen] = multiply(counts[chosen], draw)
    typical = draw.log_uniform(ranges.read_noise_e, 1, 1, 1)
    noisy = 1.0 + draw.chance(2e-3, 1, height, width) * draw.uniform((1, 8), 1, height, width)
    read = typical * torch.exp(0.2 * draw.normal(1, height, width)) * noisy
    read = torch.where(emccd, torch.full_like(read, 0.25), read)
    read = torch.where(ideal, torch.zeros_like(read), read)
    step = draw.uniform((0.1, 0.8), 1, 1, 1)
    electrons = torch.round((counts + read * draw.normal(frames, height, width)) / step) * step
    stated = torch.where(draw.chance(0.6, 1, 1, 1), read, typical.where(~(emccd | ideal), read))
    wrong = draw.chance(0.5, 1, 1, 1) * (~ideal)
    pattern = 1.0 + 0.015 * draw.normal(1, height, width) * draw.chance(0.4, 1, 1, 1)
    gain = 1.0 + wrong * draw.uniform((-ranges.gain_error, ranges.gain_error), 1, 1, 1)
    shift = wrong * draw.uniform((-ranges.offset_error_e, ranges.offset_error_e), 1, 1, 1)
    unit = torch.where(emccd, torch.full_like(gain, 0.5), torch.ones_like(gain))
    photons = (electrons * gain * pattern + shift) * unit
    variance = (stated * unit).square()
    return photons, variance, (gain * unit).view(n, 1), (shift * unit).view(n, 1)
