"""Camera maps, and who decides a calibration: maps, settings, file, defaults."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from rtsmlm.calibration import StatedCalibration
from rtsmlm.errors import CalibrationError
from rtsmlm.files.camera_maps import load_camera_maps, resolve_calibration, what_was_assumed
from rtsmlm.files.movies.open import open_movie
from rtsmlm.settings.camera import CameraMaps, CameraSettings
from rtsmlm.settings.resolve import resolve
from rtsmlm.settings.run import RunSettings

NOTHING = StatedCalibration()


@pytest.fixture
def stack(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return offset, variance and gain of an sCMOS of 6 x 8 pixels."""
    return np.stack(
        [
            rng.normal(100, 2, (6, 8)),
            rng.uniform(3, 30, (6, 8)),
            rng.normal(2.1, 0.05, (6, 8)),
        ]
    )


def saved(path: Path, values: NDArray[np.float64]) -> Path:
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        tifffile.imwrite(path, values.astype(np.float32), photometric="minisblack")
    return path


@pytest.mark.parametrize("suffix", ["npy", "tif"])
def test_a_stack_and_three_files_give_the_same_maps(
    stack: NDArray[np.float64], tmp_path: Path, suffix: str
) -> None:
    together = CameraMaps(stack=saved(tmp_path / f"stack.{suffix}", stack))
    apart = CameraMaps(
        offset=saved(tmp_path / f"offset.{suffix}", stack[0]),
        variance=saved(tmp_path / f"variance.{suffix}", stack[1]),
        gain=saved(tmp_path / f"gain.{suffix}", stack[2]),
    )

    for offset, gain, variance in (load_camera_maps(together), load_camera_maps(apart)):
        assert offset is not None
        assert gain is not None
        assert variance is not None
        np.testing.assert_allclose(offset, stack[0], rtol=1e-6)
        np.testing.assert_allclose(gain, stack[2], rtol=1e-6)
        np.testing.assert_allclose(variance, stack[1], rtol=1e-6)


def test_the_order_of_a_stack_can_be_told(stack: NDArray[np.float64], tmp_path: Path) -> None:
    path = saved(tmp_path / "stack.npy", stack[[2, 0, 1]])

    maps = CameraMaps(stack=path, order=("gain", "offset", "variance"))

    _, gain, _ = load_camera_maps(maps)
    assert gain is not None
    np.testing.assert_allclose(gain, stack[2], rtol=1e-6)


def test_maps_saved_the_other_way_round_are_transposed(
    stack: NDArray[np.float64], tmp_path: Path
) -> None:
    path = saved(tmp_path / "stack.npy", stack)

    offset, _, _ = load_camera_maps(CameraMaps(stack=path, transpose=True))

    assert offset is not None
    assert offset.shape == (8, 6)
    assert offset[7, 2] == np.float32(stack[0, 2, 7])


def test_maps_become_photons_and_electrons(
    stack: NDArray[np.float64], rng: np.random.Generator, tmp_path: Path
) -> None:
    offset, variance, gain = stack
    maps = CameraMaps(stack=saved(tmp_path / "stack.npy", stack))
    electrons = rng.poisson(50, (4000, 6, 8))
    adu = electrons * gain + rng.normal(offset, np.sqrt(variance), (4000, 6, 8))
    pixels = np.round(adu).astype(np.uint16)

    calibration = resolve_calibration(CameraSettings(maps=maps, pixel_nm=160), NOTHING)
    photons = calibration.to_photons(pixels)

    # Poisson variance 50, read noise, and a twelfth of an ADU² of rounding.
    expected = 50 + calibration.read_variance() + 1 / (12 * gain**2)
    np.testing.assert_allclose(photons.mean(axis=0), 50, atol=4 * np.sqrt(60 / 4000))
    np.testing.assert_allclose(photons.var(axis=0), expected, rtol=0.12)
    assert calibration.map_shape == (6, 8)


def test_maps_win_over_settings_and_settings_over_what_is_stated(
    stack: NDArray[np.float64], tmp_path: Path
) -> None:
    stated = StatedCalibration(pixel_nm=150, offset_adu=90, e_per_adu=0.3, em_gain=20)
    camera = CameraSettings(
        offset_adu=105, e_per_adu=0.5, maps=CameraMaps(offset=saved(tmp_path / "o.npy", stack[0]))
    )

    calibration = resolve_calibration(camera, stated)

    np.testing.assert_allclose(calibration.offset_adu, stack[0], rtol=1e-6)
    assert (calibration.e_per_adu, calibration.em_gain, calibration.pixel_nm) == (0.5, 20, 150)
    assert calibration.read_noise_e == 1.6


def test_a_variance_map_without_a_gain_map_uses_the_gain_that_is_known(tmp_path: Path) -> None:
    path = saved(tmp_path / "variance.npy", np.full((4, 4), 9.0))

    calibration = resolve_calibration(
        CameraSettings(e_per_adu=0.5, maps=CameraMaps(variance=path)), NOTHING
    )

    assert calibration.read_noise_e == pytest.approx(1.5)


