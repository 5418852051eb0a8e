"""Accuracy of any localizer on movies whose truth is known: CRLB ratio, density, honesty.

The movies come from `rtsmlm.physics` and share no code with the training simulator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.camera import SensorType, make_sensor
from rtsmlm.physics.fisher import gaussian_crlb
from rtsmlm.physics.gaussian import render_spots
from rtsmlm.physics.sampling import new_state
from rtsmlm.protocols import Localizer

F64 = NDArray[np.float64]
SIDE_PX = 64
PIXEL_NM = 100.0
GRID_PX = 21
"""Distance of isolated emitters: nine times a PSF width of 2.3 pixels."""
EDGE_PX = 8.0
"""Distance of isolated emitters from the edges of the frame."""
PHASE_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Movie:
    """Frames with the emitters in them."""

    batch: FrameBatch
    truth: Localizations
    calibration: CameraCalibration
    sigma_nm: float
    crlb_nm: float
    """Root mean square over the emitters, per axis; NaN where they overlap."""


Open = Callable[[CameraCalibration, float], Localizer]
"""Opens a localizer for a calibration and a PSF width in nm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolatedResult:
    """Result of `measure_isolated`."""

    photons: float
    background: float
    sigma_px: float
    crlb_nm: float
    ratio_x: float
    """RMSE along x over CRLB."""
    ratio_y: float
    std_z: float
    """RMS of error over stated standard deviation, both axes."""
    phase_bias_nm: float
    """Largest mean error of ten bins of the position in the pixel, both axes."""
    photons_ratio: float
    """Median of localized over true photons."""
    recall: float
    false_per_frame: float


def make_movie(
    places: list[tuple[F64, F64]],
    *,
    photons: float,
    background: float,
    sigma_px: float,
    sensor: SensorType = "sCMOS",
    seed: int = 0,
) -> Movie:
    """Return a movie of independent frames with Gaussian spots at the given places.

    Parameters
    ----------
    places
        x and y of each frame's emitters in pixels.
    photons
        Detected photons of every emitter.
    background
        Detected photons per pixel.
    sigma_px
        Standard deviation of the PSF.
    sensor
        Type of camera.
    seed
        Of the camera and its noise.
    """
    shape = (SIDE_PX, SIDE_PX)
    chip = make_sensor(sensor, shape, np.random.default_rng(seed))
    state = new_state(np.random.SeedSequence(seed))
    pixels = np.empty((len(places), *shape), dtype=np.uint16)
    for frame, (x_px, y_px) in enumerate(places):
        mean = render_spots(shape, x_px, y_px, photons, sigma_px, background)
        chip.expose(mean.astype(np.float32), pixels[frame], state)
    calibration = chip.calibration(PIXEL_NM)
    excess = calibration.excess_noise
    x_all = np.concatenate([x for x, _ in places])
    y_all = np.concatenate([y for _, y in places])
    frames = np.repeat(np.arange(len(places)), [len(x) for x, _ in places])
    crlb_nm = float("nan")
    if len(x_all):
        bound = gaussian_crlb(
            photons,
            background,
            sigma_px,
            box_px=GRID_PX,
            x_px=10.0 + x_all - np.round(x_all),
            y_px=10.0 + y_all - np.round(y_all),
            read_variance=float(np.median(calibration.read_variance())),
            excess_noise=excess,
        )
        crlb_nm = PIXEL_NM * float(np.sqrt(np.mean(bound.x_px**2)))
    truth = Localizations.from_columns(
        {
            "frame": frames,
            "x_nm": x_all * PIXEL_NM,
            "y_nm": y_all * PIXEL_NM,
            "photons": np.full(len(x_all), photons),
            "background": np.full(len(x_all), background),
        }
    )
    return Movie(
        batch=FrameBatch.from_pixels(pixels),
        truth=truth,
        calibration=calibration,
        sigma_nm=sigma_px * PIXEL_NM,
        crlb_nm=crlb_nm,
    )


