"""Boxes around one emitter, with its parameters: what networks of boxes are trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

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

    def take(self, chosen: slice) -> Boxes:
        """Return some of them."""
        return Boxes(
            self.photons[chosen],
            self.read_variance[chosen],
            self.x_px[chosen],
            self.y_px[chosen],
            self.z_nm[chosen],
            self.light[chosen],
            self.background[chosen],
            self.amplitudes_nm[chosen],
            None if self.dipole is None else self.dipole[chosen],
        )


@dataclass(frozen=True, slots=True)
class Spots:
    """Images of emitters of one photon without noise, each with one beside the box's middle."""

    image: Tensor
    """(n, box, box)."""
    neighbour: Tensor
    x_px: Tensor
    y_px: Tensor
    z_nm: Tensor
    amplitudes_nm: Tensor
    dipole: Tensor

    def take(self, chosen: Tensor | slice) -> Spots:
        """Return some of them."""
        return Spots(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def room_for(self, n: int) -> Spots:
        """Return memory for n spots of this kind."""
        parts = (getattr(self, field.name) for field in fields(self))
        return Spots(*(torch.zeros((n, *part.shape[1:]), device=part.device) for part in parts))

    def replace(self, first: int, new: Spots) -> None:
        """Overwrite consecutive ones."""
        for field in fields(self):
            getattr(self, field.name)[first : first + len(new.x_px)] = getattr(new, field.name)


_POOL_PX, _FRESH = 16384 * 16**2, 16
"""Pixels of images without noise that are kept, and the part of a batch that is computed anew, one
in so many: what a network sees twice differs in light, background and noise."""
_PLANE_NM = 25.0
"""Steps of depth by which it is known where the maxima of a spot lie."""


def layer_of(ranges: BoxRanges, optics: OpticsSection) -> PupilLayer:
    """Return what computes the images of boxes."""
    return PupilLayer(
        optics.optics(),
        pixel_nm=optics.pixel_nm,
        box_px=ranges.box_px,
        modes=ranges.modes,
        vectorial=optics.vectorial or ranges.fixed_dipoles,
        fine_per_px=2,
        # Phase masks have jumps: of the light of a double helix 3 % lie in other pixels than those
        # of the simulated microscope with 48 points, and 5 % with 32.
        points=32 if optics.mask is None else 48,
    )


def moments_of(dipole: Tensor) -> Tensor:
    """Return xx, yy, xy, xz, yz of dipoles, (..., 5), of their unit vectors, (..., 3)."""
    x, y, z = dipole.unbind(-1)
    return torch.stack([x * x, y * y, x * y, x * z, y * z], dim=-1)


class BoxSampler:
    """Training boxes: light, background and noise are drawn anew at every call, the PSFs in turns.

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
        self.layer = layer_of(ranges, optics).to(device)
        self.device = device
        self._pool = max(1, _POOL_PX // ranges.box_px**2)
        self._maxima = _maxima_of(self._planes()) if ranges.maximum_fraction > 0.0 else None
        self._kept: Spots
        self._n_kept, self._next, self._is_full = 0, 0, False

    @torch.no_grad()
    def __call__(self, n: int, generator: torch.Generator, crowding: float = 1.0) -> Boxes:
        """Return n boxes; the crowding is without effect."""
        del crowding
        ranges, draw = self.ranges, Draw(n, generator)
        spots = self.spots(n, generator)
        light = draw.log_uniform(ranges.photons)
        share = draw.uniform((0.2, 1.0)) * draw.chance(ranges.neighbour_fraction)
        mean = light[:, None, None] * (spots.image + share[:, None, None] * spots.neighbour)
        background = draw.log_uniform(ranges.background)
        mean = mean + background[:, None, None] * _ramp(ranges, draw)
        photons, variance = _at_edges(ranges, draw, *measure_boxes(ranges, draw, mean))
        return Boxes(
            photons[:, None], variance[:, None], spots.x_px, spots.y_px, spots.z_nm, light,
            background, spots.amplitudes_nm, spots.dipole if ranges.fixed_dipoles else None,
        )  # fmt: skip

    @torch.no_grad()
    def _planes(self) -> Tensor:
        """Return spots without further aberrations at evenly spaced depths, (planes, box, box)."""
        low, high = self.ranges.z_nm
        n = max(2, math.ceil((high - low) / _PLANE_NM) + 1)
        z_nm = torch.linspace(low, high, n, device=self.device)
        zero = torch.zeros_like(z_nm)
        spots: Tensor = self.layer(zero, zero, z_nm)
        return spots

    def _maxima_at(self, maxima: Tensor, z_nm: Tensor, draw: Draw) -> Tensor:
        """Return where one of the maxima of each spot lies, x and y from its middle, (n, 2)."""
        low, high = self.ranges.z_nm
        plane = ((z_nm - low) / (high - low) * (len(maxima) - 1)).round().long()
        side = self.ranges.box_px
        # The largest of random numbers; those of what is no maximum are 0.
        score = 1.0 - draw.uniform((0.0, 1.0), side * side)
        at = (maxima[plane].flatten(1) * score).argmax(dim=1)
        return torch.stack([at % side, at // side], dim=1) - (side - 1) / 2.0

    def spots(self, n: int, generator: torch.Generator) -> Spots:
        """Return n spots: new ones, and once there are many of those that were kept."""
        is_full = self._is_full
        new = self._render(max(1, n // _FRESH) if is_full else n, generator)
        self._keep(new.take(slice(0, self._pool)))
        if not is_full:
            return new
        chosen = torch.randint(self._n_kept, (n,), generator=generator, device=generator.device)
        return self._kept.take(chosen)

    def _keep(self, new: Spots) -> None:
        """Keep spots in place of the oldest."""
        if not self._n_kept:
            self._kept = new.room_for(self._pool)
        n_new = len(new.x_px)
        if self._next + n_new > self._pool:
            self._next, self._is_full = 0, True
        self._kept.replace(self._next, new)
        self._next += n_new
        self._n_kept = max(self._n_kept, self._next)

    def _render(self, n: int, generator: torch.Generator) -> Spots:
        ranges, draw = self.ranges, Draw(n, generator)
        is_far = draw.chance(ranges.far_fraction)
        reach_px = torch.where(is_far, ranges.far_px, ranges.offset_px)
        x_px, y_px = (reach_px[:, None] * draw.uniform((-1.0, 1.0), 2)).unbind(1)
        z_nm = draw.uniform(ranges.z_nm)
        amplitudes_nm = ranges.aberration_nm * draw.normal(len(ranges.modes)).clamp(-2.5, 2.5)
        dipole = _draw_dipoles(draw)
        fixed = dipole if ranges.fixed_dipoles else None
        if self._maxima is not None:
            is_chosen = draw.chance(ranges.maximum_fraction)
            right_px, down_px = self._maxima_at(self._maxima, z_nm, draw).unbind(1)
            x_px, y_px = x_px - is_chosen * right_px, y_px - is_chosen * down_px
        angle = draw.uniform((0.0, 2.0 * torch.pi))
        distance = draw.uniform((0.25, 0.75)) * ranges.box_px
        beside = (distance * torch.cos(angle), distance * torch.sin(angle))
        return Spots(
            image=self.layer(x_px, y_px, z_nm, amplitudes_nm, dipole=fixed),
            neighbour=self.layer(*beside, draw.uniform(ranges.z_nm), amplitudes_nm),
            x_px=x_px,
            y_px=y_px,
            z_nm=z_nm,
            amplitudes_nm=amplitudes_nm,
            dipole=dipole,
        )


def _draw_dipoles(draw: Draw) -> Tensor:
    direction = draw.normal(3)
    direction = torch.nn.functional.normalize(direction, dim=1)
    # Both ends of a dipole look the same.
    return direction.where(direction[:, 2:] >= 0.0, -direction)


def _maxima_of(spots: Tensor) -> Tensor:
    """Return where each spot has a maximum at least half as high as its highest, same shape."""
    smooth = torch.nn.functional.avg_pool2d(spots, 3, stride=1, padding=1)
    highest = torch.nn.functional.max_pool2d(smooth, 5, stride=1, padding=2)
    return (smooth == highest) & (smooth > 0.5 * smooth.amax(dim=(1, 2), keepdim=True))


def _ramp(ranges: BoxRanges, draw: Draw) -> Tensor:
    """Return the background relative to its level in the middle, (n, box, box)."""
    side = torch.linspace(-1.0, 1.0, ranges.box_px, device=draw.device)
    along_x, along_y = draw.uniform((-ranges.slope, ranges.slope), 2, 1, 1).unbind(1)
    return (1.0 + along_x * side + along_y * side[:, None]).clamp(min=0.05)


def measure_boxes(ranges: BoxRanges, draw: Draw, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Return noisy boxes and their read variance, in photons and photons²."""
    counts = poisson(mean, draw)
    emccd = draw.chance(ranges.emccd_fraction)
    chosen = emccd.nonzero().squeeze(1)
    counts[chosen] = multiply(counts[chosen], draw)
    side = ranges.box_px
    read_e = draw.log_uniform(ranges.read_noise_e, 1, 1) * torch.exp(0.2 * draw.normal(side, side))
    read_e = torch.where(emccd[:, None, None], torch.full_like(read_e, 0.25), read_e)
    return counts + read_e * draw.normal(side, side), read_e.square()


def _at_edges(
    ranges: BoxRanges, draw: Draw, photons: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Return boxes of which some reach beyond the frame, as they are cut where it ends."""
    last = ranges.box_px - 1
    middle = ranges.box_px // 2
    # On one side along each axis; most often along one of the two alone.
    beyond = (draw.uniform((0.0, 1.0), 2) * middle).long() * draw.chance(0.6, 2)
    beyond = beyond * draw.chance(ranges.edge_fraction)[:, None]
    is_low = draw.chance(0.5, 2)
    at = torch.arange(ranges.box_px, device=draw.device)
    low = torch.where(is_low, beyond, 0)[..., None]
    high = torch.where(is_low, last, last - beyond)[..., None]
    rows, columns = at.clamp(low, high).unbind(1)
    box = torch.arange(draw.n, device=draw.device)[:, None, None]
    chosen = (box, rows[:, :, None], columns[:, None])
    return photons[chosen], variance[chosen]
