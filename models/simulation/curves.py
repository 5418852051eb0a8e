"""Astigmatic PSFs of training windows: width against z. Batched, in torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rtsmlm.models.psf_condition import KNOTS, REFERENCE_SIGMA_PX
from rtsmlm.models.simulation.draw import Draw
from rtsmlm.models.simulation.ranges import AstigmatismRanges, SimulationRanges

LEAST_SQUARE = 0.3
"""A cubic term may not take the width below this part of its square in focus."""
BEYOND = 1.1
"""Emitters of windows with curves lie at most so many half ranges from the middle."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves of n windows; each tensor has shape (n, 2), for x and y, but the last one."""

    sigma0_px: Tensor
    focus: Tensor
    """In depths of focus from the middle of the range."""
    depth: Tensor
    """Depth of focus, relative to that of the window."""
    cubic: Tensor
    quartic: Tensor
    half_range: Tensor
    """Half of the range of z in depths of focus, (n, 1)."""

    def widths(self, height: Tensor) -> tuple[Tensor, Tensor]:
        """Return the widths along x and y in pixels at heights in half ranges, (n, k) each."""
        z = (height * self.half_range)[:, None]
        u = (z - self.focus[..., None]) / self.depth[..., None]
        square = 1.0 + u**2 + self.cubic[..., None] * u**3 + self.quartic[..., None] * u**4
        sigma = self.sigma0_px[..., None] * square.clamp(min=LEAST_SQUARE).sqrt()
        return sigma[:, 0], sigma[:, 1]

    def condition(self) -> Tensor:
        """Return the PSF input of the network, (n, condition size)."""
        knots = torch.tensor(KNOTS, device=self.focus.device).expand(len(self.focus), -1)
        logs = torch.log(torch.cat(self.widths(knots), dim=1) / REFERENCE_SIGMA_PX)
        return torch.cat([logs, torch.ones_like(logs[:, :1])], dim=1)


def draw_curves(ranges: SimulationRanges, astigmatism: AstigmatismRanges, draw: Draw) -> Curves:
    """Draw the curves of n windows."""
    stretch = torch.sqrt(draw.log_uniform(ranges.ellipticity, 1))
    sigma0 = draw.uniform(astigmatism.sigma0_px, 1)
    ratio = torch.sqrt(draw.log_uniform(astigmatism.depth_ratio, 1))
    side = draw.chance(0.5, 1).float() * 2.0 - 1.0
    focus = side * draw.uniform(astigmatism.separation, 1)
    middle = astigmatism.off_center * draw.uniform((-1.0, 1.0), 1)
    cubic = astigmatism.cubic * draw.normal(2).clamp(-2.5, 2.5)
    return Curves(
        sigma0_px=torch.cat([sigma0 * stretch, sigma0 / stretch], dim=1),
        focus=torch.cat([focus, -focus], dim=1) + middle,
        depth=torch.cat([ratio, 1.0 / ratio], dim=1),
        cubic=cubic,
        # Without it a cubic term would make the widths turn back far from focus.
        quartic=draw.uniform(astigmatism.quartic, 2) + 0.3 * cubic.square(),
        half_range=draw.uniform(astigmatism.half_range, 1),
    )


def draw_heights(
    draw: Draw,
    k: int,
    *,
    thin_fraction: float,
    thickness: tuple[float, float],
    beyond: float = BEYOND,
) -> Tensor:
    """Return the height of every emitter in half ranges, (n, k).

    Parameters
    ----------
    draw
        Source of random numbers, which holds n.
    k
        Emitters of a window.
    thin_fraction
        Windows whose emitters lie near one height.
    thickness
        Standard deviation of their heights.
    beyond
        Largest distance from the middle of the range.
    """
    thin = draw.chance(thin_fraction, 1)
    spread = draw.log_uniform(thickness, 1)
    around = draw.uniform((-1.0, 1.0), 1) + spread * draw.normal(k)
    anywhere = draw.uniform((-beyond, beyond), k)
    # What a thin layer carries beyond the range comes in again on the other side.
    around = (around + beyond) % (2.0 * beyond) - beyond
    return torch.where(thin, around, anywhere)
