"""The sets of the benchmark whose answers are rows: in the plane, in depth, each with its PSF."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from rtsmlm.bench.accuracy import figures as accuracy
from rtsmlm.bench.accuracy import reference_data as data
from rtsmlm.bench.accuracy.checks import CROWDED, TYPICAL
from rtsmlm.bench.accuracy.deep_scene import EVERY_DEPTH, deep_scene
from rtsmlm.bench.accuracy.scenes import Scene, crowded_scene, isolated_scene
from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.bench.models.psfs import WIDE_NM, KnownPsf, bead_psf, computed_psf, has_own_psf, own_psf
from rtsmlm.bench.models.row_figures import row_figures
from rtsmlm.bench.models.row_scenes import redrawn_scene, volume_scene
from rtsmlm.bench.models.trials import Judge, Trial
from rtsmlm.files.tables.read import read_table
from rtsmlm.models.simulation.optics import OpticsSection
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves
from rtsmlm.physics.psf import GaussianPsf

PLANE = "Frames to rows, in the plane"
DEPTH = "Frames to rows, in depth"
OWN = "Frames to rows, each network with the PSF it was trained for"

ALONE = "alone"
DENSITIES = (0.1, 0.5, 1.0, 2.0, 4.0, 6.0)
"""Emitters per µm² and frame, in the plane."""
DEPTH_DENSITIES = (0.1, 0.5, 1.0)
LIGHT_IN_DEPTH = (5000.0, 20.0)
OWN_DENSITIES: tuple[tuple[str, float], ...] = (("sparse", 0.1), ("dense", 1.0))
WIDE_DENSITIES: tuple[tuple[str, float], ...] = (("sparse", 0.01), ("dense", 0.08))
"""Spots of a tetrapod are ten times as large: 0.08 are ten in a frame of 121 x 121 pixels."""
TUBULES = "blinking tubules"
REDRAWN = "drawn anew: "
RECORDED = "movie: "
TUBULINS_PIXEL_NM, TUBULINS_SIGMA_NM, TUBULINS_BACKGROUND = 150.0, 133.0, 10.0
MICROTUBULES_BACKGROUND = 50.0
CHALLENGE_BACKGROUND = 100.0
NAIRR_CURVES = WidthCurves(
    x=WidthCurve(sigma0_nm=140.0, focus_nm=-205.0, depth_nm=290.0),
    y=WidthCurve(sigma0_nm=135.0, focus_nm=205.0, depth_nm=290.0),
    z_min_nm=-450.0,
    z_max_nm=450.0,
)
"""As the authors of the set state them."""


def row_trials(
    folder: Path | None, entrants: Sequence[Entrant], seed: int, *, quick: bool
) -> list[Trial]:
    """Return all sets of rows.

    Parameters
    ----------
    folder
        Of the reference data; None leaves out what needs them.
    entrants
        Each network that knows one PSF gets sets of its own.
    seed
        Of all simulated movies.
    quick
        Fewer frames.
    """
    rngs = iter(np.random.default_rng(seed).spawn(40))
    return [
        *_in_plane(rngs, quick),
        *(_in_plane_of_others(folder, rngs, quick) if folder is not None else ()),
        *_in_depth(folder, rngs, quick),
        *(_in_depth_of_others(folder, rngs) if folder is not None else ()),
        *(trial for entrant in entrants for trial in _own(entrant, seed, quick)),
    ]


def in_plane(entrant: Entrant) -> bool:
    """Whether an entrant answers with rows in two dimensions."""
    return entrant.localizes and not entrant.finds_z


def in_depth(entrant: Entrant) -> bool:
    """Whether an entrant finds depths with a PSF of usual range."""
    low, high = entrant.span_nm()
    return (
        entrant.localizes
        and entrant.finds_z
        and (entrant.is_given_the_psf or high - low <= WIDE_NM)
    )


def judged(scene: Scene, *, axial: bool, subtract_offset: bool = False) -> Judge:
    """Return what scores the rows of a scene."""
    return lambda entrant: row_figures(
        scene, entrant.localize(scene), axial=axial, subtract_offset=subtract_offset
    )


Draws = Callable[[], Scene]


def _trial(
    section: str,
    condition: str,
    draw: Draws,
    enters: Callable[[Entrant], bool],
    *,
    subtract_offset: bool = False,
) -> Trial:
    def prepare() -> Judge:
        return judged(draw(), axial=section != PLANE, subtract_offset=subtract_offset)

    return Trial(section=section, condition=condition, prepare=prepare, enters=enters)


def _in_plane(rngs: Iterator[np.random.Generator], quick: bool) -> list[Trial]:
    lone = partial(isolated_scene, next(rngs), 2 if quick else 12, TYPICAL)

    def prepare() -> Judge:
        scene = lone()

        def judge(entrant: Entrant) -> accuracy.Figures:
            found = entrant.localize(scene)
            bound = accuracy.isolated(scene, found)
            return row_figures(scene, found, axial=False) | {
                accuracy.LATERAL: bound[accuracy.LATERAL]
            }

        return judge

    first = Trial(section=PLANE, condition=ALONE, prepare=prepare, enters=in_plane)
    return [
        first,
        *(
            _trial(
                PLANE,
                f"{density:g} per µm²",
                partial(crowded_scene, next(rngs), 1 if quick else 3, density, CROWDED),
                in_plane,
            )
            for density in DENSITIES
        ),
    ]


def _in_plane_of_others(
    folder: Path, rngs: Iterator[np.random.Generator], quick: bool
) -> list[Trial]:
    def tubulins() -> Scene:
        truth = read_table(folder / "tubulins1_2013" / "truth.csv", TUBULINS_PIXEL_NM)
        known = KnownPsf(
            name="tubulins", psf=GaussianPsf(TUBULINS_SIGMA_NM / TUBULINS_PIXEL_NM),
            pixel_nm=TUBULINS_PIXEL_NM, sigma_nm=TUBULINS_SIGMA_NM, z_nm=(0.0, 0.0),
        )  # fmt: skip
        return redrawn_scene(
            rng, truth.localizations, known, (256, 256), TUBULINS_BACKGROUND,
            most_frames=4 if quick else 16,
        )  # fmt: skip

    def microtubules() -> Scene:
        truth = read_table(folder / "deepstorm_microtubules" / "truth.csv", data.PIXEL_NM)
        known = KnownPsf(
            name="microtubules", psf=GaussianPsf(data.MICROTUBULES_SIGMA_NM / data.PIXEL_NM),
            pixel_nm=data.PIXEL_NM, sigma_nm=data.MICROTUBULES_SIGMA_NM, z_nm=(0.0, 0.0),
        )  # fmt: skip
        return redrawn_scene(
            other, truth.localizations, known, (64, 64), MICROTUBULES_BACKGROUND,
            most_frames=4 if quick else 20,
        )  # fmt: skip

    rng, other = next(rngs), next(rngs)
    movies = [
        (check.condition, check.scene)
        for check in data.recorded_checks(folder)
        if check.psfs == ("round",)
    ]
    return [
        _trial(PLANE, f"{REDRAWN}tubulins of 2013, sparse", tubulins, in_plane),
        _trial(PLANE, f"{REDRAWN}microtubules, 6 per µm²", microtubules, in_plane),
        *(
            _trial(PLANE, RECORDED + name.replace("um2", "µm²"), scene, in_plane)
            for name, scene in movies
        ),
    ]


def _in_depth(folder: Path | None, rngs: Iterator[np.random.Generator], quick: bool) -> list[Trial]:
    def crowd(rng: np.random.Generator, density: float) -> Scene:
        n_frames = 4 if quick else 24
        return volume_scene(rng, common_psf(folder), n_frames, 64, density, LIGHT_IN_DEPTH)

    def tubules(rng: np.random.Generator) -> Scene:
        known = common_psf(folder)
        width_px, n_frames = known.sigma_nm / known.pixel_nm, 20 if quick else 200
        scene = deep_scene(known.psf, width_px, rng, n_frames, sample=EVERY_DEPTH)
        return replace(scene, curves=known.curves)

    sets = [(f"{d:g} per µm²", partial(crowd, next(rngs), d)) for d in DEPTH_DENSITIES]
    sets.append((TUBULES, partial(tubules, next(rngs))))
    return [_trial(DEPTH, name, draw, in_depth, subtract_offset=True) for name, draw in sets]


def common_psf(folder: Path | None) -> KnownPsf:
    """Return the astigmatic PSF that all share: of the challenge's beads, or computed."""
    if folder is not None:
        return bead_psf(folder)
    return computed_psf(OpticsSection(), (-600.0, 600.0), "computed")


