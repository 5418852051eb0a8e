"""Movies on which localizers fall short: corners of pixels, near pairs, labelled structures."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

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
from rtsmlm.physics.camera import SensorType
from rtsmlm.physics.pair_bound import pair_crlb
from rtsmlm.physics.psf import GaussianPsf
from rtsmlm.physics.structures import StructureName, place_emitters

CORNER_PX = 0.05
"""Standard deviation of the distance of emitters from the corner where four pixels meet."""
BOX_PX = 25
LABELS_UM2 = 100.0
"""Labels of a structure, of which each frame shows a few."""


def corner_scene(
    rng: np.random.Generator, n_frames: int, spot: tuple[float, float, float]
) -> Scene:
    """Return lone emitters where four pixels meet, at corners of all four parities alike.

    Parameters
    ----------
    rng
        Draws all.
    n_frames
        Frames of 256 x 256 pixels with 49 emitters each.
    spot
        PSF width in pixels, photons, background photons per pixel.
    """
    frame, x, y = _grid(n_frames)
    n = len(frame)
    parity = rng.integers(0, 2, (2, n))
    near = rng.normal(0.0, CORNER_PX, (2, n))
    return _exposed(
        rng, (frame, x + 0.5 + parity[0] + near[0], y + 0.5 + parity[1] + near[1]), n_frames, spot
    )


def pair_scene(
    rng: np.random.Generator,
    n_frames: int,
    distance_sigma: float,
    spot: tuple[float, float, float],
) -> Scene:
    """Return pairs of equal emitters, far from all others, in any direction.

    Parameters
    ----------
    rng
        Draws all.
    n_frames
        Frames of 256 x 256 pixels with 49 pairs each.
    distance_sigma
        Distance of the two, in widths of the PSF.
    spot
        PSF width in pixels, photons of each, background photons per pixel.

    Returns
    -------
    :
        The scene, with the bound of a fit of both together.
    """
    sigma_px, photons, background = spot
    frame, x, y = _grid(n_frames)
    x, y = x + rng.uniform(-3.0, 3.0, len(x)), y + rng.uniform(-3.0, 3.0, len(x))
    angle = rng.uniform(0.0, 2.0 * math.pi, len(x))
    half = 0.5 * distance_sigma * sigma_px
    places = (
        np.repeat(frame, 2),
        np.column_stack([x - half * np.cos(angle), x + half * np.cos(angle)]).ravel(),
        np.column_stack([y - half * np.sin(angle), y + half * np.sin(angle)]).ravel(),
    )
    lateral_px = pair_crlb(photons, background, sigma_px, distance_sigma * sigma_px, box_px=BOX_PX)
    scene = _exposed(rng, places, n_frames, spot)
    return replace(scene, bound=Bound(lateral_nm=lateral_px * PIXEL_NM))


def structure_scene(
    rng: np.random.Generator,
    n_frames: int,
    structure: StructureName,
    density_um2: float,
    spot: tuple[float, float, float],
    camera: SensorType = "ideal",
) -> Scene:
    """Return frames of a labelled structure, each with other emitters of it.

    Parameters
    ----------
    rng
        Draws all.
    n_frames
        Frames of 256 x 256 pixels.
    structure
        What is labelled.
    density_um2
        Mean emitters per µm² and frame over the field: on the structure they are denser.
    spot
        PSF width in pixels, photons, background photons per pixel.
    camera
        Kind of the camera.
    """
    side_nm = SIDE_PX * PIXEL_NM
    counts = rng.poisson(density_um2 * (side_nm / 1000.0) ** 2, n_frames)
    n_labels = round(LABELS_UM2 * (side_nm / 1000.0) ** 2)
    labels_nm = place_emitters(structure, n_labels, (side_nm, side_nm), 0.0, rng)
    places_nm = labels_nm[rng.integers(0, n_labels, int(counts.sum()))]
    frame = np.repeat(FRAME_STEP * np.arange(n_frames), counts)
    # A field begins at the outer edge of the first pixel, whose centre is the origin.
    x, y = (places_nm[:, k] / PIXEL_NM - 0.5 for k in range(2))
    return _exposed(rng, (frame, x, y), n_frames, spot, camera)


def _grid(n_frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return frame, x and y of 49 points of each frame."""
    line = np.arange(SPACING_PX, SIDE_PX - 12, SPACING_PX, dtype=np.float64)
    y, x = (np.tile(part.ravel(), n_frames) for part in np.meshgrid(line, line, indexing="ij"))
    return FRAME_STEP * np.repeat(np.arange(n_frames), len(line) ** 2), x, y


def _exposed(
    rng: np.random.Generator,
    places: tuple[np.ndarray, np.ndarray, np.ndarray],
    n_frames: int,
    spot: tuple[float, float, float],
    camera: SensorType = "ideal",
) -> Scene:
    """Return the movie of emitters, given by frame, x and y in pixels."""
    sigma_px, photons, background = spot
    frame, x, y = places
    n = len(frame)
    emitters = Emitters(frame=frame, x_px=x, y_px=y, z_nm=np.zeros(n), photons=np.full(n, photons))
    index = FRAME_STEP * np.arange(n_frames)
    psf, shape = GaussianPsf(sigma_px), (SIDE_PX, SIDE_PX)
    batch, calibration = expose(emitters, psf, background, index, shape, rng, camera)
    return Scene(
        batch=batch,
        truth=emitters.table(),
        calibration=calibration,
        sigma_nm=sigma_px * PIXEL_NM,
    )
