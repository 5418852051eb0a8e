"""The sets of the benchmark with two dyes in grey frames, through the mask of a network.

Spots are drawn by `rtsmlm.physics`, which shares no code with the optics of the training, and
with the whole spectrum of each dye; the training knows mean wavelengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from rtsmlm.analysis.matching import match
from rtsmlm.bench.accuracy.contenders import OurLocalizer
from rtsmlm.bench.accuracy.figures import JACCARD, RADIUS_NM, RMSE, Figures
from rtsmlm.bench.accuracy.scenes import BEYOND_PX, FRAME_STEP, Scene
from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.bench.models.trials import Judge, Trial
from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import ConfigError
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.models.hershko.psf_of_colours import colour_psfs, masked_optics
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.physics.dye_psf import dye_psf
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.spectra import DYES

COLOURS = "Colours in one grey frame"
DENSITY_UM2 = 0.1
BRIGHT = 4000.0
LIGHTS = (1000.0, 2000.0, BRIGHT, 8000.0)
"""Photons of an emitter."""
BACKGROUND, OFFSET_ADU, READ_NOISE_E = 15.0, 100.0, 1.4
SIDE_PX = 64
WAVELENGTHS = 5
"""That the PSF of a dye is made of."""
OF_COLOUR = "Jaccard index of "
RIGHT_COLOUR, LEAST_JACCARD = "right colour, %", "Jaccard index, worst colour"


def colour_trials(entrants: Sequence[Entrant], seed: int, *, quick: bool) -> list[Trial]:
    """Return sets of two dyes for each network that tells colours apart in frames.

    Parameters
    ----------
    entrants
        Those that do get sets with their own mask.
    seed
        Of all sets.
    quick
        Fewer frames.
    """
    n_frames = 6 if quick else 60
    return [
        _trial(entrant, photons, n_frames, rng)
        for entrant in entrants
        if entrant.manifest is not None and entrant.manifest.colours
        for photons, rng in zip(LIGHTS, entrant.rngs(seed, len(LIGHTS)), strict=True)
    ]


def _trial(entrant: Entrant, photons: float, n_frames: int, rng: np.random.Generator) -> Trial:
    def prepare() -> Judge:
        return partial(judge, scene=colour_scene(entrant, photons, n_frames, rng))

    return Trial(
        section=COLOURS,
        condition=condition_of(entrant.label, photons),
        prepare=prepare,
        enters=lambda other: other == entrant,
    )


def condition_of(model: str, photons: float) -> str:
    """Return the name of a set."""
    return f"{model}: {photons:g} photons, {DENSITY_UM2:g} per µm²"


def colour_scene(
    entrant: Entrant, photons: float, n_frames: int, rng: np.random.Generator
) -> Scene:
    """Return frames with emitters of all dyes of a network, anywhere and at any of its depths.

    Raises
    ------
    ConfigError
        If the manifest states no colours.
    FileFormatError
        If the mask of the model cannot be read.
    """
    manifest, folder = entrant.manifest, entrant.folder
    if manifest is None or folder is None or not manifest.colours:
        raise ConfigError(f"{entrant.label} tells no colours apart")
    recipe = Recipe.model_validate(manifest.training.recipe)
    psfs, pixel_nm = _psfs(folder, recipe), recipe.optics.pixel_nm
    low, high = -0.5 - BEYOND_PX, SIDE_PX - 0.5 + BEYOND_PX
    mean = DENSITY_UM2 * ((high - low) * pixel_nm / 1000.0) ** 2
    frame = np.repeat(FRAME_STEP * np.arange(n_frames), rng.poisson(mean, n_frames))
    x, y = rng.uniform(low, high, (2, len(frame)))
    z = rng.uniform(*recipe.psf.z_nm, len(frame))
    colour = rng.integers(0, len(psfs), len(frame))
    pixels = np.empty((n_frames, SIDE_PX, SIDE_PX), dtype=np.uint16)
    for k, image in enumerate(pixels):
        light = np.full(image.shape, BACKGROUND, dtype=np.float32)
        for channel, psf in enumerate(psfs):
            mine = (frame == FRAME_STEP * k) & (colour == channel)
            psf.render(light, x[mine], y[mine], z[mine], np.full(np.count_nonzero(mine), photons))
        read = rng.normal(scale=READ_NOISE_E, size=image.shape)
        image[:] = np.rint(rng.poisson(light) + read + OFFSET_ADU).clip(0.0, 65535.0)
    truth = {
        "frame": frame, "x_nm": x * pixel_nm, "y_nm": y * pixel_nm,
        "photons": np.full(len(frame), photons), "channel": colour,
    }  # fmt: skip
    calibration = CameraCalibration(
        pixel_nm=pixel_nm, offset_adu=OFFSET_ADU, e_per_adu=1.0, read_noise_e=READ_NOISE_E
    )
    return Scene(
        batch=FrameBatch.from_pixels(pixels, index=FRAME_STEP * np.arange(n_frames)),
        truth=Localizations.from_columns(truth),
        calibration=calibration,
        sigma_nm=1.2 * pixel_nm,  # without effect on a network that knows its own PSFs
    )


def _psfs(folder: Path, recipe: Recipe) -> tuple[TablePsf, ...]:
    """Return the PSF of each dye with its whole spectrum, where that is known."""
    if not all(name in DYES for name in recipe.colours.names):
        return colour_psfs(folder, recipe)
    return tuple(
        dye_psf(
            DYES[name], masked_optics(folder, recipe), pixel_nm=recipe.optics.pixel_nm,
            z_nm=recipe.psf.z_nm, vectorial=recipe.optics.vectorial, wavelengths=WAVELENGTHS,
            box_px=recipe.psf.box_px,
        )
        for name in recipe.colours.names
    )  # fmt: skip


def judge(entrant: Entrant, scene: Scene) -> Figures:
    """Return how many emitters are found, and how many of those in their colour."""
    names = () if entrant.manifest is None else entrant.manifest.colours
    (_, found), *_ = OurLocalizer(entrant.name, refine=False, engine="auto")(scene)
    return colour_figures(found, scene, names)


def colour_figures(found: Localizations, scene: Scene, names: Sequence[str]) -> Figures:
    """Return the figures of rows with a channel; those of the outermost pixels do not count.

    Parameters
    ----------
    found
        Rows of the frames of a scene.
    scene
        With the true channel of each emitter.
    names
        Of the dyes, in the order of the channels.
    """
    found, truth = (_inner(rows, scene.calibration.pixel_nm) for rows in (found, scene.truth))
    pairs = match(found, truth, radius_nm=RADIUS_NM)
    all_found, all_true = found.take(pairs.locs), truth.take(pairs.truth)
    apart = np.hypot(all_found.x_nm - all_true.x_nm, all_found.y_nm - all_true.y_nm)
    n_pairs = len(apart)
    figures = {
        JACCARD: n_pairs / max(len(found) + len(truth) - n_pairs, 1),
        RMSE: float(np.sqrt(np.mean(apart**2))) if n_pairs else float("nan"),
        RIGHT_COLOUR: 100.0 * float(np.mean(all_found.channel == all_true.channel))
        if n_pairs
        else float("nan"),
    }
    of_colours = []
    for channel, name in enumerate(names):
        mine, theirs = (rows.take(rows.channel == channel) for rows in (found, truth))
        n = len(match(mine, theirs, radius_nm=RADIUS_NM).locs)
        of_colours.append(n / max(len(mine) + len(theirs) - n, 1))
        figures[OF_COLOUR + name] = of_colours[-1]
    return figures | {LEAST_JACCARD: min(of_colours, default=float("nan"))}


def _inner(rows: Localizations, pixel_nm: float) -> Localizations:
    """Return the rows that lie at least `BEYOND_PX` inside the frame."""
    low, high = BEYOND_PX * pixel_nm, (SIDE_PX - 1 - BEYOND_PX) * pixel_nm
    inside = (rows.x_nm > low) & (rows.x_nm < high) & (rows.y_nm > low) & (rows.y_nm < high)
    return rows.take(inside)
