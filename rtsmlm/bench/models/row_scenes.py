"""Movies of the benchmark whose answer are rows: crowds at all depths, and truths drawn anew.

All are drawn by `rtsmlm.physics`, which shares no code with the simulator of the training, and
numbered with gaps where frames have nothing to do with each other; see
`rtsmlm.bench.accuracy.scenes`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rtsmlm.bench.accuracy.scenes import BEYOND_PX, FRAME_STEP, Emitters, Scene, expose
from rtsmlm.bench.models.psfs import KnownPsf
from rtsmlm.localizations import Localizations
from rtsmlm.physics.camera import Sensor, SensorType

Light = tuple[float, float]
"""Photons of an emitter, and of the background in a pixel."""


def volume_scene(
    rng: np.random.Generator,
    known: KnownPsf,
    n_frames: int,
    side_px: int,
    density_um2: float,
    light: Light,
    camera: SensorType | Sensor = "ideal",
) -> Scene:
    """Return frames with emitters anywhere in the depths of a PSF, also beyond the edges.

    Parameters
    ----------
    rng
        Draws all.
    known
        The PSF.
    n_frames, side_px
        Number and side of the frames.
    density_um2
        Emitters per square micrometre and frame.
    light
        The same for all emitters.
    camera
        Kind of the camera, or its chip.
    """
    photons, background = light
    low, high = -0.5 - BEYOND_PX, side_px - 0.5 + BEYOND_PX
    mean = density_um2 * ((high - low) * known.pixel_nm / 1000.0) ** 2
    frame = np.repeat(FRAME_STEP * np.arange(n_frames), rng.poisson(mean, n_frames))
    x, y = rng.uniform(low, high, (2, len(frame)))
    emitters = Emitters(
        frame=frame,
        x_px=x,
        y_px=y,
        z_nm=rng.uniform(*known.z_nm, len(frame)),
        photons=np.full(len(frame), photons),
    )
    index = FRAME_STEP * np.arange(n_frames)
    return _drawn(rng, known, emitters, background, index, (side_px, side_px), camera)


def redrawn_scene(
    rng: np.random.Generator,
    truth: Localizations,
    known: KnownPsf,
    shape: tuple[int, int],
    background: float,
    *,
    repeats: int = 1,
    most_frames: int = 1000,
    camera: SensorType = "ideal",
) -> Scene:
    """Return a movie with the emitters of a truth list of others, drawn by our simulator.

    Parameters
    ----------
    rng
        Draws the noise.
    truth
        Emitters by frame, in the order of the frames of the movie.
    known
        The PSF of the set.
    shape
        Height and width of a frame.
    background
        Photons per pixel.
    repeats
        How often the same frames are shown, each time with other noise.
    most_frames
        Frames that are taken of the list.
    camera
        Kind of the camera.
    """
    truth = truth.sorted_by_frame()
    truth = truth.take(truth.frame < truth.frame[0] + most_frames)
    n_frames = 1 + int(truth.frame[-1])
    # One number is left out between two rounds: the last frame is no neighbour of the first.
    shown = np.concatenate([truth.frame + k * (n_frames + 1) for k in range(repeats)])
    index = np.concatenate([np.arange(n_frames) + k * (n_frames + 1) for k in range(repeats)])
    emitters = Emitters(
        frame=shown,
        x_px=np.tile(truth.x_nm.astype(np.float64) / known.pixel_nm, repeats),
        y_px=np.tile(truth.y_nm.astype(np.float64) / known.pixel_nm, repeats),
        z_nm=np.tile(np.nan_to_num(truth.z_nm.astype(np.float64)), repeats),
        photons=np.tile(truth.photons.astype(np.float64), repeats),
    )
    return _drawn(rng, known, emitters, background, index, shape, camera)


def _drawn(
    rng: np.random.Generator,
    known: KnownPsf,
    emitters: Emitters,
    background: float,
    index: np.ndarray,
    shape: tuple[int, int],
    camera: SensorType | Sensor,
) -> Scene:
    batch, calibration = expose(emitters, known.psf, background, index, shape, rng, camera)
    return Scene(
        batch=batch,
        truth=emitters.table(known.pixel_nm),
        calibration=replace(calibration, pixel_nm=known.pixel_nm),
        sigma_nm=known.sigma_nm if known.curves is None else known.curves.mean_nm(),
        curves=known.curves,
    )
