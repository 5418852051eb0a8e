"""Movies of an astigmatic PSF, of a formula or of beads: lone emitters, pairs and tubules.

All bounds are those of the PSF that the frames are drawn with, not of a Gaussian.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rtsmlm.bench.accuracy.deep_scene import deep_scene
from rtsmlm.bench.accuracy.scenes import (
    FRAME_STEP,
    PIXEL_NM,
    SIDE_PX,
    SPACING_PX,
    Bound,
    Emitters,
    Scene,
    expose,
)
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.camera import SensorType
from rtsmlm.physics.psf import Psf
from rtsmlm.physics.psf_bound import psf_crlb

F64 = NDArray[np.float64]

BOX_PX = 31
BOUNDS = 24
"""Emitters, or pairs, of which the bound of a scene is the root mean square."""
PAIR_HALF_RANGE_NM = 400.0


def depth_scene(
    rng: np.random.Generator,
    n_frames: int,
    psf: Psf,
    curves: WidthCurves,
    z_nm: tuple[float, float],
    light: tuple[float, float],
    camera: SensorType = "ideal",
) -> Scene:
    """Return lone emitters at depths within a range.

    Parameters
    ----------
    rng
        Draws all.
    n_frames
        Frames of 256 x 256 pixels with 49 emitters each.
    psf, curves
        Their image, and what a calibration on beads finds of it.
    z_nm
        Least and largest z.
    light
        Photons of each, background per pixel.
    camera
        Kind of the camera.
    """
    frame, x, y = _grid(rng, n_frames)
    z = rng.uniform(*z_nm, len(frame))
    scene = _exposed(rng, (frame, x, y, z), n_frames, psf, curves, light, camera)
    middle = BOX_PX // 2
    bounds = [
        psf_crlb(
            psf,
            np.array([middle + rng.uniform(-0.5, 0.5)]),
            np.array([middle + rng.uniform(-0.5, 0.5)]),
            np.array([depth]),
            *light,
            box_px=BOX_PX,
            **_noise(scene),
        )
        for depth in np.linspace(*z_nm, BOUNDS)
    ]
    return replace(scene, bound=_rms_bound(np.concatenate(bounds)))


def depth_pair_scene(
    rng: np.random.Generator,
    n_frames: int,
    psf: Psf,
    curves: WidthCurves,
    apart_nm: tuple[float, float],
    light: tuple[float, float],
) -> Scene:
    """Return pairs of emitters, each at a depth of its own, far from all others.

    Parameters
    ----------
    rng
        Draws all.
    n_frames
        Frames of 256 x 256 pixels with 49 pairs each.
    psf, curves
        Their image, and its calibration.
    apart_nm
        Least and largest lateral distance.
    light
        Photons of each, background per pixel.

    Returns
    -------
    :
        The scene, with the bound of a fit of both together.
    """
    frame, x, y = _grid(rng, n_frames)
    n = len(frame)
    half = 0.5 * rng.uniform(*apart_nm, n) / PIXEL_NM
    angle = rng.uniform(0.0, 2.0 * math.pi, n)
    dx, dy = half * np.cos(angle), half * np.sin(angle)
    xs, ys = np.column_stack([x - dx, x + dx]), np.column_stack([y - dy, y + dy])
    z = rng.uniform(-PAIR_HALF_RANGE_NM, PAIR_HALF_RANGE_NM, (n, 2))
    places = (np.repeat(frame, 2), xs.ravel(), ys.ravel(), z.ravel())
    scene = _exposed(rng, places, n_frames, psf, curves, light, "ideal")
    corner_x, corner_y = (np.round(v) - BOX_PX // 2 for v in (x, y))
    bounds = [
        psf_crlb(psf, xs[k] - corner_x[k], ys[k] - corner_y[k], z[k], *light, box_px=BOX_PX)
        for k in range(min(n, 4 * BOUNDS))
    ]
    return replace(scene, bound=_rms_bound(np.concatenate(bounds)))


def tubule_scene(
    rng: np.random.Generator, n_frames: int, psf: Psf, curves: WidthCurves, *, per_frame: float
) -> Scene:
    """Return a movie of the tubules of the SMLM-2016 challenge.

    Parameters
    ----------
    rng
        Draws all.
    n_frames
        Frames of 64 x 64 pixels.
    psf, curves
        Image of an emitter, and its calibration.
    per_frame
        Emitters in a frame.
    """
    scene = deep_scene(psf, curves.mean_nm() / PIXEL_NM, rng, n_frames, per_frame)
    return replace(scene, curves=curves)


def _grid(rng: np.random.Generator, n_frames: int) -> tuple[NDArray[np.int64], F64, F64]:
    """Return frame, x and y of 49 places of each frame."""
    line = np.arange(SPACING_PX, SIDE_PX - 12, SPACING_PX, dtype=np.float64)
    y, x = (np.tile(part.ravel(), n_frames) for part in np.meshgrid(line, line, indexing="ij"))
    near = rng.uniform(-3.0, 3.0, (2, len(x)))
    frame = FRAME_STEP * np.repeat(np.arange(n_frames), len(line) ** 2)
    return frame, x + near[0], y + near[1]


def _exposed(
    rng: np.random.Generator,
    places: tuple[NDArray[np.int64], F64, F64, F64],
    n_frames: int,
    psf: Psf,
    curves: WidthCurves,
    light: tuple[float, float],
    camera: SensorType,
) -> Scene:
    frame, x, y, z = places
    photons = np.full(len(frame), light[0])
    emitters = Emitters(frame=frame, x_px=x, y_px=y, z_nm=z, photons=photons)
    index = FRAME_STEP * np.arange(n_frames)
    shape = (SIDE_PX, SIDE_PX)
    batch, calibration = expose(emitters, psf, light[1], index, shape, rng, camera)
    return Scene(
        batch=batch,
        truth=emitters.table(),
        calibration=calibration,
        sigma_nm=curves.mean_nm(),
        curves=curves,
    )


def _noise(scene: Scene) -> dict[str, float]:
    calibration = scene.calibration
    return {
        "read_variance": float(np.median(calibration.read_variance())),
        "excess_noise": float(calibration.excess_noise),
    }


def _rms_bound(bounds: F64) -> Bound:
    """Return the root mean square of bounds of x, y in pixels and z in nm, shape (n, 3)."""
    lateral = PIXEL_NM * math.sqrt(float(np.mean(bounds[:, :2] ** 2)))
    return Bound(lateral_nm=lateral, axial_nm=math.sqrt(float(np.mean(bounds[:, 2] ** 2))))
