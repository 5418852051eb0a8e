"""How fast a model is on this machine, measured on frames like those it was trained for."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.box_networks import box_px_of
from rtsmlm.engines.class_networks import TASK, input_of
from rtsmlm.engines.example_frames import OFFSET_ADU, example_frames
from rtsmlm.engines.graph_runner import open_graph
from rtsmlm.engines.runtime import open_model
from rtsmlm.engines.runtimes import localizer_of
from rtsmlm.models.manifest import read_manifest
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves

SIDE_PX = 256
_FRAMES = 32
_BOXES = 2048
_PIXEL_NM = 100.0


def frames_per_s(folder: Path, *, engine: str = "auto", side_px: int = SIDE_PX) -> float:
    """Return frames localized per second when there is a backlog, the best of three tries.

    Parameters
    ----------
    folder
        The model folder.
    engine
        As in `localizer.engine`.
    side_px
        Side of the frames.

    Raises
    ------
    RtsmlmError
        If the model or the engine cannot be opened.
    """
    calibration = CameraCalibration(
        pixel_nm=_PIXEL_NM, offset_adu=float(OFFSET_ADU), e_per_adu=1.0, read_noise_e=1.0
    )
    low, high = read_manifest(folder).valid.sigma_px
    sigma_nm = math.sqrt(low * high) * _PIXEL_NM
    curves = _curves(sigma_nm)
    model = open_model(folder, calibration=calibration, sigma_nm=sigma_nm, curves=curves)
    frames = example_frames(model, _FRAMES, side_px)
    localizer = localizer_of(
        folder, calibration=calibration, sigma_nm=sigma_nm, curves=curves, engine=engine
    )
    localizer.warm_up(frames.shape)
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        localizer(frames)
        best = max(best, _FRAMES / (time.perf_counter() - start))
    return best


def spots_per_s(folder: Path, *, engine: str = "auto") -> float:
    """Return how many boxes a second a network of boxes takes, the best of three tries.

    Parameters
    ----------
    folder
        The model folder.
    engine
        As in `localizer.engine`.

    Raises
    ------
    RtsmlmError
        If the model or the engine cannot be opened.
    """
    manifest, run = open_graph(folder, engine)
    if manifest.task == TASK:
        name, sides = input_of(manifest)
    else:
        name, sides = "photons", (box_px_of(manifest),) * 2
    light = np.random.default_rng(0).poisson(20.0, (_BOXES, 1, *sides)).astype(np.float32)
    given = {name: light, "variance": np.ones_like(light)}
    run(given)
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        run(given)
        best = max(best, _BOXES / (time.perf_counter() - start))
    return best


def _curves(sigma_nm: float) -> WidthCurves:
    """Return a typical cylindrical lens for a PSF of this width in focus."""
    return WidthCurves(
        x=WidthCurve(sigma0_nm=sigma_nm, focus_nm=200.0, depth_nm=400.0),
        y=WidthCurve(sigma0_nm=sigma_nm, focus_nm=-200.0, depth_nm=400.0),
        z_min_nm=-500.0,
        z_max_nm=500.0,
    )
