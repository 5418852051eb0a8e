"""Frames of two views with emitters at known places, for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.frames import FrameBatch
from rtsmlm.physics.psf import GaussianPsf
from rtsmlm.physics.spectra import DYES, dichroic, split_fractions
from rtsmlm.physics.transforms import PlaneTransform
from rtsmlm.settings.channels import ChannelsSettings, ViewSettings

SIGMA_PX = 1.3
TO_FIRST = PlaneTransform(
    (2.3, 1.006, -0.012, 1.5e-5, -1e-5, 2e-5), (-3.6, 0.013, 1.004, -1e-5, 2e-5, 1e-5)
)
CALIBRATION = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, read_noise_e=1.6)


@dataclass(frozen=True)
class Scene:
    """Frames and what is in them, by frame."""

    batch: FrameBatch
    places_px: np.ndarray
    """In the first view, shape (frames, emitters, 2)."""
    dye: np.ndarray
    """Shape (frames, emitters)."""


class TwoColours:
    """Draws emitters of two dyes in both views, one in each cell of a grid."""

    sigma_nm = 100.0 * SIGMA_PX
    calibration = CALIBRATION
    shape = (96, 192)

    def __init__(self) -> None:
        mirror = dichroic(685.0)
        self.fractions = tuple(split_fractions(DYES[name], mirror) for name in ("AF647", "CF680"))
        self.channels = ChannelsSettings(
            names=("AF647", "CF680"),
            views=(
                ViewSettings(name="short", region=(0, 0, 96, 96)),
                ViewSettings(name="long", region=(96, 0, 96, 96), x=TO_FIRST.x, y=TO_FIRST.y),
            ),
            fractions=self.fractions,
        )
        views = self.channels.layout()
        assert views is not None
        self.views = views

    def draw(
        self,
        rng: np.random.Generator,
        n_frames: int,
        photons: float,
        background: float = 2.5,
        only: int | None = None,
    ) -> Scene:
        """Return frames; `background` is that of each view, `only` the one dye that there is."""
        at = np.arange(14.0, 84.0, 13.0)
        grid = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
        places = grid + rng.uniform(-2.0, 2.0, (n_frames, *grid.shape))
        dye = rng.integers(0, 2, places.shape[:2])
        dye[:] = dye if only is None else only
        image = np.full((n_frames, *self.shape), background, dtype=np.float32)
        psf, shares = GaussianPsf(SIGMA_PX), np.array(self.fractions)
        for frame in range(n_frames):
            for k, view in enumerate(self.views):
                part = np.zeros(view.shape, dtype=np.float32)
                x, y = np.ascontiguousarray(view.from_first(places[frame]).T)
                light = photons * shares[dye[frame], k]
                psf.render(part, x, y, np.zeros(len(x)), np.ascontiguousarray(light))
                left, top, width, height = view.region
                image[frame, top : top + height, left : left + width] += part
        light = rng.poisson(image) + rng.normal(0.0, 1.6, image.shape) + 100.0
        pixels = np.clip(np.rint(light), 0, 65535).astype(np.uint16)
        return Scene(FrameBatch.from_pixels(pixels), places, dye)


@pytest.fixture(scope="session")
def two_colours() -> TwoColours:
    return TwoColours()
