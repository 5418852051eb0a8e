"""Movies of which nothing is known but the frames: wrong pixels, gain and dark value are found.

Localizers are given what `rtsmlm reconstruct` makes of such a movie: mended frames, and the
calibration that it takes from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from rtsmlm.bench.accuracy import figures
from rtsmlm.bench.accuracy.measure import Check, Goal, Limit
from rtsmlm.bench.accuracy.scenes import PIXEL_NM, Emitters, Scene
from rtsmlm.calibration import CameraCalibration
from rtsmlm.files.camera_maps import DEFAULTS
from rtsmlm.fitting.mending import PixelMender
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.physics.psf import GaussianPsf
from rtsmlm.pipeline.camera_look import CameraLook
from rtsmlm.settings.camera import CameraSettings

Rngs: TypeAlias = Iterator[np.random.Generator]

UNKNOWN = "Cameras of which nothing is known"
SIDE_PX = 128
N_FRAMES = 96
ON_FRAMES = 4
"""That an emitter shines."""
SIGMA_PX, PHOTONS, BACKGROUND, READ_E = 1.1, 2000.0, 20.0, 1.6
HOT_PHOTONS = (20.0, 2000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A movie, and what is asked of it."""

    title: str
    per_um2: float = 0.5
    e_per_adu: float = 1.0
    offset_adu: float = 100.0
    highest: int = 65535
    hot: float = 0.0
    """Part of the pixels that are hot."""
    uneven: float = 0.0
    """Amplitude of the background across the frame, relative to its mean."""
    aim: float


MOVIES = (
    Unknown(title="0.3 % hot pixels", per_um2=0.2, hot=0.003, aim=0.9),
    Unknown(title="0.46 electrons per ADU", e_per_adu=0.46, aim=0.9),
    Unknown(title="0.46 electrons per ADU, dark value 10", e_per_adu=0.46, offset_adu=10, aim=0.9),
    Unknown(title="8 bits", e_per_adu=8.0, offset_adu=5.0, highest=255, aim=0.85),
    Unknown(title="background from 4 to 36", uneven=0.8, aim=0.92),
)


def movie_checks(rngs: Rngs) -> list[Check]:
    """Return the checks on cameras of which nothing is known; `rngs` has one for each movie."""
    return [
        Check(
            section=UNKNOWN,
            condition=f"{movie.title}, {movie.per_um2:g} per um2",
            scene=partial(unknown_scene, next(rngs), movie),
            score=figures.crowd,
            goals=(
                Goal(figure=figures.JACCARD, aim=Limit(low=movie.aim)),
                Goal(figure=figures.RMSE),
            ),
            peers=False,  # they would profit from frames that we have mended
        )
        for movie in MOVIES
    ]


def unknown_scene(rng: np.random.Generator, movie: Unknown) -> Scene:
    """Return a movie as localizers see it once its camera was found on its frames.

    Parameters
    ----------
    rng
        Draws all.
    movie
        What it is like.
    """
    raw, truth = recorded(rng, movie)
    assumed = CameraCalibration(
        pixel_nm=PIXEL_NM,
        offset_adu=DEFAULTS["offset_adu"],
        e_per_adu=DEFAULTS["e_per_adu"],
        read_noise_e=DEFAULTS["read_noise_e"],
    )
    look = CameraLook(
        assumed,
        CameraSettings(),
        ("offset_adu", "e_per_adu"),
        (SIDE_PX, SIDE_PX),
        most_frames=len(raw),
    )
    calibration = look.find(raw).calibration
    pixels = PixelMender(calibration)(raw)
    return Scene(
        batch=FrameBatch.from_pixels(pixels),
        truth=truth.table(),
        calibration=calibration,
        sigma_nm=SIGMA_PX * PIXEL_NM,
    )


def recorded(rng: np.random.Generator, movie: Unknown) -> tuple[Pixels, Emitters]:
    """Return the raw frames of blinking emitters, and these."""
    shape, psf = (SIDE_PX, SIDE_PX), GaussianPsf(SIGMA_PX)
    low, high = -5.0, SIDE_PX + 4.0
    n = round(movie.per_um2 * ((high - low) * PIXEL_NM / 1000.0) ** 2)
    across = np.cos(np.pi * np.arange(SIDE_PX) / SIDE_PX)
    under = BACKGROUND * (1.0 + movie.uneven * np.outer(across, across))
    dim, bright = np.log(HOT_PHOTONS).tolist()
    hot = np.exp(rng.uniform(dim, bright, shape)) * (rng.random(shape) < movie.hot)
    pixels = np.empty((N_FRAMES, *shape), dtype=np.uint16)
    parts: list[Emitters] = []
    x, y = rng.uniform(low, high, (2, n))
    for k in range(N_FRAMES):
        changed = rng.random(n) < 1.0 / ON_FRAMES
        x[changed], y[changed] = rng.uniform(low, high, (2, int(changed.sum())))
        light = np.full(n, PHOTONS)
        parts.append(
            Emitters(
                frame=np.full(n, k), x_px=x.copy(), y_px=y.copy(), z_nm=np.zeros(n), photons=light
            )
        )
        mean = (under + hot).astype(np.float32)
        psf.render(mean, x, y, np.zeros(n), light)
        adu = (rng.poisson(mean) + READ_E * rng.standard_normal(shape)) / movie.e_per_adu
        pixels[k] = np.clip(np.rint(adu + movie.offset_adu), 0, movie.highest)
    names = ("frame", "x_px", "y_px", "z_nm", "photons")
    together = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return pixels, Emitters(**together)
