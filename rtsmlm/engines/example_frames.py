"""Simulated frames like those a model was trained for, with the PSF of its condition."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from rtsmlm.frames import FrameBatch
from rtsmlm.models.architecture import NetworkModel
from rtsmlm.models.psf_condition import KNOTS, REFERENCE_SIGMA_PX

OFFSET_ADU = 100
DENSITY_PX = 0.004
"""Emitters per pixel: 0.4 per µm² at a pixel of 100 nm."""


def example_frames(model: NetworkModel, n_frames: int, side_px: int) -> FrameBatch:
    """Return frames of one photon per ADU, from dim to bright, always the same ones.

    Parameters
    ----------
    model
        Its valid ranges of photons and background are covered.
    n_frames, side_px
        Number and side of the frames.
    """
    rng = np.random.default_rng(0)
    valid = model.manifest.valid
    logs = (math.log(valid.photons[0]), math.log(valid.photons[1]))
    n = int(DENSITY_PX * side_px**2)
    backgrounds = np.geomspace(max(valid.background[0], 1.0), valid.background[1], n_frames)
    pixels = np.empty((n_frames, side_px, side_px), dtype=np.uint16)
    for frame, background in zip(pixels, rng.permutation(backgrounds), strict=True):
        photons = np.exp(rng.uniform(*logs, n))
        widths_x, widths_y = _widths_px(model, rng.uniform(-1.0, 1.0, n))
        along_x = _integrals(rng.uniform(0, side_px, n), widths_x, side_px)
        along_y = _integrals(rng.uniform(0, side_px, n), widths_y, side_px)
        mean = np.einsum("k,ky,kx->yx", photons, along_y, along_x) + background
        frame[:] = np.minimum(rng.poisson(mean) + OFFSET_ADU, np.iinfo(np.uint16).max)
    return FrameBatch.from_pixels(pixels)


def _widths_px(
    model: NetworkModel, z: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    condition = np.exp(model.psf.condition[0, :-1].astype(np.float64)) * REFERENCE_SIGMA_PX
    if len(condition) == 1:  # a width alone, whether or not the model finds z by itself
        round_px = np.full(len(z), condition[0])
        return round_px, round_px
    along_x, along_y = np.split(condition, 2)
    return np.interp(z, KNOTS, along_x), np.interp(z, KNOTS, along_y)


def _integrals(
    center_px: NDArray[np.float64], sigma_px: NDArray[np.float64], side_px: int
) -> NDArray[np.float64]:
    """Return the light of Gaussians in each pixel of a line, (n, side)."""
    edges = np.arange(side_px + 1) - 0.5
    z = (edges - center_px[:, None]) / (np.sqrt(2.0) * sigma_px[:, None])
    light: NDArray[np.float64] = np.diff(0.5 * erf(z), axis=1)
    return light
