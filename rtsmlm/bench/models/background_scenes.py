"""Boxes on backgrounds with structure: each field of light is drawn once, its noise many times.

The mean error over the noise is what the background does to a fit, and never averages out in the
image of a structure that does not move; the spread is what noise does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rtsmlm.bench.accuracy.figures import Figures
from rtsmlm.bench.accuracy.scenes import F64
from rtsmlm.fitting import boxes
from rtsmlm.localizations import F32
from rtsmlm.physics.fisher import gaussian_crlb
from rtsmlm.physics.gaussian import render_spots
from rtsmlm.physics.perlin import perlin_noise

Chosen: TypeAlias = NDArray[np.bool_]
Shape: TypeAlias = Callable[[np.random.Generator], F64]
"""Draws a background over its level, (WIDE_PX, WIDE_PX), without the emitter."""

PHOTONS, LEVEL, SIGMA_PX, PIXEL_NM = 1000.0, 50.0, 1.3, 100.0
READ_VARIANCE = 1.0
WIDE_PX = 33
"""Side of the fields that a median over the surroundings is taken from."""
MEDIAN_PX = 11
"""Side of its window: twice as wide as a spot at a tenth of its height."""
REACH_PX = 0.5
LEAST = 0.05

PRECISION, PRECISION_BOUND = "x, y: spread, nm", "x, y: spread / CRLB"
BIAS, RMSE_BOUND = "x, y: bias, nm", "x, y: RMSE / CRLB"
LIGHT_SPREAD, LIGHT_BIAS = "photons: spread, %", "photons: bias, %"
LEVEL_RMSE, CONVERGED = "background: RMSE, %", "answered, %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Fields of light with an emitter in the middle of each, and their noisy images."""

    photons: F32
    """(fields, repeats, WIDE_PX, WIDE_PX)."""
    background: F64
    """Photons per pixel of all but the emitter, (fields, WIDE_PX, WIDE_PX)."""
    x_px: F64
    """From the middle, (fields,)."""
    y_px: F64


def flat(rng: np.random.Generator) -> F64:
    """Return a background without structure."""
    del rng
    return np.ones((WIDE_PX, WIDE_PX))


def perlin(rng: np.random.Generator) -> F64:
    """Return Perlin noise of several scales, its coarsest cells 6 to 24 pixels."""
    scale = float(np.exp(rng.uniform(np.log(6.0), np.log(24.0))))
    noise = perlin_noise((WIDE_PX, WIDE_PX), scale, rng, octaves=3)
    return 1.0 + 0.4 * noise


