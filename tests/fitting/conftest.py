"""Simulated boxes and frames for the fits, with the three kinds of camera noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erf

from rtsmlm.calibration import CameraCalibration
from rtsmlm.frames import FrameBatch
from rtsmlm.physics.gaussian import render_spots

EM_GAIN, E_PER_ADU, READ_NOISE_E = 300.0, 45.0, 74.4


@dataclass(frozen=True)
class Boxes:
    """Boxes in photons with their truth."""

    photons: NDArray[np.float32]
    variance: NDArray[np.float32]
    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]
    excess_noise: float

    @property
    def start(self) -> NDArray[np.float32]:
        n, box, _ = self.photons.shape
        return np.full(n, (box - 1) / 2, dtype=np.float32)


def _integrals(center_px: NDArray[np.float64], sigma_px: float, box_px: int) -> NDArray[np.float64]:
    edges = np.arange(box_px + 1) - 0.5 - center_px[:, None]
    return np.diff(0.5 * erf(edges / (np.sqrt(2) * sigma_px)))


@pytest.fixture
def make_boxes(rng: np.random.Generator) -> Callable[..., Boxes]:
    """Return a function that makes boxes of one emitter each, anywhere in the middle pixel."""

    def make(
        n: int,
        photons: float,
        background: float,
        sigma_px: float | tuple[float, float],
        box_px: int,
        camera: str,
    ) -> Boxes:
        sigma_x_px, sigma_y_px = np.broadcast_to(sigma_px, 2)
        middle = (box_px - 1) / 2
        x_px, y_px = middle + rng.uniform(-0.5, 0.5, (2, n))
        along_x = _integrals(x_px, sigma_x_px, box_px)[:, None, :]
        along_y = _integrals(y_px, sigma_y_px, box_px)[:, :, None]
        mean = photons * along_x * along_y + background
        variance = np.zeros(mean.shape)
        if camera == "poisson":
            light = rng.poisson(mean).astype(np.float64)
        elif camera == "emccd":
            electrons = rng.gamma(np.maximum(rng.poisson(mean), 1e-9), EM_GAIN)
            electrons += rng.normal(0, READ_NOISE_E, mean.shape)
            # The dark value of a converter that cuts off decimals is half a unit lower.
            adu = np.floor(electrons / E_PER_ADU) + 100.0
            light = (adu - 99.5) * E_PER_ADU / EM_GAIN
            variance += (READ_NOISE_E**2 + E_PER_ADU**2 / 12) / EM_GAIN**2
        else:
            offset_adu = 100 + rng.normal(0, 1.8, mean.shape)
            adu_per_e = rng.normal(2.1, 0.03, mean.shape)
            noise_e = np.minimum(1.38 * (1 + rng.pareto(2.7, mean.shape)), 40.0)
            adu = rng.poisson(mean) * adu_per_e + rng.normal(offset_adu, noise_e * adu_per_e)
            light = (np.rint(adu) - offset_adu) / adu_per_e
            variance += noise_e**2 + 1 / 12 / adu_per_e**2
        return Boxes(
            photons=light.astype(np.float32),
            variance=variance.astype(np.float32),
            x_px=x_px,
            y_px=y_px,
            excess_noise=2.0 if camera == "emccd" else 1.0,
        )

    return make


@dataclass(frozen=True)
class Movie:
    """Raw frames with their truth."""

    batch: FrameBatch
    calibration: CameraCalibration
    x_px: NDArray[np.float64]
    """Shape (frames, emitters)."""
    y_px: NDArray[np.float64]


@pytest.fixture
def make_movie(rng: np.random.Generator) -> Callable[..., Movie]:
    """Return a function that makes frames with emitters on a grid, none of which overlap."""

    def make(
        n_frames: int = 4,
        *,
        photons: float = 1000.0,
        background: float = 10.0,
        sigma_px: float = 1.3,
        size_px: int = 96,
        pitch_px: float = 16.0,
        pixel_nm: float = 100.0,
        read_noise_e: float | NDArray[np.float32] = 1.6,
    ) -> Movie:
        ticks = np.arange(pitch_px / 2, size_px - pitch_px / 4, pitch_px)
        grid_y, grid_x = (g.ravel() for g in np.meshgrid(ticks, ticks, indexing="ij"))
        x_px = grid_x + rng.uniform(-1, 1, (n_frames, grid_x.size))
        y_px = grid_y + rng.uniform(-1, 1, (n_frames, grid_y.size))
        shape = (size_px, size_px)
        mean = np.stack(
            [
                render_spots(shape, x, y, photons, sigma_px, background)
                for x, y in zip(x_px, y_px, strict=True)
            ]
        )
        adu = rng.poisson(mean) / 0.5 + 100 + rng.normal(0, 1, mean.shape) * read_noise_e / 0.5
        pixels = np.clip(np.rint(adu), 0, 65535).astype(np.uint16)
        calibration = CameraCalibration(
            pixel_nm=pixel_nm, offset_adu=100.0, e_per_adu=0.5, read_noise_e=read_noise_e
        )
        return Movie(FrameBatch.from_pixels(pixels), calibration, x_px, y_px)

    return make
