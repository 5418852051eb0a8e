"""Where network and fit both have a place, each counts for what it knows of the emitter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.bench.accuracy import figures
from rtsmlm.bench.accuracy.deep_scene import DENSE, SPARSE, deep_scene
from rtsmlm.bench.accuracy.reference_data import BEADS, lit_psf
from rtsmlm.bench.accuracy.scenes import PIXEL_NM, Emitters, Scene, expose
from rtsmlm.engines.refine import Refiner
from rtsmlm.engines.refine_shares import network_weight
from rtsmlm.engines.runtimes import localizer_of
from rtsmlm.fitting.near_sums import near_sums
from rtsmlm.localizations import Localizations
from rtsmlm.models.catalog import find_model
from rtsmlm.physics.psf import GaussianPsf

SIDE_PX, SIGMA_PX, PHOTONS = 64, 1.3, 2000.0


def scene_of(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, *, sigma_px: float) -> Scene:
    """Frames with the same emitters in each, drawn at the places (frames, emitters)."""
    n, each = x.shape
    emitters = Emitters(
        frame=np.repeat(np.arange(n), each),
        x_px=x.ravel(),
        y_px=y.ravel(),
        z_nm=np.zeros(x.size),
        photons=np.full(x.size, PHOTONS),
    )
    psf, index, shape = GaussianPsf(sigma_px), np.arange(n), (SIDE_PX, SIDE_PX)
    batch, camera = expose(emitters, psf, 20.0, index, shape, rng, "ideal")
    return Scene(
        batch=batch,
        truth=emitters.table(),
        calibration=camera,
        sigma_nm=SIGMA_PX * PIXEL_NM,
    )


def lone(rng: np.random.Generator, sigma_px: float = SIGMA_PX) -> Scene:
    row, column = np.mgrid[:3, :3].reshape(2, -1) * 20.0 + 11.0
    places = np.stack([column, row])[:, None] + rng.uniform(-0.5, 0.5, (2, 40, 9))
    return scene_of(*places, rng, sigma_px=sigma_px)


def as_a_network(
    scene: Scene, rng: np.random.Generator, *, error_nm: float, light: float
) -> Localizations:
    """Rows at the truth, with an error of their own that they state, and so much of the light."""
    truth, n = scene.truth, len(scene.truth)
    columns = {
        "frame": truth.frame,
        "x_nm": truth.x_nm + rng.normal(0, error_nm, n),
        "y_nm": truth.y_nm + rng.normal(0, error_nm, n),
        "photons": light * truth.photons,
        "background": np.full(n, 20.0),
        "std_x_nm": np.full(n, error_nm),
        "std_y_nm": np.full(n, error_nm),
        "std_photons": np.full(n, 100.0),
    }
    return Localizations.from_columns(columns)


def rmse_nm(locs: Localizations, scene: Scene) -> float:
    return float(np.sqrt(np.mean((locs.x_nm - scene.truth.x_nm) ** 2)))


def test_what_other_frames_have_told_a_network_counts(rng: np.random.Generator) -> None:
    scene = lone(rng)
    rows = as_a_network(scene, rng, error_nm=5.0, light=1.0)
    refiner = Refiner(scene.calibration, scene.sigma_nm)

    alone = refiner(rows, scene.batch)
    unseen = refiner(rows, scene.batch, context=np.zeros((40, 2), np.float32))
    beside = refiner(rows, scene.batch, context=np.ones((40, 2), np.float32))

    assert rmse_nm(beside, scene) < 0.9 * rmse_nm(alone, scene)
    assert rmse_nm(beside, scene) < 0.9 * rmse_nm(rows, scene)
    assert np.array_equal(alone.x_nm, unseen.x_nm)
    # Errors are stated as if both knew the same: never less than the smaller one.
    assert np.all(beside.std_x_nm >= np.minimum(rows.std_x_nm, alone.std_x_nm) - 1e-4)


def test_a_fit_that_leaves_light_yields_to_the_network(rng: np.random.Generator) -> None:
    """A spot a twentieth wider than stated passes for the PSF; that there is more light tells."""
    scene = lone(rng, sigma_px=1.05 * SIGMA_PX)
    refiner = Refiner(scene.calibration, scene.sigma_nm)
    rows = as_a_network(scene, rng, error_nm=5.0, light=1.0)
    brighter = as_a_network(scene, rng, error_nm=5.0, light=1.6)

    fitted = np.abs(refiner(rows, scene.batch).x_nm - rows.x_nm)
    shared = np.abs(refiner(brighter, scene.batch).x_nm - brighter.x_nm)

    assert np.median(shared) < 0.6 * np.median(fitted)


@pytest.mark.parametrize("beside", [0, 1, 2])
def test_two_in_focus_are_two_and_one_in_depth_is_one(
    rng: np.random.Generator, beside: int
) -> None:
    """Their spots are alike: lone, or with others 4 widths of the PSF away."""
    middle = 31.5 + rng.uniform(-0.5, 0.5, (2, 30, 1))
    apart = 0.6 * SIGMA_PX * np.array([-1.0, 1.0])
    others = 4.0 * SIGMA_PX * np.array([-1.0, 1.0])[:beside]
    x = np.concatenate([middle[0] + apart, middle[0] + np.zeros(beside)], axis=1)
    y = np.concatenate([middle[1] + 0.0 * apart, middle[1] + others], axis=1)
    scene = scene_of(x, y, rng, sigma_px=SIGMA_PX)
    refiner = Refiner(scene.calibration, scene.sigma_nm)

    def rows(light: float) -> int:
        middles = np.concatenate([middle, np.stack([x, y])[:, :, 2:]], axis=2).reshape(2, -1)
        photons = np.tile([light * 2 * PHOTONS] + beside * [light * PHOTONS], 30)
        columns = {
            "frame": np.repeat(np.arange(30), 1 + beside),
            "x_nm": middles[0] * PIXEL_NM,
            "y_nm": middles[1] * PIXEL_NM,
            "photons": photons,
            "background": np.full(photons.size, 20.0),
            "std_x_nm": np.full(photons.size, 25.0),
            "std_y_nm": np.full(photons.size, 25.0),
            "std_photons": np.full(photons.size, 400.0),
        }
        return len(refiner(Localizations.from_columns(columns), scene.batch)) - photons.size

    assert rows(1.0) >= 27
    assert rows(1.6) == 0


def test_a_network_without_errors_leaves_the_fit_as_it_is() -> None:
    fit_std, network_std = np.full(3, 5.0), np.array([np.nan, 0.0, 5.0])

    weight, std = network_weight(fit_std, network_std, np.ones(3), np.ones(3, np.bool_))

    assert weight[:2].tolist() == [0.0, 0.0]
    assert std[:2].tolist() == [5.0, 5.0]
    assert 0.5 < weight[2] < 1.0


def test_sums_are_those_of_all_that_are_near(rng: np.random.Generator) -> None:
    frame = np.sort(rng.integers(0, 3, 200)).astype(np.int32)
    y, x = rng.uniform(0, 30, (2, 200))
    order = np.lexsort((y, frame))
    y, x, values = y[order], x[order], rng.uniform(0, 1, (200, 2))

    near = (np.hypot(y[:, None] - y, x[:, None] - x) <= 4.0) & (frame[:, None] == frame)

    assert near_sums(frame, y, x, 4.0, values) == pytest.approx(near @ values)


@pytest.mark.parametrize(("per_frame", "frames"), [(SPARSE, 1200), (DENSE, 250)])
def test_fits_harm_no_figure_of_deep_tubules(
    data_dir: Callable[[str], Path], per_frame: float, frames: int
) -> None:
    psf, sigma_px = lit_psf(data_dir(BEADS).parent, "beads_2d.tif")
    rng = np.random.default_rng(3)
    scene = deep_scene(psf, sigma_px, rng, n_frames=frames, per_frame=per_frame)

    def found(*, refine: bool) -> dict[str, float]:
        localize = localizer_of(
            find_model("flagship-2d"),
            calibration=scene.calibration,
            sigma_nm=scene.sigma_nm,
            engine="openvino",
            refine=refine,
            fit_first=True,
        )
        return dict(figures.challenge(scene, localize(scene.batch)))

    with_fits, network = found(refine=True), found(refine=False)

    jaccard, rmse, efficiency = (
        kind + figures.RANKED for kind in (figures.JACCARD, figures.RMSE, figures.EFFICIENCY)
    )
    assert with_fits[jaccard] > network[jaccard] - 0.005
    assert with_fits[efficiency] > network[efficiency] - 0.5
    assert with_fits[rmse] < 1.05 * network[rmse]