def _in_depth_of_others(folder: Path, rngs: Iterator[np.random.Generator]) -> list[Trial]:
    def redrawn() -> Scene:
        truth = read_table(folder / "challenge2016_mt0_n1_ld_as" / "truth.csv", data.PIXEL_NM)
        return redrawn_scene(
            rng, truth.localizations, bead_psf(folder), (64, 64), CHALLENGE_BACKGROUND,
            repeats=10, camera="EMCCD",
        )  # fmt: skip

    def recorded(name: str) -> Scene:
        scene = data.recorded_scene(
            folder / "nairr" / f"3DAS_{name}.tif", folder / "nairr" / f"3DAS_{name}.csv",
            data.NAIRR, NAIRR_CURVES.mean_nm(),
        )  # fmt: skip
        return replace(scene, curves=NAIRR_CURVES)

    rng = next(rngs)
    return [
        *(
            _trial(
                DEPTH,
                f"{RECORDED}nairr 3DAS {name}, {density.replace('um2', 'µm²')}",
                partial(recorded, name),
                lambda entrant: in_depth(entrant) and entrant.is_given_the_psf,
            )
            for name, density, _ in data.NAIRR_SETS
        ),
        _trial(DEPTH, f"{REDRAWN}MT0.N1.LD", redrawn, in_depth, subtract_offset=True),
        _trial(
            DEPTH, f"{RECORDED}SMLM-2016 MT0.N1.LD, 24 frames",
            partial(data.challenge_scene, folder), in_depth, subtract_offset=True,
        ),
    ]  # fmt: skip