def gradient(rng: np.random.Generator) -> F64:
    """Return a slope of 6 % of the level per pixel in any direction."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    at = np.arange(WIDE_PX) - WIDE_PX // 2
    slope: F64 = 1.0 + 0.06 * (np.cos(angle) * at + np.sin(angle) * at[:, None])
    return slope


def haze(rng: np.random.Generator) -> F64:
    """Return a blurred cloud of 3 pixels, twice the level, whose flank meets the emitter."""
    x, y = WIDE_PX // 2 + rng.uniform(-5.0, 5.0, 2)
    at = np.arange(WIDE_PX)
    cloud: F64 = 1.0 + 2.0 * np.exp(-0.5 * (((at - x) / 3.0) ** 2 + ((at[:, None] - y) / 3.0) ** 2))
    return cloud


def neighbour(rng: np.random.Generator) -> F64:
    """Return the light of another emitter, 4.5 to 7 pixels away."""
    angle, apart = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(4.5, 7.0)
    middle = WIDE_PX // 2
    x, y = [middle + apart * np.cos(angle)], [middle + apart * np.sin(angle)]
    level = np.full((WIDE_PX, WIDE_PX), LEVEL)
    return render_spots((WIDE_PX, WIDE_PX), x, y, PHOTONS, SIGMA_PX, level) / LEVEL


KINDS: dict[str, Shape] = {
    "flat": flat,
    "Perlin noise": perlin,
    "slope": gradient,
    "haze": haze,
    "neighbour": neighbour,
}


def draw_fields(shape: Shape, rng: np.random.Generator, n: int, repeats: int) -> Fields:
    """Return fields of one kind of background.

    Parameters
    ----------
    shape
        Draws the background.
    rng
        Draws all.
    n, repeats
        Number of fields, and of images of each.
    """
    background = LEVEL * np.stack([np.maximum(shape(rng), LEAST) for _ in range(n)])
    x, y = rng.uniform(-REACH_PX, REACH_PX, (2, n))
    middle = WIDE_PX // 2
    mean = np.stack([
        render_spots(level.shape, [middle + a], [middle + b], PHOTONS, SIGMA_PX, level)
        for level, a, b in zip(background, x, y, strict=True)
    ])  # fmt: skip
    shown = np.broadcast_to(mean[:, None], (n, repeats, WIDE_PX, WIDE_PX))
    read = rng.normal(scale=READ_VARIANCE**0.5, size=shown.shape)
    photons = (rng.poisson(shown) + read).astype(np.float32)
    return Fields(photons=photons, background=background, x_px=x, y_px=y)


def inner(fields: F32 | F64, side: int) -> F64:
    """Return the middle of fields, (..., side, side)."""
    first = (WIDE_PX - side) // 2
    part = slice(first, first + side)
    return np.asarray(fields[..., part, part], dtype=np.float64)


def median_background(fields: Fields, side: int) -> F32:
    """Return the median of the surroundings of each pixel, (fields * repeats, side, side)."""
    window = (1, 1, MEDIAN_PX, MEDIAN_PX)
    found = ndimage.median_filter(fields.photons, window, mode="reflect")
    return inner(found, side).reshape(-1, side, side).astype(np.float32)


def background_figures(rows: F64, background: F32 | None, fields: Fields, side: int) -> Figures:
    """Return bias and spread of a fit, and the error of the background that it was given.

    Parameters
    ----------
    rows
        Table of `rtsmlm.fitting.boxes.fit_table`, field after field.
    background
        Given to it, (n, side, side); None where the fit took it for flat: what it found is meant.
    fields
        The truth.
    side
        Of the boxes, in pixels.
    """
    n, repeats = fields.photons.shape[:2]
    middle = (side - 1) / 2.0
    good = (rows[:, boxes.STATUS] == boxes.CONVERGED).reshape(n, repeats)
    dx, dy = (
        PIXEL_NM * (rows[:, column] - middle).reshape(n, repeats) - PIXEL_NM * truth[:, None]
        for column, truth in ((boxes.X, fields.x_px), (boxes.Y, fields.y_px))
    )
    light = 100.0 * (rows[:, boxes.PHOTONS].reshape(n, repeats) / PHOTONS - 1.0)
    bias_x, bias_y, bias_light = (_means(error, good) for error in (dx, dy, light))
    spread_x, spread_y, spread_light = (_spread(error, good) for error in (dx, dy, light))
    true = inner(fields.background, side)
    bound = PIXEL_NM * _bound_px(fields, true, side)
    spread = float(np.sqrt((spread_x**2 + spread_y**2) / 2.0))
    # A mean of so many images has noise of its own.
    square = np.mean(bias_x**2 + bias_y**2) / 2.0 - spread**2 / repeats
    bias = float(np.sqrt(max(square, 0.0)))
    given = rows[:, boxes.BACKGROUND, None, None] if background is None else background
    error = given.reshape(n, repeats, *given.shape[1:]) - true[:, None]
    return {
        LEVEL_RMSE: 100.0 * float(np.sqrt(np.mean(error**2))) / float(true.mean()),
        PRECISION: spread,
        PRECISION_BOUND: spread / bound,
        BIAS: bias,
        RMSE_BOUND: float(np.hypot(spread, bias)) / bound,
        LIGHT_SPREAD: spread_light,
        LIGHT_BIAS: float(np.sqrt(np.mean(bias_light**2))),
        CONVERGED: 100.0 * float(good.mean()),
    }


def _bound_px(fields: Fields, true: F64, side: int) -> float:
    """Return the bound per axis of a fit that knows the shape of the background, in pixels.

    What rises above the least value of a box is noise of known mean, like that of the read-out.
    """
    least = true.min(axis=(1, 2))
    middle = (side - 1) / 2.0
    bound = gaussian_crlb(
        PHOTONS, least, SIGMA_PX, box_px=side, x_px=middle + fields.x_px,
        y_px=middle + fields.y_px, read_variance=READ_VARIANCE + true - least[:, None, None],
    )  # fmt: skip
    return float(np.sqrt(np.mean(bound.x_px**2 + bound.y_px**2) / 2.0))


def _means(errors: F64, good: Chosen) -> F64:
    """Return the mean of the good errors of each field."""
    n = np.maximum(good.sum(axis=1), 1)
    return np.asarray(np.where(good, errors, 0.0).sum(axis=1) / n)


def _spread(errors: F64, good: Chosen) -> float:
    """Return the standard deviation within fields."""
    apart = np.where(good, errors - _means(errors, good)[:, None], 0.0)
    freedom = np.maximum(good.sum(axis=1) - 1, 1).sum()
    return float(np.sqrt((apart**2).sum() / freedom))
