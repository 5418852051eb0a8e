"""How well a localizer does on simulations: error against the bound, density, calibration, bias.

The frames are drawn by `rtsmlm.physics`, which shares no code with the simulator that networks
are trained on. Consecutive frames are independent of each other, so that no localizer profits from
neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.matching import match
from rtsmlm.analysis.metrics import Field, evaluate
from rtsmlm.calibration import CameraCalibration
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.fisher import gaussian_crlb
from rtsmlm.physics.gaussian import render_spots
from rtsmlm.protocols import Localizer

MakeLocalizer: TypeAlias = Callable[[CameraCalibration, float], Localizer]
"""Takes calibration and PSF sigma in nm."""

PIXEL_NM = 100.0
SIDE_PX = 256
_OFFSET_ADU = 100
_SPACING_PX = 32
_MARGIN_PX = 12
_BOX_PX = 25
_EMPTY_SIDE_PX = 64
_PHASES = 10

ISOLATED: tuple[tuple[float, float, float, float], ...] = (
    *((s, n, b, 1.15) for s in (1.0, 1.3, 1.6) for n in (500, 2000) for b in (5, 50)),
    *((1.3, n, 20, 1.30) for n in (5000, 10_000)),
    *((s, 2000, 20, 1.40) for s in (0.85, 2.2)),
)
"""PSF sigma in pixels, photons, background per pixel, and the ratio to the bound aimed at."""

DENSITIES: tuple[tuple[float, float], ...] = ((0.5, 0.93), (1.0, 0.90), (2.0, 0.84), (4.0, 0.70))
"""Emitters per µm² and frame, and the Jaccard index aimed at."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, and what is aimed at."""

    test: str
    condition: str
    value: float
    bar: str
    met: bool


