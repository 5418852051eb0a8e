"""The packaged DeepSTORM3D: dense emitters over 4 um of depth, on every engine."""

import numpy as np
import pytest

from rtsmlm.analysis.metrics import Field, Metrics, Protocol, evaluate
from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.runtimes import localizer_of
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import load_manifest
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.physics.psf import TablePsf

NAME = "deepstorm3d"
SIDE_PX, EDGE_PX = 121, 12
CAMERA = CameraCalibration(pixel_nm=110.0, offset_adu=100.0, e_per_adu=1.0, read_noise_e=1.5)


@pytest.fixture(scope="module")
def psf() -> TablePsf:
    recipe = Recipe.model_validate(load_manifest(find_model(NAME)).training.recipe)
    return recipe.psf.load(recipe.optics).table


def scene(psf: TablePsf, n_frames: int, per_frame: int) -> tuple[FrameBatch, Localizations]:
    """Return frames of emitters of 10 000 photons on 20 per pixel, and these."""
    rng = np.random.default_rng(4)
    n = n_frames * per_frame
    frame = np.repeat(np.arange(n_frames), per_frame)
    x, y = rng.uniform(EDGE_PX, SIDE_PX - EDGE_PX - 1, (2, n))
    z = rng.uniform(-1950.0, 1950.0, n)
    mean = np.full((n_frames, SIDE_PX, SIDE_PX), 20.0, dtype=np.float32)
    for k, image in enumerate(mean):
        here = frame == k
        psf.render(image, x[here], y[here], z[here], np.full(per_frame, 10_000.0))
    adu = 100.0 + rng.poisson(mean) + rng.normal(0.0, 1.5, mean.shape)
    columns = {"frame": frame, "x_nm": 110 * x, "y_nm": 110 * y, "z_nm": z}
    truth = Localizations.from_columns(columns | {"photons": np.full(n, 10_000.0)})
    return FrameBatch.from_pixels(np.rint(adu).clip(0).astype(np.uint16)), truth


def localized(batch: FrameBatch, engine: str, precision: str | None = None) -> Localizations:
    localizer = localizer_of(
        find_model(NAME), calibration=CAMERA, sigma_nm=130.0, engine=engine, precision=precision
    )
    return localizer(batch)


def scored(found: Localizations, truth: Localizations) -> Metrics:
    field = Field.of_image((SIDE_PX, SIDE_PX), 110.0)
    return evaluate(found, truth, field, Protocol(axial_nm=500.0, border_nm=0.0), 8)


def test_ten_tetrapods_in_a_frame_are_found_with_their_depths(psf: TablePsf) -> None:
    batch, truth = scene(psf, 8, 10)

    figures = scored(localized(batch, "openvino"), truth)

    assert figures.jaccard > 0.8
    assert figures.rmse_lateral_nm < 40.0
    assert figures.rmse_axial_nm < 60.0
    assert figures.photons_ratio == pytest.approx(1.0, abs=0.1)
    assert 0.6 < figures.std_ratio < 1.6


def test_engines_agree_within_half_a_nanometre_and_half_a_percent(psf: TablePsf) -> None:
    pytest.importorskip("torch")
    batch, _ = scene(psf, 3, 10)

    a, b = localized(batch, "torch", "f32"), localized(batch, "openvino", "f32")

    assert len(a) == len(b) > 15
    for name in ("x_nm", "y_nm", "z_nm"):
        np.testing.assert_allclose(getattr(b, name), getattr(a, name), atol=0.5)
    np.testing.assert_allclose(b.photons, a.photons, rtol=5e-3)
