"""A phase mask learned together with the network that reads its frames.

Nehme et al., Nat. Methods 17, 734 (2020): emitters become frames by Fourier optics, the frames
become volumes by a small network, and the loss of the volumes is led back through both, to the
mask. Shot noise is a Gaussian of the same variance, as a Poisson draw has no slope. The mask here
is a sum of Zernike modes rather than free pixels: smooth, and learned in minutes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rtsmlm.models.deepstorm3d.design_network import SIZES, DesignNetwork, DesignSettings
from rtsmlm.models.simulation.mask_scenes import Scenes, light_of
from rtsmlm.models.simulation.pupil_layer import Mode, PupilLayer
from rtsmlm.models.training.recipe import Recipe

HIGHEST_ORDER = 9
"""Radial order of the mask's finest modes."""
MODES: tuple[Mode, ...] = tuple(
    (n, m) for n in range(2, HIGHEST_ORDER + 1) for m in range(-n, n + 1, 2)
)
"""All but those that only shift light or spots."""
GAIN_RAD = 4.0
"""Radians of a parameter of one: the mask steps at the rate of the weights, times this."""
INPUT_PHOTONS = 100.0
"""Light that is about one at the network's input."""
POINTS = 48
FINE_PER_PX = 2


class LearnedMask(nn.Module):
    """Frames of scenes through a mask that is a parameter, and the network that reads them.

    Parameters
    ----------
    recipe
        Optics with the mask that it starts from, depths, and side of spots (`psf.box_px`).
    settings
        Size of the network.
    """

    def __init__(self, recipe: Recipe, settings: DesignSettings) -> None:
        super().__init__()
        self.settings = settings
        optics = recipe.optics
        self.side = recipe.simulation.crop_px
        self.pupil = PupilLayer(
            optics.optics(),
            pixel_nm=optics.pixel_nm,
            box_px=recipe.psf.box_px,
            modes=MODES,
            vectorial=optics.vectorial,
            fine_per_px=FINE_PER_PX,
            points=POINTS,
        )
        self.mask = nn.Parameter(torch.zeros(len(MODES)))
        self.network = DesignNetwork(settings)

    def mask_rad(self) -> Tensor:
        """Return what is learned of the mask, radians on the pupil of the layer."""
        return torch.einsum("k,kij->ij", GAIN_RAD * self.mask, self.pupil.zernikes)

    def light(self, scenes: Scenes) -> Tensor:
        """Return the expected photons per pixel, (n, side, side), without background."""
        column, row = scenes.x_px.round(), scenes.y_px.round()
        share = self.pupil(
            scenes.x_px - column, scenes.y_px - row, scenes.z_nm, mask_rad=self.mask_rad()
        )
        return light_of(scenes, share, self.side)

    def frames(self, scenes: Scenes) -> Tensor:
        """Return frames in photons with their noise, (n, 1, side, side)."""
        with torch.autocast(scenes.x_px.device.type, enabled=False):
            mean = self.light(scenes) + scenes.background[:, None, None]
            return (mean + mean.sqrt() * scenes.noise)[:, None]

    def forward(self, scenes: Scenes) -> Tensor:
        """Return the volumes of scenes, (n, slices, side, side)."""
        volumes: Tensor = self.network(self.frames(scenes) / INPUT_PHOTONS)
        return volumes


def build(recipe: Recipe) -> LearnedMask:
    """Return a mask that is not learned yet, with a fresh network."""
    return LearnedMask(recipe, SIZES[recipe.network.size])
