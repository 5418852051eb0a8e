"""Maps to localizations: positions, units, candidates, duplicates."""

import math
from typing import Any

import numpy as np
import pytest

from rtsmlm.errors import LocalizerError
from rtsmlm.localizations import F32, Localizations
from rtsmlm.models.flagship.decode import decode
from rtsmlm.models.flagship.maps import AXIAL_BACKGROUND_CHANNEL, BACKGROUND_CHANNEL
from rtsmlm.models.psf_condition import DepthRange
from rtsmlm.models.rows import CROWD_KNOTS, DecodeSettings

SHAPE = (32, 40)
DARK = -12.0


def dark_maps(n: int = 1, shape: tuple[int, int] = SHAPE) -> F32:
    maps = np.zeros((n, 32, shape[0] // 2, shape[1] // 2), dtype=np.float32)
    maps[:, :4] = DARK
    return maps


def set_slot(
    maps: F32,
    k: int,
    row: int,
    column: int,
    *,
    p: float,
    x: float,
    y: float,
    photons: float = 1000.0,
    std_px: float = 0.1,
    std_log: float = 0.05,
) -> None:
    """Write what a network would state at one pixel; x and y in pixels of the frame."""
    values = (
        math.log(p / (1 - p)),
        math.atanh(x - column),
        math.atanh(y - row),
        math.log(photons / 1000.0),
        math.log(std_px) + 2.0,
        math.log(std_px) + 2.0,
        math.log(std_log) + 2.0,
    )
    for attribute, value in enumerate(values):
        channel = 4 * attribute + 2 * (row % 2) + column % 2
        maps[k, channel, row // 2, column // 2] = value


def locs_of(maps: F32, **options: Any) -> Localizations:
    shape = options.pop("shape", SHAPE)
    return decode(maps, np.arange(len(maps)), shape=shape, pixel_nm=100.0, **options)


@pytest.mark.parametrize(("row", "column"), [(4, 6), (5, 6), (4, 7), (5, 7)])
def test_every_slot_of_a_cell_puts_its_emitter_where_the_frame_has_it(
    row: int, column: int
) -> None:
    maps = dark_maps()
    set_slot(maps, 0, row, column, p=0.97, x=column + 0.3, y=row - 0.2, photons=1500.0)

    locs = locs_of(maps)

    assert len(locs) == 1
    assert locs.x_nm[0] == pytest.approx(100.0 * (column + 0.3), abs=0.01)
    assert locs.y_nm[0] == pytest.approx(100.0 * (row - 0.2), abs=0.01)
    assert locs.photons[0] == pytest.approx(1500.0, rel=1e-4)
    assert locs.std_x_nm[0] == pytest.approx(10.0, rel=1e-4)
    assert locs.std_photons[0] == pytest.approx(75.0, rel=1e-4)


def test_the_background_is_that_of_the_cell_under_the_emitter() -> None:
    maps = dark_maps()
    maps[0, BACKGROUND_CHANNEL] = math.log(7.0) / 3.0
    maps[0, BACKGROUND_CHANNEL, 5, 8] = math.log(40.0) / 3.0
    set_slot(maps, 0, 10, 17, p=0.97, x=17.0, y=10.0)

    assert locs_of(maps).background[0] == pytest.approx(40.0, rel=1e-4)


def test_an_emitter_at_a_corner_of_four_pixels_is_found_once() -> None:
    maps = dark_maps()
    for row in (8, 9):
        for column in (12, 13):
            set_slot(maps, 0, row, column, p=0.2, x=12.5, y=8.5)

    locs = locs_of(maps)

    assert len(locs) == 1
    assert locs.x_nm[0] == pytest.approx(1250.0, abs=0.01)
    assert locs.probability[0] == pytest.approx(0.8, abs=1e-3)


def test_two_equal_neighbours_that_mean_the_same_emitter_are_one() -> None:
    maps = dark_maps()
    set_slot(maps, 0, 8, 12, p=0.9, x=12.5, y=8.0)
    set_slot(maps, 0, 8, 13, p=0.9, x=12.6, y=8.0)

    assert len(locs_of(maps)) == 1


def test_on_the_border_of_two_pixels_both_have_a_say() -> None:
    maps = dark_maps()
    set_slot(maps, 0, 8, 8, p=0.55, x=8.46, y=8.1, std_px=0.03)
    set_slot(maps, 0, 8, 9, p=0.44, x=8.56, y=8.1, std_px=0.03)

    locs = locs_of(maps)

    share = 0.55 / 0.99
    assert len(locs) == 1
    assert locs.x_nm[0] == pytest.approx(100.0 * (share * 8.46 + (1 - share) * 8.56), abs=0.01)
    between = share * (1 - share) * 0.1**2
    assert locs.std_x_nm[0] == pytest.approx(100.0 * math.sqrt(0.03**2 + between), rel=1e-3)
    assert locs.std_y_nm[0] == pytest.approx(3.0, rel=1e-3)


def test_two_neighbours_that_mean_emitters_apart_are_two() -> None:
    maps = dark_maps()
    set_slot(maps, 0, 8, 12, p=0.9, x=11.8, y=8.0)
    set_slot(maps, 0, 8, 13, p=0.8, x=13.2, y=8.0)

    locs = locs_of(maps)

    assert sorted(locs.x_nm.round(1)) == [1180.0, 1320.0]


def test_improbable_pixels_are_not_reported() -> None:
    maps = dark_maps()
    set_slot(maps, 0, 8, 12, p=0.4, x=12.0, y=8.0)

    assert len(locs_of(maps)) == 0
    assert len(locs_of(maps, settings=DecodeSettings(min_probability=0.3))) == 1


def test_a_vague_row_must_be_the_more_probable() -> None:
    maps = dark_maps()
    # A quarter of its photons unsure: as noise in a dark frame is. A tenth: no noise is so bright.
    set_slot(maps, 0, 8, 12, p=0.8, x=12.0, y=8.0, std_log=0.25)
    set_slot(maps, 0, 20, 12, p=0.95, x=12.0, y=20.0, std_log=0.25)
    set_slot(maps, 0, 20, 30, p=0.8, x=30.0, y=20.0, std_log=0.1)

    locs = locs_of(maps)

    assert sorted(zip(locs.x_nm, locs.y_nm, strict=True)) == [(1200.0, 2000.0), (3000.0, 2000.0)]


def test_light_of_an_emccd_enters_halved_and_leaves_whole() -> None:
    maps = dark_maps()
    maps[0, BACKGROUND_CHANNEL] = math.log(10.0) / 3.0
    set_slot(maps, 0, 8, 12, p=0.9, x=12.0, y=8.0, photons=700.0)

    locs = locs_of(maps, excess_noise=2.0)

    assert locs.photons[0] == pytest.approx(1400.0, rel=1e-4)
    assert locs.background[0] == pytest.approx(20.0, rel=1e-4)
    assert locs.std_x_nm[0] == pytest.approx(10.0, rel=1e-4)


def test_crowds_widen_the_stated_error_as_calibrated() -> None:
    maps = dark_maps()
    set_slot(maps, 0, 8, 8, p=0.999, x=8.0, y=8.0)
    set_slot(maps, 0, 8, 11, p=0.999, x=11.0, y=8.0)
    set_slot(maps, 0, 24, 32, p=0.999, x=32.0, y=24.0)

    factors = (1.2, 1.2, 1.2, 1.7, 1.7, 1.7)
    locs = locs_of(maps, settings=DecodeSettings(std_scale=factors))

    assert locs.std_x_nm == pytest.approx([17.0, 17.0, 12.0], rel=1e-2)


def test_padding_is_not_searched() -> None:
    maps = dark_maps()
    set_slot(maps, 0, 30, 12, p=0.9, x=12.0, y=30.0)
    set_slot(maps, 0, 12, 38, p=0.9, x=38.0, y=12.0)

    assert len(locs_of(maps, shape=(30, 38))) == 0
    assert len(locs_of(maps)) == 2


def test_maps_of_nan_have_no_emitters() -> None:
    assert len(locs_of(np.full_like(dark_maps(2), np.nan))) == 0


def test_rows_do_not_depend_on_how_frames_are_batched(rng: np.random.Generator) -> None:
    maps = rng.normal(-3.0, 2.0, (5, 32, 16, 20)).astype(np.float32)
    frame = np.array([3, 4, 7, 8, 100])

    whole = decode(maps, frame, shape=SHAPE, pixel_nm=100.0)
    single = [
        decode(maps[i : i + 1], frame[i : i + 1], shape=SHAPE, pixel_nm=100.0) for i in range(5)
    ]

    assert len(whole) == sum(map(len, single)) > 5
    assert np.array_equal(whole.x_nm, np.concatenate([part.x_nm for part in single]))
    assert np.array_equal(whole.frame, np.concatenate([part.frame for part in single]))


def test_a_frame_of_more_emitters_than_expected_keeps_all_of_them() -> None:
    side = 320
    maps = dark_maps(1, (side, side))
    maps[0, 0] = 4.0

    locs = locs_of(maps, shape=(side, side))

    assert len(locs) == (side // 2) ** 2 > 4096


def test_maps_that_do_not_fit_the_frames_are_refused() -> None:
    with pytest.raises(LocalizerError, match="do not cover frames"):
        locs_of(dark_maps(), shape=(64, 64))
    with pytest.raises(LocalizerError, match="must be"):
        decode(dark_maps(2), np.arange(3), shape=SHAPE, pixel_nm=100.0)
    with pytest.raises(LocalizerError, match="min_probability"):
        DecodeSettings(min_probability=0.0)


def test_heights_are_counted_from_the_middle_of_the_range_in_half_ranges() -> None:
    maps = np.zeros((1, 40, 16, 20), dtype=np.float32)
    maps[:, :4] = DARK
    set_slot(maps, 0, 8, 10, p=0.97, x=10.2, y=8.1)
    maps[0, AXIAL_BACKGROUND_CHANNEL] = math.log(9.0) / 3.0
    maps[0, 28, 4, 5] = math.atanh(0.5 / 1.25)
    maps[0, 32, 4, 5] = math.log(0.05) + 2.0

    locs = locs_of(maps, depth=DepthRange(middle_nm=50.0, half_nm=600.0))

    assert locs.z_nm[0] == pytest.approx(350.0, abs=0.05)
    assert locs.std_z_nm[0] == pytest.approx(30.0, rel=1e-4)
    assert locs.background[0] == pytest.approx(9.0, rel=1e-4)
    assert np.isnan(locs_of(dark_with_one()).std_z_nm[0]), "a round PSF tells no height"


def dark_with_one() -> F32:
    maps = dark_maps()
    set_slot(maps, 0, 8, 10, p=0.97, x=10.2, y=8.1)
    return maps


def test_factors_on_stated_errors_are_one_for_each_knot() -> None:
    with pytest.raises(LocalizerError, match=r"std_scale has 1 factors"):
        DecodeSettings(std_scale=(1.0,))
    doubled = DecodeSettings(std_scale=(2.0,) * len(CROWD_KNOTS))

    assert locs_of(dark_with_one(), settings=doubled).std_x_nm[0] == pytest.approx(20.0, rel=1e-4)