def test_every_value_that_nobody_stated_is_named(tmp_path: Path) -> None:
    gain = saved(tmp_path / "gain.npy", np.full((4, 4), 2.0))
    camera = CameraSettings(pixel_nm=108, maps=CameraMaps(gain=gain))

    assumed = what_was_assumed(camera, StatedCalibration(em_gain=1))

    assert assumed == [
        "dark value of 100 ADU (camera.offset_adu)",
        "read noise of 1.6 electrons (camera.read_noise_e)",
    ]
    assert len(what_was_assumed(CameraSettings(), NOTHING)) == 5


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gain", 0.0, r"gain map .* has 2 unusable pixels of 16, .* row 1, column 2"),
        ("gain", -2.0, "above 0"),
        ("gain", np.nan, r"\(nan\)"),
        ("offset", np.inf, "offset map .* 2 unusable"),
        ("variance", -1.0, "not negative"),
        ("variance", np.nan, "variance map .* 2 unusable"),
        ("variance", 1e300, r"\(inf\)"),
        ("offset", -1e9, "from -65535"),
        ("gain", 1e-44, "above 0"),
    ],
)
def test_impossible_pixels_are_counted_and_placed(
    tmp_path: Path, name: str, value: float, message: str
) -> None:
    values = np.full((4, 4), 2.0)
    values[1, 2] = values[3, 0] = value
    maps = CameraMaps(**{name: saved(tmp_path / f"{name}.npy", values)})

    with pytest.raises(CalibrationError, match=message):
        load_camera_maps(maps)