def measure(make: MakeLocalizer, *, n_frames: int = 12, seed: int = 0) -> Iterator[Row]:
    """Yield all figures of one localizer.

    Parameters
    ----------
    make
        Makes the localizer for a camera and a PSF.
    n_frames
        Frames of 256 x 256 pixels per condition; 49 isolated emitters each.
    seed
        Of the simulation.
    """
    rng = np.random.default_rng(seed)
    for sigma_px, photons, background, bar in ISOLATED:
        yield _isolated(make, rng, n_frames, sigma_px, photons, background, bar)
    crowd_std = float("nan")
    for density, bar in DENSITIES:
        row, std_ratio = _crowded(make, rng, max(n_frames // 4, 2), density, bar)
        crowd_std = std_ratio if density == 1.0 else crowd_std
        yield row
    yield from _calibration(make, rng, 4 * n_frames, crowd_std)
    yield _empty(make, rng, 4 * n_frames)


def _localizer(make: MakeLocalizer, sigma_px: float) -> Localizer:
    camera = CameraCalibration(pixel_nm=PIXEL_NM, offset_adu=float(_OFFSET_ADU), e_per_adu=1.0)
    return make(camera, sigma_px * PIXEL_NM)


def _frames(means: NDArray[np.float64], rng: np.random.Generator) -> FrameBatch:
    pixels = np.minimum(rng.poisson(means) + _OFFSET_ADU, 65535).astype(np.uint16)
    return FrameBatch.from_pixels(pixels, index=2 * np.arange(len(pixels)))


def _truth(frame: int, x: NDArray[np.float64], y: NDArray[np.float64]) -> Localizations:
    columns = {"frame": np.full(len(x), frame), "x_nm": x * PIXEL_NM, "y_nm": y * PIXEL_NM}
    return Localizations.from_columns(columns)


def _pairs(
    make: MakeLocalizer,
    rng: np.random.Generator,
    n_frames: int,
    spots: tuple[float, float, float],
) -> tuple[Localizations, Localizations]:
    """Return matched localizations and emitters on a loose grid, at random within their pixels."""
    sigma_px, photons, background = spots
    grid = np.arange(_SPACING_PX, SIDE_PX - _MARGIN_PX, _SPACING_PX, dtype=np.float64)
    means, truths = [], []
    for k in range(n_frames):
        y, x = (part.ravel() for part in np.meshgrid(grid, grid))
        x, y = (part + rng.uniform(-3, 3, len(part)) for part in (x, y))
        light = np.full(len(x), photons)
        means.append(render_spots((SIDE_PX, SIDE_PX), x, y, light, sigma_px, background))
        truths.append(_truth(2 * k, x, y))
    found = _localizer(make, sigma_px)(_frames(np.stack(means), rng))
    truth = Localizations.concatenate(truths)
    pairs = match(found, truth, radius_nm=250.0)
    return found.take(pairs.locs), truth.take(pairs.truth)


def _isolated(
    make: MakeLocalizer,
    rng: np.random.Generator,
    n_frames: int,
    sigma_px: float,
    photons: float,
    background: float,
    bar: float,
) -> Row:
    found, truth = _pairs(make, rng, n_frames, (sigma_px, photons, background))
    squares = (found.x_nm - truth.x_nm) ** 2 + (found.y_nm - truth.y_nm) ** 2
    bound = gaussian_crlb(photons, background, sigma_px, box_px=_BOX_PX)
    ratio = float(np.sqrt(squares.mean() / 2) / (bound.x_px[0] * PIXEL_NM))
    condition = f"sigma {sigma_px} px, {photons:g} photons, background {background:g}"
    return Row("RMSE per axis / CRLB", condition, ratio, f"<= {bar}", ratio <= bar)


def _crowded(
    make: MakeLocalizer, rng: np.random.Generator, n_frames: int, density: float, bar: float
) -> tuple[Row, float]:
    n = round(density * (SIDE_PX * PIXEL_NM / 1000) ** 2)
    means, truths = [], []
    for k in range(n_frames):
        x, y = rng.uniform(-0.5, SIDE_PX - 0.5, (2, n))
        means.append(render_spots((SIDE_PX, SIDE_PX), x, y, np.full(n, 2000.0), 1.1, 20.0))
        truths.append(_truth(2 * k, x, y))
    found = _localizer(make, 1.1)(_frames(np.stack(means), rng))
    field = Field.of_image((SIDE_PX, SIDE_PX), PIXEL_NM)
    result = evaluate(found, Localizations.concatenate(truths), field)
    condition = f"{density:g} per um2, sigma 1.1 px, 2000 photons, background 20"
    row = Row("Jaccard index", condition, result.jaccard, f">= {bar}", result.jaccard >= bar)
    return row, result.std_ratio


def _calibration(
    make: MakeLocalizer, rng: np.random.Generator, n_frames: int, crowd_std: float
) -> Iterator[Row]:
    found, truth = _pairs(make, rng, n_frames, (1.3, 2000.0, 20.0))
    dx, dy = found.x_nm - truth.x_nm, found.y_nm - truth.y_nm
    z = np.concatenate([dx / found.std_x_nm, dy / found.std_y_nm])
    std = float(np.std(z))
    yield Row("std of error / stated std", "isolated", std, "0.9 to 1.1", 0.9 <= std <= 1.1)
    good = 0.85 <= crowd_std <= 1.2
    yield Row("std of error / stated std", "1 per um2", crowd_std, "0.85 to 1.2", good)
    bias = max(_phase_bias(truth.x_nm, dx), _phase_bias(truth.y_nm, dy))
    yield Row("largest bias over the pixel, nm", "isolated", bias, "< 2.5", bias < 2.5)


def _phase_bias(place_nm: NDArray[np.float32], error_nm: NDArray[np.float32]) -> float:
    phase = np.floor((place_nm / PIXEL_NM + 0.5) % 1.0 * _PHASES).astype(np.int64)
    sums = np.bincount(phase, weights=error_nm, minlength=_PHASES)
    counts = np.bincount(phase, minlength=_PHASES)
    return float(np.abs(sums / np.maximum(counts, 1)).max())


def _empty(make: MakeLocalizer, rng: np.random.Generator, n_frames: int) -> Row:
    means = np.full((n_frames, SIDE_PX, SIDE_PX), 20.0)
    found = _localizer(make, 1.3)(_frames(means, rng))
    fields = n_frames * (SIDE_PX / _EMPTY_SIDE_PX) ** 2
    rate = len(found) / fields
    return Row("false positives per 64 x 64", "empty frames", rate, "< 0.001", rate < 1e-3)