def _own(entrant: Entrant, seed: int, quick: bool) -> list[Trial]:
    """Return the sets of a network that knows one PSF, drawn with that PSF."""
    manifest, folder = entrant.manifest, entrant.folder
    if manifest is None or folder is None or not in_own(entrant):
        return []
    if not has_own_psf(manifest, folder):
        return []  # its PSF is at hand only where all share it
    low, high = entrant.span_nm()
    wide = high - low > WIDE_NM
    light = _typical(manifest.valid.photons), _typical(manifest.valid.background)

    def draw(rng: np.random.Generator, density: float) -> Scene:
        known = own_psf(manifest, folder)
        side_px, n_frames = (128, 10) if wide else (64, 24)
        return volume_scene(rng, known, 2 if quick else n_frames, side_px, density, light)

    def enters(other: Entrant) -> bool:
        return other == entrant or (other.is_given_the_psf and not wide and other.localizes)

    densities = WIDE_DENSITIES if wide else OWN_DENSITIES
    rngs = entrant.rngs(seed, len(densities))
    return [
        _trial(
            OWN,
            f"{entrant.label}: {name}, {density:g} per µm²",
            partial(draw, rng, density),
            enters,
        )
        for rng, (name, density) in zip(rngs, densities, strict=True)
    ]


def in_own(entrant: Entrant) -> bool:
    """Whether an entrant knows one PSF with depth."""
    return entrant.localizes and entrant.finds_z and not entrant.is_given_the_psf


def _typical(span: tuple[float, float]) -> float:
    """Return the middle of a range of light, on a logarithmic scale."""
    return float(np.sqrt(max(span[0], 1.0) * span[1]))
