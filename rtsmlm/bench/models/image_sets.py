"""The sets of the benchmark whose answer is an image: filaments, and microtubules of others.

A localizer enters, too: by the image of its rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from rtsmlm.bench.accuracy import reference_data as data
from rtsmlm.bench.accuracy.checks import CROWDED
from rtsmlm.bench.accuracy.figures import JACCARD, NEAR, RMSE, Figures
from rtsmlm.bench.accuracy.scenes import FRAME_STEP, PIXEL_NM, Emitters, Scene, expose
from rtsmlm.bench.models.entrants import IMAGE, Entrant
from rtsmlm.bench.models.image_figures import histogram, image_figures, peaks
from rtsmlm.bench.models.row_figures import row_figures
from rtsmlm.bench.models.row_sets import RECORDED, in_plane
from rtsmlm.bench.models.trials import Judge, Trial
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.psf import GaussianPsf
from rtsmlm.physics.structures import place_emitters

IMAGES = "Frames to an image"
DENSITIES = (1.0, 3.0, 6.0)
SIDE_PX = 64
FINE = 4
"""Fine pixels along a camera pixel, for images of rows."""
TRIED = 24
"""Heights that are tried for the lowest peak, on a movie that does not count."""
LOWEST, HIGHEST = 0.01, 1.0
"""Of them, in parts of a high pixel."""
HIGH = 99.9
"""Percentile that is a high pixel."""


def image_trials(folder: Path | None, seed: int, *, quick: bool) -> list[Trial]:
    """Return all sets of images.

    Parameters
    ----------
    folder
        Of the reference data; None leaves out what needs them.
    seed
        Of all simulated movies.
    quick
        Fewer frames.
    """
    rngs = iter(np.random.default_rng((seed, 1)).spawn(20))
    n_frames = 3 if quick else 20
    tuning = partial(filament_scene, next(rngs), max(2, n_frames // 4), DENSITIES[1])
    trials = [
        _trial(f"filaments, {density:g} per µm²", draw, tuning)
        for density, draw in _filaments(rngs, n_frames)
    ]
    if folder is not None:
        movie = folder / "deepstorm_microtubules"
        draw = partial(
            data.recorded_scene, movie / "frames.tif", movie / "truth.csv",
            data.MICROTUBULES, data.MICROTUBULES_SIGMA_NM,
        )  # fmt: skip
        trials.append(_trial(f"{RECORDED}microtubules, 6 per µm²", draw, tuning))
    return trials


def _filaments(
    rngs: Iterator[np.random.Generator], n_frames: int
) -> Iterator[tuple[float, partial[Scene]]]:
    for density in DENSITIES:
        yield density, partial(filament_scene, next(rngs), n_frames, density)


def enters(entrant: Entrant) -> bool:
    """Whether an entrant makes images of frames, or rows in two dimensions."""
    if entrant.is_of_localizations:
        return False
    return entrant.task == IMAGE or in_plane(entrant)


def _trial(condition: str, draw: partial[Scene], tuning: partial[Scene]) -> Trial:
    def prepare() -> Judge:
        scene, other = draw(), tuning()
        return lambda entrant: judge(entrant, scene, other)

    return Trial(section=IMAGES, condition=condition, prepare=prepare, enters=enters)


def filament_scene(rng: np.random.Generator, n_frames: int, density_um2: float) -> Scene:
    """Return frames of 64 x 64 pixels whose emitters lie on the same filaments.

    Parameters
    ----------
    rng
        Draws all.
    n_frames
        Number of frames; what shines in one has nothing to do with the others.
    density_um2
        Emitters per square micrometre and frame.
    """
    sigma_px, photons, background = CROWDED
    side_nm = SIDE_PX * PIXEL_NM
    counts = rng.poisson(density_um2 * (side_nm / 1000.0) ** 2, n_frames)
    place = place_emitters("filaments", int(counts.sum()), (side_nm, side_nm), 0.0, rng)
    place = rng.permutation(place)
    index = FRAME_STEP * np.arange(n_frames)
    emitters = Emitters(
        frame=np.repeat(index, counts),
        x_px=place[:, 0] / PIXEL_NM - 0.5,
        y_px=place[:, 1] / PIXEL_NM - 0.5,
        z_nm=np.zeros(len(place)),
        photons=np.full(len(place), photons),
    )
    psf = GaussianPsf(sigma_px)
    batch, calibration = expose(emitters, psf, background, index, (SIDE_PX, SIDE_PX), rng)
    return Scene(
        batch=batch,
        truth=emitters.table(),
        calibration=calibration,
        sigma_nm=sigma_px * PIXEL_NM,
    )


def judge(entrant: Entrant, scene: Scene, tuning: Scene) -> Figures:
    """Return the figures of the image of all frames, and of the rows or peaks of each.

    Parameters
    ----------
    entrant
        A network of images, or a localizer.
    scene
        What counts.
    tuning
        Another movie, on which the lowest peak of a network of images is chosen.
    """
    if entrant.task == IMAGE and entrant.manifest is not None:
        fine = entrant.manifest.upsampling
        found, images = _peaks_at(entrant, tuning, scene, fine)
        image = np.stack(images).sum(axis=0)
    else:
        fine = FINE
        found = entrant.localize(scene)
        image = histogram(found, scene.batch.shape, fine, scene.calibration.pixel_nm)
    pixel_nm = scene.calibration.pixel_nm
    truth = histogram(scene.truth, scene.batch.shape, fine, pixel_nm)
    figures = row_figures(scene, found, axial=False)
    kept = {name: figures[name] for name in (JACCARD, JACCARD + NEAR, RMSE)}
    return image_figures(np.asarray(image, np.float32), truth, pixel_nm / fine) | kept


def _peaks_at(
    entrant: Entrant, tuning: Scene, scene: Scene, fine: int
) -> tuple[Localizations, list[F32]]:
    """Return peaks and images of a scene, by the threshold that is best on another one."""
    tried = list(entrant.images(tuning))
    high = float(np.percentile(np.stack(tried), HIGH))
    heights = high * np.geomspace(LOWEST, HIGHEST, TRIED)

    def jaccard(least: float) -> float:
        found = peaks(tried, tuning.batch.index, fine, tuning.calibration.pixel_nm, least)
        value = row_figures(tuning, found, axial=False)[JACCARD + NEAR]
        return -1.0 if np.isnan(value) else value

    least = max(heights, key=jaccard)
    images = list(entrant.images(scene))
    return peaks(images, scene.batch.index, fine, scene.calibration.pixel_nm, least), images