def isolated_places(n_frames: int, rng: np.random.Generator) -> list[tuple[F64, F64]]:
    """Return four places per frame, far apart, and elsewhere in each frame.

    Elsewhere, since an emitter near the same place in the next frame would rightly be taken for
    one that stays on.
    """
    row, column = np.mgrid[:2, :2].reshape(2, -1) * float(GRID_PX)
    places = []
    for _ in range(n_frames):
        x0, y0 = rng.uniform(EDGE_PX, SIDE_PX - 1 - EDGE_PX - GRID_PX, 2)
        jitter = rng.uniform(-0.5, 0.5, (2, 4))
        places.append((x0 + column + jitter[0], y0 + row + jitter[1]))
    return places


def crowded_places(
    density: float, n_frames: int, rng: np.random.Generator
) -> list[tuple[F64, F64]]:
    """Return random places at a density in emitters per µm² and frame, beyond the edges too."""
    low, high = -4.5, SIDE_PX + 3.5
    mean = density * ((high - low) * PIXEL_NM / 1000.0) ** 2
    places = []
    for _ in range(n_frames):
        n = rng.poisson(mean)
        places.append((rng.uniform(low, high, n), rng.uniform(low, high, n)))
    return places


def measure_isolated(
    open_localizer: Open,
    *,
    photons: float,
    background: float,
    sigma_px: float,
    n_frames: int = 250,
    sensor: SensorType = "sCMOS",
    seed: int = 0,
) -> IsolatedResult:
    """Localize isolated emitters and compare the errors with the CRLB and with those stated."""
    rng = np.random.default_rng(seed)
    movie = make_movie(
        isolated_places(n_frames, rng),
        photons=photons,
        background=background,
        sigma_px=sigma_px,
        sensor=sensor,
        seed=seed + 1,
    )
    locs = open_localizer(movie.calibration, movie.sigma_nm)(movie.batch)
    found, matched = nearest(locs, movie.truth, radius_nm=250.0)
    dx = locs.x_nm[found] - movie.truth.x_nm[matched]
    dy = locs.y_nm[found] - movie.truth.y_nm[matched]
    z = np.concatenate([dx / locs.std_x_nm[found], dy / locs.std_y_nm[found]])
    phase = np.concatenate([movie.truth.x_nm[matched], movie.truth.y_nm[matched]]) / PIXEL_NM % 1
    return IsolatedResult(
        photons=photons,
        background=background,
        sigma_px=sigma_px,
        crlb_nm=movie.crlb_nm,
        ratio_x=_rms(dx) / movie.crlb_nm,
        ratio_y=_rms(dy) / movie.crlb_nm,
        std_z=_rms(z),
        phase_bias_nm=_phase_bias(phase, np.concatenate([dx, dy])),
        photons_ratio=float(np.median(locs.photons[found]) / photons) if len(found) else np.nan,
        recall=len(found) / len(movie.truth),
        false_per_frame=(len(locs) - len(found)) / n_frames,
    )


def nearest(
    locs: Localizations, truth: Localizations, *, radius_nm: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of localizations and of isolated emitters that belong together.

    Each emitter takes its nearest localization of the same frame within the radius.
    """
    found, matched = [], []
    for frame in np.unique(truth.frame):
        mine = np.flatnonzero(locs.frame == frame)
        theirs = np.flatnonzero(truth.frame == frame)
        if not len(mine):
            continue
        distance = np.hypot(
            locs.x_nm[mine][None] - truth.x_nm[theirs][:, None],
            locs.y_nm[mine][None] - truth.y_nm[theirs][:, None],
        )
        best = distance.argmin(axis=1)
        near = distance[np.arange(len(theirs)), best] < radius_nm
        found.append(mine[best[near]])
        matched.append(theirs[near])
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate(found), np.concatenate(matched)


def _phase_bias(phase: NDArray[np.floating], error_nm: NDArray[np.floating]) -> float:
    bins = np.minimum((phase * PHASE_BINS).astype(int), PHASE_BINS - 1)
    means = [error_nm[bins == b].mean() for b in range(PHASE_BINS) if np.any(bins == b)]
    return float(np.max(np.abs(means))) if means else float("nan")


def _rms(values: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(values.astype(np.float64))))) if len(values) else np.nan
