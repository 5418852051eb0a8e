"""A phase mask learned together with the network that reads colours from its frames.

Hershko et al., Opt. Express 27, 6158 (2019): emitters become frames by Fourier optics, each colour
with its wavelength, the frames become images of each colour, and the loss is led back through
both, to the mask. The modulator's pattern is a path: its phase is inversely proportional to the
wavelength. Shot noise is a Gaussian of the same variance, as a Poisson draw has no slope.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from rtsmlm.models.hershko.network import SIZES, HershkoNetwork, NetworkSettings
from rtsmlm.models.simulation.mask_scenes import Scenes, light_of
from rtsmlm.models.simulation.pupil_layer import Mode, PupilLayer
from rtsmlm.models.training.recipe import Recipe

HIGHEST_ORDER = 7
"""Radial order of the mask's finest modes."""
MODES: tuple[Mode, ...] = tuple(
    (n, m) for n in range(2, HIGHEST_ORDER + 1) for m in range(-n, n + 1, 2)
)
"""All but those that only shift light or spots."""
GAIN_RAD = 4.0
"""Radians of a parameter of one: the mask steps at the rate of the weights, times this."""
FIRST_STD = 0.05
"""Of the parameters at first: a clear pupil is symmetric, and has no slope along odd modes."""
READ_VARIANCE = 2.0
"""Of the camera in photons²."""
POINTS = 40
FINE_PER_PX = 2


class LearnedColours(nn.Module):
    """Frames of scenes through a mask that is a parameter, and the network that reads them.

    Parameters
    ----------
    recipe
        Optics with the wavelength that the mask is stated for, colours, side of spots
        (`psf.box_px`).
    settings
        Size of the network.
    """

    def __init__(self, recipe: Recipe, settings: NetworkSettings) -> None:
        super().__init__()
        optics = recipe.optics
        self.side = recipe.simulation.crop_px
        self.box_px = recipe.psf.box_px
        self.design_nm = optics.wavelength_nm
        self.pupils = nn.ModuleList(
            PupilLayer(
                replace(optics.optics(), wavelength_nm=wavelength_nm),
                pixel_nm=optics.pixel_nm,
                box_px=self.box_px,
                modes=MODES,
                vectorial=optics.vectorial,
                fine_per_px=FINE_PER_PX,
                points=POINTS,
            )
            for wavelength_nm in recipe.colours.wavelengths_nm
        )
        self.mask = nn.Parameter(FIRST_STD * torch.randn(len(MODES)))
        self.network = HershkoNetwork(settings)

    def mask_rad(self, colour: int) -> Tensor:
        """Return the mask as light of a colour meets it, radians on the pupil of its layer."""
        pupil = self.pupil(colour)
        scale = GAIN_RAD * self.design_nm / pupil.wavelength_nm
        return torch.einsum("k,kij->ij", scale * self.mask, pupil.zernikes)

    def pupil(self, colour: int) -> PupilLayer:
        """Return the optics of a colour."""
        layer = self.pupils[colour]
        if not isinstance(layer, PupilLayer):
            raise TypeError(f"{type(layer).__name__} is no PupilLayer")
        return layer

    def light(self, scenes: Scenes) -> Tensor:
        """Return the expected photons per pixel, (n, side, side), without background."""
        share = torch.zeros(len(scenes.x_px), self.box_px, self.box_px, device=scenes.x_px.device)
        x, y = scenes.x_px - scenes.x_px.round(), scenes.y_px - scenes.y_px.round()
        for colour in range(len(self.pupils)):
            mine = (scenes.colour == colour).nonzero()[:, 0]
            spots = self.pupil(colour)(
                x[mine], y[mine], scenes.z_nm[mine], mask_rad=self.mask_rad(colour)
            )
            share = share.index_add(0, mine, spots)
        return light_of(scenes, share, self.side)

    def frames(self, scenes: Scenes) -> Tensor:
        """Return frames in photons with their noise, (n, 1, side, side)."""
        with torch.autocast(scenes.x_px.device.type, enabled=False):
            mean = self.light(scenes) + scenes.background[:, None, None]
            return (mean + (mean + READ_VARIANCE).sqrt() * scenes.noise)[:, None]

    def forward(self, scenes: Scenes) -> Tensor:
        """Return the images of scenes, (n, colours, 4 side, 4 side)."""
        frames = self.frames(scenes)
        images: Tensor = self.network(frames, torch.full_like(frames, READ_VARIANCE))
        return images


def build(recipe: Recipe) -> LearnedColours:
    """Return a mask that is not learned yet, with a fresh network for the colours of a recipe."""
    settings = SIZES[recipe.network.size]
    wanted = settings.model_copy(update={"colours": len(recipe.colours.names)})
    return LearnedColours(recipe, wanted)
