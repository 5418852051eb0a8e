"""Cramér-Rao bounds of boxes: how well light, noise and PSF allow their quantities to be known.

The PSF is the one that boxes are drawn with (`rtsmlm.models.simulation.boxes`), so that a network
that was trained on them is measured by what its data allow.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from rtsmlm.models.simulation.box_ranges import BoxRanges
from rtsmlm.models.simulation.boxes import Boxes, layer_of, moments_of
from rtsmlm.models.simulation.optics import OpticsSection
from rtsmlm.models.simulation.pupil_layer import PupilLayer

STEP_PX, STEP_Z_NM, STEP_MODE_NM, STEP_TURN = 0.02, 4.0, 0.5, 0.01
"""Of central differences: small beside a PSF, large beside the rounding of single precision."""
CHUNK = 128


@torch.no_grad()
def box_bounds(
    boxes: Boxes,
    ranges: BoxRanges,
    optics: OpticsSection,
    *,
    knows_aberrations: bool = False,
    excess_noise: float = 1.0,
) -> Tensor:
    """Return the smallest standard deviations of unbiased estimates, (n, quantities).

    Parameters
    ----------
    boxes
        True values and read variance; the noisy light in them is not looked at.
    ranges, optics
        What they were drawn from. The bounds are those of a flat background without neighbours.
    knows_aberrations
        The spread of the amplitudes is known beforehand, as a network knows it from its training.
        That is the bound of van Trees, which holds for the mean over boxes. Not given takes all
        quantities for unknown.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.

    Returns
    -------
    :
        In the order and the units of `rtsmlm.models.box_parameters.quantities.quantities_of`: x and
        y in pixels, z in nm, photons, photons per pixel, amplitudes in nm, moments of a dipole.
    """
    layer = layer_of(ranges, optics).to(boxes.x_px.device)
    spread_nm = ranges.aberration_nm if knows_aberrations else 0.0
    edges = [*range(0, len(boxes.x_px), CHUNK), len(boxes.x_px)]
    chunks = [boxes.take(slice(start, stop)) for start, stop in pairwise(edges)]
    return torch.cat([_bounds(chunk, layer, spread_nm, excess_noise) for chunk in chunks])


def _bounds(boxes: Boxes, layer: PupilLayer, spread_nm: float, excess_noise: float) -> Tensor:
    spot, *slopes = _spot_and_slopes(boxes, layer)
    light = boxes.light.double()[:, None, None]
    slopes = [light * slope for slope in slopes]
    # Light and background are fourth and fifth of the quantities.
    jacobian = torch.stack([*slopes[:3], spot, torch.ones_like(spot), *slopes[3:]], dim=1)
    mean = light * spot + boxes.background[:, None, None]
    variance = excess_noise * mean + boxes.read_variance[:, 0]
    jacobian = jacobian.flatten(2)
    information = (jacobian / variance.flatten(1)[:, None]) @ jacobian.transpose(1, 2)
    n_modes = boxes.amplitudes_nm.shape[1]
    if spread_nm > 0.0:
        modes = torch.arange(5, 5 + n_modes)
        information[:, modes, modes] += spread_nm**-2
    covariance = torch.linalg.inv(information)
    if boxes.dipole is not None:
        covariance = _by_moments(covariance, boxes.dipole.double())
    variances: Tensor = covariance.diagonal(dim1=1, dim2=2)
    return variances.clamp(min=0.0).sqrt()


def _spot_and_slopes(boxes: Boxes, layer: PupilLayer) -> list[Tensor]:
    """Return the image of one photon, and its slopes by x, y, z, amplitudes and turns."""
    n_modes = boxes.amplitudes_nm.shape[1]
    steps = [STEP_PX, STEP_PX, STEP_Z_NM, *[STEP_MODE_NM] * n_modes]
    if boxes.dipole is not None:
        steps += [STEP_TURN, STEP_TURN]
    image = _image_of(boxes, layer, n_modes)
    zero = torch.zeros(len(boxes.x_px), len(steps), device=boxes.x_px.device)
    found = [image(zero)]
    for k, step in enumerate(steps):
        moved = zero.clone()
        moved[:, k] = step
        found.append((image(moved) - image(-moved)) / (2.0 * step))
    return found


def _image_of(boxes: Boxes, layer: PupilLayer, n_modes: int) -> Callable[[Tensor], Tensor]:
    """Return the image of one photon as a function of what is changed about the boxes."""

    def image(change: Tensor) -> Tensor:
        x, y, z = change[:, :3].unbind(1)
        dipole = boxes.dipole
        if dipole is not None:
            turned = dipole + torch.einsum("nk,nki->ni", change[:, -2:], _tangents(dipole))
            dipole = torch.nn.functional.normalize(turned, dim=1)
        spot: Tensor = layer(
            boxes.x_px + x,
            boxes.y_px + y,
            boxes.z_nm + z,
            boxes.amplitudes_nm + change[:, 3 : 3 + n_modes],
            dipole=dipole,
        )
        return spot.double()

    return image


def _tangents(dipole: Tensor) -> Tensor:
    """Return two unit vectors that are perpendicular to each dipole, (n, 2, 3)."""
    least = torch.nn.functional.one_hot(dipole.abs().argmin(dim=1), 3).to(dipole.dtype)
    first = torch.nn.functional.normalize(torch.linalg.cross(dipole, least), dim=1)
    return torch.stack([first, torch.linalg.cross(dipole, first)], dim=1)


def _by_moments(covariance: Tensor, dipole: Tensor) -> Tensor:
    """Return the covariance with the moments of dipoles in place of their two turns."""
    tangents = _tangents(dipole)
    step = 1e-4
    ahead, behind = (moments_of(dipole[:, None] + s * tangents) for s in (step, -step))
    slopes = (ahead - behind) / (2.0 * step)  # (n, 2 turns, 5 moments)
    n_kept = covariance.shape[1] - 2
    change = torch.zeros(len(dipole), n_kept + slopes.shape[2], n_kept + 2).to(covariance)
    change[:, range(n_kept), range(n_kept)] = 1.0
    change[:, n_kept:, n_kept:] = slopes.transpose(1, 2)
    return change @ covariance @ change.transpose(1, 2)
