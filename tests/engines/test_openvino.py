"""The shipped network on the CPU: places, units, context, and refusals."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.analysis import metrics
from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.network import NetworkLocalizer
from rtsmlm.engines.runtimes import localizer_of, open_network
from rtsmlm.errors import CalibrationError, ConfigError, FileFormatError, LocalizerError
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import ONNX_NAME
from rtsmlm.physics.gaussian import render_spots
from rtsmlm.settings.load import load

PIXEL_NM = 100.0
IDEAL = CameraCalibration(pixel_nm=PIXEL_NM, offset_adu=100.0, e_per_adu=1.0)


def flagship(calibration: CameraCalibration = IDEAL, sigma_px: float = 1.3) -> NetworkLocalizer:
    """Return the network that looks at whole frames."""
    sigma_nm = sigma_px * calibration.pixel_nm
    settings = load(None, ["localizer.fit_first=false"])
    return open_network(find_model("flagship-2d"), settings, calibration, sigma_nm)


def scene(
    rng: np.random.Generator,
    n_frames: int,
    n_emitters: int,
    *,
    shape: tuple[int, int] = (96, 128),
    photons: float = 1500.0,
    sigma_px: float = 1.3,
    background: float = 20.0,
) -> tuple[np.ndarray, Localizations]:
    """Mean light of independent frames, and the truth."""
    means, parts = [], []
    for k in range(n_frames):
        y, x = (rng.uniform(6, side - 7, n_emitters) for side in shape)
        light = np.full(n_emitters, photons)
        means.append(render_spots(shape, x, y, light, sigma_px, background))
        columns = {"frame": np.full(n_emitters, k), "x_nm": x * PIXEL_NM, "y_nm": y * PIXEL_NM}
        parts.append(Localizations.from_columns({**columns, "photons": light}))
    return np.stack(means), Localizations.concatenate(parts)


def frames(rng: np.random.Generator, means: np.ndarray, step: int = 2) -> FrameBatch:
    """Shot noise on an offset of 100; numbers with gaps, so that no frame has a neighbour."""
    pixels = (rng.poisson(means) + 100).astype(np.uint16)
    return FrameBatch.from_pixels(pixels, index=np.arange(len(pixels)) * step)


def score(found: Localizations, truth: Localizations, step: int = 2) -> metrics.Metrics:
    columns = found.columns()
    columns["frame"] = found.frame // step
    field = metrics.Field.of_image((96, 128), PIXEL_NM)
    return metrics.evaluate(Localizations.from_columns(columns), truth, field)


@pytest.mark.parametrize(("sigma_px", "photons"), [(1.0, 1000), (1.3, 1500), (1.8, 3000)])
def test_isolated_emitters_are_found_where_they_are_with_their_photons(
    rng: np.random.Generator, sigma_px: float, photons: float
) -> None:
    means, truth = scene(rng, 60, 4, photons=photons, sigma_px=sigma_px)

    result = score(flagship(sigma_px=sigma_px)(frames(rng, means)), truth)

    assert result.recall > 0.97
    assert result.precision > 0.98
    assert abs(result.median_dx_nm) < 2.5
    assert abs(result.median_dy_nm) < 2.5
    assert 0.93 < result.photons_ratio < 1.07
    assert 0.8 < result.std_ratio < 1.3, "the stated precision is honest"


def test_at_two_emitters_per_square_micrometre_it_finds_what_a_fit_cannot(
    rng: np.random.Generator,
) -> None:
    means, truth = scene(rng, 12, 2 * 123, photons=2000)

    result = score(flagship()(frames(rng, means)), truth)

    assert result.jaccard > 0.7


def test_empty_frames_stay_empty(rng: np.random.Generator) -> None:
    means = np.full((80, 96, 128), 20.0)

    found = flagship()(frames(rng, means))

    assert len(found) <= 2


def test_an_emccd_counts_its_photons_before_the_gain(rng: np.random.Generator) -> None:
    camera = CameraCalibration(
        pixel_nm=PIXEL_NM, offset_adu=100.0, e_per_adu=45.0, em_gain=300.0, read_noise_e=74.4
    )
    means, truth = scene(rng, 40, 4, photons=2500)
    electrons = rng.gamma(np.maximum(rng.poisson(means), 1e-9), 300.0)
    pixels = (electrons / 45.0 + rng.normal(0, 74.4 / 45.0, means.shape) + 100).astype(np.uint16)
    batch = FrameBatch.from_pixels(pixels, index=2 * np.arange(40))

    result = score(flagship(camera)(batch), truth)

    assert result.recall > 0.95
    assert 0.9 < result.photons_ratio < 1.1


def test_camera_maps_are_taken_out_of_the_frames(rng: np.random.Generator) -> None:
    shape = (96, 128)
    offset = rng.normal(100, 15, shape).astype(np.float32)
    adu_per_e = rng.normal(2.0, 0.1, shape).astype(np.float32)
    camera = CameraCalibration(
        pixel_nm=PIXEL_NM,
        offset_adu=offset,
        e_per_adu=1 / adu_per_e,
        read_noise_e=np.full(shape, 1.0, np.float32),
    )
    means, truth = scene(rng, 40, 4)
    pixels = (rng.poisson(means) * adu_per_e + rng.normal(offset, adu_per_e)).round()
    batch = FrameBatch.from_pixels(pixels.astype(np.uint16), index=2 * np.arange(40))

    with_maps = score(flagship(camera)(batch), truth)
    without = score(
        flagship(CameraCalibration(pixel_nm=PIXEL_NM, offset_adu=100.0, e_per_adu=0.5))(batch),
        truth,
    )

    assert with_maps.recall > 0.97
    assert with_maps.rmse_lateral_nm < 0.85 * without.rmse_lateral_nm


def test_the_rows_of_a_frame_do_not_depend_on_how_frames_are_batched(
    rng: np.random.Generator,
) -> None:
    means, _ = scene(rng, 21, 6)
    batch, localize = frames(rng, means, step=1), flagship()

    whole = localize(batch).columns()
    pieces = Localizations.concatenate(
        [localize(batch, slice(a, b)) for a, b in ((0, 1), (1, 12), (12, 20), (20, 21))]
    ).columns()

    for name, column in whole.items():
        assert np.array_equal(column, pieces[name], equal_nan=True), name


def test_neighbours_matter_and_a_gap_is_no_neighbour(rng: np.random.Generator) -> None:
    means, _ = scene(rng, 1, 6, photons=300)
    pixels = (rng.poisson(np.repeat(means, 3, axis=0)) + 100).astype(np.uint16)
    localize = flagship()

    def middle(index: list[int]) -> Localizations:
        return localize(FrameBatch.from_pixels(pixels, index=np.array(index)), slice(1, 2))

    alone = localize(FrameBatch.from_pixels(pixels[1:2]))
    assert not np.array_equal(middle([0, 1, 2]).photons, alone.photons)
    assert np.array_equal(middle([0, 5, 9]).photons, alone.photons)


def test_a_frame_size_that_is_no_multiple_of_eight_is_padded_and_cut_again(
    rng: np.random.Generator,
) -> None:
    means, truth = scene(rng, 20, 4, shape=(93, 121))

    found = flagship()(frames(rng, means))

    field = metrics.Field.of_image((93, 121), PIXEL_NM)
    columns = {**found.columns(), "frame": found.frame // 2}
    result = metrics.evaluate(Localizations.from_columns(columns), truth, field)
    assert result.recall > 0.95
    assert found.x_nm.max() <= 120.5 * PIXEL_NM


def test_a_psf_outside_the_trained_range_is_refused_with_what_to_do() -> None:
    with pytest.raises(CalibrationError, match="gaussian-mle"):
        flagship(sigma_px=5.0)


def test_a_model_that_was_changed_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(find_model("flagship-2d"), folder)
    with (folder / ONNX_NAME).open("ab") as file:
        file.write(b"\0")

    with pytest.raises(FileFormatError, match="sha256"):
        localizer_of(folder, calibration=IDEAL, sigma_nm=130)


def test_an_unknown_model_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="flagship-2d"):
        find_model("flagship-4d")


def test_frames_of_another_type_are_refused() -> None:
    batch = FrameBatch.from_pixels(np.zeros((1, 32, 32), np.float32))  # type: ignore[arg-type]

    with pytest.raises(LocalizerError, match="uint16"):
        flagship()(batch)