def test_maps_of_different_size_are_named(tmp_path: Path) -> None:
    maps = CameraMaps(
        gain=saved(tmp_path / "gain.npy", np.ones((4, 4))),
        offset=saved(tmp_path / "offset.npy", np.ones((4, 5))),
    )

    with pytest.raises(CalibrationError, match="offset 4 x 5, gain 4 x 4"):
        load_camera_maps(maps)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("maps.npy", b""),
        ("maps.npy", b"\x93NUMPY\x01\x00\x10\x00{'shape': __import_"),
        ("maps.tif", b""),
        ("maps.tif", b"II*\x00\xff\xff\xff\x7f"),
        ("maps.csv", b"1,2,3"),
    ],
)
def test_files_that_are_no_maps_are_refused_by_name(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(CalibrationError, match=re.escape(str(path))):
        load_camera_maps(CameraMaps(gain=path))


@pytest.mark.parametrize("shape", [(2, 4, 4), (3, 4), (4, 4, 3)])
def test_a_stack_of_another_form_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = saved(tmp_path / "stack.npy", np.ones(shape))

    with pytest.raises(CalibrationError, match="stack of camera maps"):
        load_camera_maps(CameraMaps(stack=path))


def test_a_map_that_is_cut_short_or_pickled_is_refused(tmp_path: Path) -> None:
    cut = saved(tmp_path / "cut.npy", np.ones((40, 40)))
    cut.write_bytes(cut.read_bytes()[:-8])
    pickled = tmp_path / "pickled.npy"
    np.save(pickled, np.array([[{}]], dtype=object), allow_pickle=True)

    for path in (cut, pickled, tmp_path / "missing.npy"):
        with pytest.raises(CalibrationError, match=path.name):
            load_camera_maps(CameraMaps(gain=path))


def test_an_unknown_name_in_the_order_is_refused(
    stack: NDArray[np.float64], tmp_path: Path
) -> None:
    path = saved(tmp_path / "stack.npy", stack)

    with pytest.raises(CalibrationError, match="order"):
        load_camera_maps(CameraMaps(stack=path, order=("offset", "gain", "gain")))


def test_real_scmos_maps_lie_on_the_frames_only_when_transposed(
    data_dir: Callable[[str], Path],
) -> None:
    folder = data_dir("storm_scmos")
    with open_movie(folder / "sample.dax") as movie:
        noise = movie.read(range(movie.n_frames)).var(axis=0)

    def correlation(transpose: bool) -> float:
        maps = CameraMaps(stack=folder / "calib.npy", transpose=transpose)
        _, _, variance = load_camera_maps(maps)
        assert variance is not None
        # Noisy pixels flicker most; the logarithm keeps emitters from deciding.
        return float(np.corrcoef(np.log(variance).ravel(), np.log(noise + 0.1).ravel())[0, 1])

    assert correlation(transpose=True) > 0.4
    assert abs(correlation(transpose=False)) < 0.05


def chip(rng: np.random.Generator, folder: Path) -> tuple[CameraMaps, dict[str, NDArray[Any]]]:
    """Maps of a whole chip of 90 x 70 pixels, on disk."""
    values = {
        "offset": rng.normal(100, 2, (90, 70)),
        "gain": rng.normal(2.1, 0.05, (90, 70)),
        "variance": rng.uniform(3, 30, (90, 70)),
    }
    return CameraMaps(**{n: saved(folder / f"{n}.npy", v) for n, v in values.items()}), values


REGION = (11, 23, 40, 32)
"""x, y, width, height of frames of 32 x 40 pixels."""


def test_maps_of_the_chip_are_cut_to_the_region_that_camera_or_movie_state(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    maps, values = chip(rng, tmp_path)

    found = resolve_calibration(CameraSettings(maps=maps), StatedCalibration(region=REGION))

    found.check_frame_shape((32, 40))
    assert np.array_equal(found.offset_adu, values["offset"][23:55, 11:51].astype(np.float32))
    np.testing.assert_allclose(found.e_per_adu, 1 / values["gain"][23:55, 11:51], rtol=1e-6)
    [note] = found.notes
    assert "90 x 70" in note
    assert "32 x 40 pixels from row 23, column 11" in note
    # The analysis is a process of its own, and knows what the settings say.
    in_force = resolve(RunSettings(camera=CameraSettings(maps=maps)), calibration=found)
    again = resolve_calibration(in_force.camera, NOTHING)
    assert np.array_equal(again.offset_adu, found.offset_adu)


def test_the_region_that_is_set_wins_and_must_lie_on_the_maps(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    maps, values = chip(rng, tmp_path)
    stated = StatedCalibration(region=REGION)
    placed = CameraSettings(maps=maps.model_copy(update={"roi": (1, 2, 40, 32)}))
    outside = CameraSettings(maps=maps.model_copy(update={"roi": (60, 2, 40, 32)}))

    found = resolve_calibration(placed, stated)

    assert np.array_equal(found.offset_adu, values["offset"][2:34, 1:41].astype(np.float32))
    with pytest.raises(CalibrationError, match=r"camera\.maps\.roi is \[60, 2, 40, 32\]"):
        resolve_calibration(outside, stated)


def test_maps_that_have_the_size_of_the_frames_are_not_cut(
    stack: NDArray[np.float64], tmp_path: Path
) -> None:
    camera = CameraSettings(maps=CameraMaps(stack=saved(tmp_path / "s.npy", stack)))

    found = resolve_calibration(camera, StatedCalibration(region=(500, 600, 8, 6)))

    assert found.map_shape == (6, 8)
    assert found.notes == ()


def test_maps_of_another_size_are_refused_with_the_setting_that_helps(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    maps, _ = chip(rng, tmp_path)
    found = resolve_calibration(CameraSettings(maps=maps), NOTHING)

    with pytest.raises(CalibrationError, match=r"90 x 70.*32 x 40.*camera\.maps\.roi = \[x, y, 40"):
        found.check_frame_shape((32, 40))
    with pytest.raises(CalibrationError, match=r"camera\.maps\.transpose = true"):
        found.check_frame_shape((70, 90))


@pytest.mark.parametrize(
    ("name", "dead"),
    [("gain", (0.0, np.nan, -1.0)), ("variance", (np.inf, np.nan, -4.0)), ("offset", (np.nan,))],
)
def test_dead_pixels_take_the_median_of_their_neighbours_and_are_counted(
    rng: np.random.Generator, tmp_path: Path, name: str, dead: tuple[float, ...]
) -> None:
    maps, values = chip(rng, tmp_path)
    places = [(0, 0), (40, 30), (89, 69)][: len(dead)]
    spoilt = values[name].copy()
    for place, value in zip(places, dead, strict=True):
        spoilt[place] = value
    saved(tmp_path / f"{name}.npy", spoilt)
    notes: list[str] = []

    found = dict(
        zip(("offset", "gain", "variance"), load_camera_maps(maps, notes.append), strict=True)
    )[name]

    assert found is not None
    expected = {
        (0, 0): [spoilt[0, 1], spoilt[1, 0], spoilt[1, 1]],
        (40, 30): np.delete(spoilt[39:42, 29:32].ravel(), 4),
        (89, 69): [spoilt[88, 68], spoilt[88, 69], spoilt[89, 68]],
    }
    for place in places:
        assert found[place] == pytest.approx(np.median(expected[place]), rel=1e-6)
    kept = np.isfinite(spoilt) & (found == spoilt.astype(np.float32))
    assert int((~kept).sum()) == len(dead)
    [note] = notes
    assert f"{len(dead)} dead pixel" in note
    assert "row 0, column 0" in note


def test_a_cluster_of_dead_pixels_takes_its_neighbours_further_out(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    maps, values = chip(rng, tmp_path)
    spoilt = values["gain"].copy()
    spoilt[20:25, 30:35] = 0
    saved(tmp_path / "gain.npy", spoilt)

    _, gain, _ = load_camera_maps(maps)

    assert gain is not None
    assert gain[22, 32] == pytest.approx(2.1, abs=0.1)
