"""Boxes around one emitter, with its parameters: what networks of boxes are trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rtsmlm.models.simulation.box_ranges import BoxRanges
from rtsmlm.models.simulation.draw import Draw
from rtsmlm.models.simulation.optics import OpticsSection
from rtsmlm.models.simulation.pupil_layer import PupilLayer
from rtsmlm.models.simulation.scenes import multiply, poisson


@dataclass(frozen=True, slots=True)
class Boxes:
    """A batch of boxes; all truths have shape (n,)."""

    photons: Tensor
    """(n, 1, box, box)."""
    read_variance: Tensor
    """In photons², (n, 1, box, box)."""
    x_px: Tensor
    """From the centre of the box."""
    y_px: Tensor
    z_nm: Tensor
    light: Tensor
    """Photons of the emitter, on all of the camera."""
    background: Tensor
    """Photons per pixel in the middle."""
    amplitudes_nm: Tensor
    """(n, modes)."""
    dipole: Tensor | None
    """Unit vectors, (n, 3), the third towards the objective and never negative."""


class BoxSampler:
    """Training boxes, drawn anew at every call.

    Parameters
    ----------
    ranges
        What to draw from.
    optics
        The PSF.
    device
        Where they are made.
    """

    def __init__(self, ranges: BoxRanges, optics: OpticsSection, device: torch.device) -> None:
        self.ranges = ranges
        self.layer = PupilLayer(
            optics.optics(),
            pixel_nm=optics.pixel_nm,
            box_px=ranges.box_px,
            modes=ranges.modes,
            vectorial=optics.vectorial or ranges.fixed_dipoles,
        ).to(device)

    @torch.no_grad()
    def __call__(self, n: int, generator: torch.Generator, crowding: float = 1.0) -> Boxes:
        """Return n boxes; the crowding is without effect."""
        del crowding
        ranges, draw = self.ranges, Draw(n, generator)
        x_px, y_px = draw.uniform((-ranges.offset_px, ranges.offset_px), 2).unbind(1)
        z_nm = draw.uniform(ranges.z_nm)
        light = draw.log_uniform(ranges.photons)
        amplitudes_nm = ranges.aberration_nm * draw.normal(len(ranges.modes)).clamp(-2.5, 2.5)
        dipole = _draw_dipoles(draw) if ranges.fixed_dipoles else None
        spots = self.layer(x_px, y_px, z_nm, amplitudes_nm, dipole=dipole)
        mean = light[:, None, None] * spots + self._neighbours(draw, light, amplitudes_nm)
        background = draw.log_uniform(ranges.background)
        mean = mean + background[:, None, None] * _ramp(ranges, draw)
        photons, variance = _measure(ranges, draw, mean)
        return Boxes(
            photons[:, None], variance[:, None], x_px, y_px, z_nm, light, background,
            amplitudes_nm, dipole,
        )  # fmt: skip

    def _neighbours(self, draw: Draw, light: Tensor, amplitudes_nm: Tensor) -> Tensor:
        ranges = self.ranges
        image = torch.zeros(draw.n, ranges.box_px, ranges.box_px, device=draw.device)
        chosen = draw.chance(ranges.neighbour_fraction).nonzero().squeeze(1)
        angle = draw.uniform((0.0, 2.0 * torch.pi))
        distance = draw.uniform((0.35, 0.75)) * ranges.box_px
        z_nm, share = draw.uniform(ranges.z_nm), draw.uniform((0.2, 1.0))
        if len(chosen):
            x, y = distance * torch.cos(angle), distance * torch.sin(angle)
            spots = self.layer(x[chosen], y[chosen], z_nm[chosen], amplitudes_nm[chosen])
            image[chosen] = (light * share)[chosen, None, None] * spots
        return image


def _draw_dipoles(draw: Draw) -> Tensor:
    direction = draw.normal(3)
    direction = direction / direction.norm(dim=1, keepdim=True)
    # Both ends of a dipole look the same.
    return direction * torch.where(direction[:, 2:] < 0.0, -1.0, 1.0)


def _ramp(ranges: BoxRanges, draw: Draw) -> Tensor:
    """Return the background relative to its level in the middle, (n, box, box)."""
    side = torch.linspace(-1.0, 1.0, ranges.box_px, device=draw.device)
    along_x, along_y = draw.uniform((-ranges.slope, ranges.slope), 2, 1, 1).unbind(1)
    return (1.0 + along_x * side + along_y * side[:, None]).clamp(min=0.05)


def _measure(ranges: BoxRanges, draw: Draw, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Return noisy boxes and their read variance, in photons and photons²."""
    counts = poisson(mean, draw)
    emccd = draw.chance(ranges.emccd_fraction)
    chosen = emccd.nonzero().squeeze(1)
    counts[chosen] = multiply(counts[chosen], draw)
    side = ranges.box_px
    read_e = draw.log_uniform(ranges.read_noise_e, 1, 1) * torch.exp(0.2 * draw.normal(side, side))
    read_e = torch.where(emccd[:, None, None], torch.full_like(read_e, 0.25), read_e)
    return counts + read_e * draw.normal(side, side), read_e.square()
