"""Frames drawn again from the maps of the flagship, and how likely the real ones are then.

What is drawn are the candidates of the decoder: pixels more probable than those around, each with
the probability of all nine. Their light counts with it, and what is not sure of it is noise. The
PSF is a sum of Gaussians whose parameters may be learned.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsmlm.models.flagship.maps import BACKGROUND_CHANNEL, Map
from rtsmlm.models.flagship.maps_on_device import background_of, photons_of
from rtsmlm.models.rows import DEFAULTS
from rtsmlm.models.simulation.scenes import pixel_integrals

LEAST_PROBABILITY = 0.1
"""Candidates below it are not drawn: dark frames are full of them."""
BOX_PX = 15
LEAST_VARIANCE = 0.5
RELATIVE_WIDTHS = (1.0, 0.75, 1.9)
WEIGHTS = (0.9, 0.05, 0.05)
"""Of the Gaussians at the start: one of the width that is known, and a core and a halo."""


class LearnedPsf(nn.Module):
    """A PSF in the plane: three Gaussians with their centre of light at the emitter.

    Parameters
    ----------
    sigma_px
        Standard deviation from which it starts.
    """

    def __init__(self, sigma_px: float) -> None:
        super().__init__()
        n = len(RELATIVE_WIDTHS)
        widths = torch.tensor([[math.log(sigma_px * factor)] * 2 for factor in RELATIVE_WIDTHS])
        self.log_widths = nn.Parameter(widths)
        """Of each Gaussian, along x and y, (3, 2)."""
        self.logits = nn.Parameter(torch.tensor(WEIGHTS).log())
        self.places_px = nn.Parameter(torch.zeros(n, 2))

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return weights (3,), places (3, 2) and widths (3, 2) in pixels."""
        weights = torch.softmax(self.logits, dim=0)
        places = self.places_px - (weights[:, None] * self.places_px).sum(dim=0)
        return weights, places, self.log_widths.clamp(-1.2, 2.0).exp()

    def forward(self, dx_px: Tensor, dy_px: Tensor, box_px: int) -> Tensor:
        """Return spots of one photon, (m, box, box).

        Parameters
        ----------
        dx_px, dy_px
            Places from the middle of the box, (m,).
        box_px
            Its side.
        """
        weights, places, widths = self.parts()
        middle = box_px // 2
        along_x, along_y = (
            pixel_integrals(
                middle + at[:, None] + places[:, axis],
                widths[:, axis].expand(len(at), -1),
                box_px,
            )
            for axis, at in enumerate((dx_px, dy_px))
        )
        return torch.einsum("j,mjy,mjx->myx", weights, along_y, along_x)

    @torch.no_grad()
    def sigma_px(self) -> float:
        """Return the width of the Gaussian that is nearest in least squares."""
        zero = torch.zeros(1)
        spot = self(zero, zero, BOX_PX)[0]
        tried = torch.arange(0.6, 3.5, 0.01)
        row = pixel_integrals(torch.full_like(tried, BOX_PX // 2), tried, BOX_PX)
        shapes = row[:, :, None] * row[:, None, :]
        overlap = (shapes * spot).sum(dim=(1, 2))
        left = spot.square().sum() - overlap.square() / shapes.square().sum(dim=(1, 2))
        return float(tried[left.argmin()])


def render(maps: Tensor, psf: LearnedPsf) -> tuple[Tensor, Tensor]:
    """Return the expected photons per pixel and the variance that the maps leave open.

    Parameters
    ----------
    maps
        Of a network for round PSFs, (n, channels, height / 2, width / 2).
    psf
        Image of a photon.

    Returns
    -------
    :
        Light with background, and the variance of emitters that may not be there, both
        (n, height, width).
    """
    slots = functional.pixel_shuffle(maps[:, :BACKGROUND_CHANNEL].float(), 2)
    n, _, height, width = slots.shape
    level = background_of(maps[:, BACKGROUND_CHANNEL].float())
    mean = functional.interpolate(level[:, None], scale_factor=2, mode="nearest")[:, 0]
    probability, chosen = _candidates(slots[:, Map.LOGIT])
    which, row, column = chosen.nonzero(as_tuple=True)
    p = probability[which, row, column]
    photons = photons_of(slots[which, Map.PHOTONS, row, column])
    dx, dy = (torch.tanh(slots[which, axis, row, column]) for axis in (Map.DX, Map.DY))
    spots = psf(dx, dy, BOX_PX)
    light = (p * photons)[:, None, None] * spots
    # Detached: a wide spot leaves less open, which says nothing of the PSF.
    unsure = (p * (1.0 - p) * photons.square())[:, None, None] * spots.detach().square()
    # A frame around the image takes what falls beyond its edges.
    half = BOX_PX // 2
    high, wide = height + 2 * half, width + 2 * half
    reach = torch.arange(BOX_PX, device=maps.device)
    place = (which * high + row)[:, None, None] + reach[:, None]
    place = (place * wide + column[:, None, None] + reach).flatten()

    def added(values: Tensor) -> Tensor:
        image = torch.zeros(n * high * wide, device=maps.device)
        image = image.index_add(0, place, values.flatten()).view(n, high, wide)
        return image[:, half:-half, half:-half]

    return mean + added(light), added(unsure)


def _candidates(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the probability of an emitter in each pixel, and which pixels are drawn.

    Pixels around share an emitter at a corner: drawn one by one each would be half an emitter that
    is not sure, and to state less light would be the way out.
    """
    p = torch.sigmoid(logits)
    near = 9.0 * functional.avg_pool2d(p[:, None], 3, stride=1, padding=1)[:, 0]
    around = functional.max_pool2d(logits.detach()[:, None], 3, stride=1, padding=1)[:, 0]
    highest = logits >= around
    probability = torch.where(highest, near.clamp(max=1.0), p)
    least = torch.where(highest, LEAST_PROBABILITY, DEFAULTS.split_probability)
    return probability, probability.detach() > least


def misfit(photons: Tensor, read_variance: Tensor, maps: Tensor, psf: LearnedPsf) -> Tensor:
    """Return the negative log-likelihood of frames given what was found in them, per pixel.

    Parameters
    ----------
    photons
        The frames, (n, height, width).
    read_variance
        In photons², (n or 1, height, width).
    maps, psf
        As `render` takes them.

    Notes
    -----
    Poisson noise of the drawn light as a normal density of that variance, with the read noise and
    with the variance p (1 - p) N² of every emitter that is not sure.
    """
    mean, unsure = render(maps, psf)
    variance = (mean + read_variance + unsure).clamp(min=LEAST_VARIANCE)
    return 0.5 * ((photons - mean).square() / variance + variance.log()).mean()
