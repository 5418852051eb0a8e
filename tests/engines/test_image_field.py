"""The field of an image of localizations is where these lie, and nothing is left out in silence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsmlm.engines import image_field
from rtsmlm.engines.image_field import (
    MARGIN_NM,
    MOST_PX,
    ImageField,
    RowBounds,
    field_of,
    frames_field,
)
from rtsmlm.errors import ConfigError
from rtsmlm.localizations import Localizations

CAMERA_NM, PIXEL_NM = 100.0, 20.0
FRAMES = frames_field((40, 50), CAMERA_NM, PIXEL_NM)


def rows_at(x_nm: np.ndarray, y_nm: np.ndarray) -> Localizations:
    return Localizations.from_columns({"frame": np.arange(len(x_nm)), "x_nm": x_nm, "y_nm": y_nm})


def field(rows: Localizations, frames: ImageField | None = None) -> ImageField:
    sides = None if frames is None else (40 * CAMERA_NM, 50 * CAMERA_NM)
    bounds = RowBounds(sides, CAMERA_NM)
    for part in np.array_split(np.arange(len(rows)), 3):
        bounds.add(rows.take(part))
    return field_of(frames, bounds, PIXEL_NM)


def spread(n: int, x: tuple[float, float], y: tuple[float, float]) -> Localizations:
    rng = np.random.default_rng(4)
    return rows_at(rng.uniform(*x, n), rng.uniform(*y, n))


def counted(rows: Localizations, of: ImageField) -> int:
    inside, (row, column) = of.pixels(rows)
    height, width = of.shape
    assert ((row >= 0) & (row < height) & (column >= 0) & (column < width)).all()
    return int(inside.sum())


@pytest.mark.parametrize(
    ("x", "y"),
    [((5.0e6, 5.01e6), (8.0e6, 8.02e6)), ((-9.0e4, -8.0e4), (-3.0e4, 1.0e4))],
    ids=["far on a stage", "negative"],
)
def test_rows_without_frames_have_the_field_in_which_they_lie(
    x: tuple[float, float], y: tuple[float, float]
) -> None:
    rows = spread(500, x, y)

    found = field(rows)

    assert counted(rows, found) == 500
    assert found.corner_nm == pytest.approx((rows.x_nm.min(), rows.y_nm.min()), abs=PIXEL_NM)
    height, width = (n * PIXEL_NM for n in found.shape)
    assert (width, height) == pytest.approx((np.ptp(x), np.ptp(y)), rel=0.02)


def test_rows_that_drift_beside_the_frames_widen_their_field_and_far_ones_do_not() -> None:
    inside = spread(100, (0, 4900), (0, 3900))
    drifted = rows_at(np.array([-730.0, 5210.0]), np.array([100.0, 4400.0]))
    lost = rows_at(np.array([6000.0 + MARGIN_NM]), np.array([100.0]))

    assert field(inside, FRAMES) == FRAMES
    found = field(Localizations.concatenate([inside, drifted, lost]), FRAMES)

    assert counted(Localizations.concatenate([inside, drifted]), found) == 102
    assert counted(lost, found) == 0
    assert found.start == (0, -34), "680 nm left of the corner at -50 nm"
    assert found.corner_nm == (-730.0, -50.0)
    assert found.within(FRAMES) == (slice(0, 200), slice(34, 284))
    assert FRAMES.within(found) == (slice(0, 200), slice(0, 250))


def test_frames_that_most_rows_lie_outside_of_do_not_count() -> None:
    rows = spread(300, (2.0e6, 2.004e6), (0.0, 4000.0))

    found = field(rows, FRAMES)

    assert counted(rows, found) == 300
    assert math.prod(found.shape) <= 201 * 201


def test_a_stray_row_does_not_make_the_field_too_large_and_is_counted() -> None:
    rows = spread(5000, (1.0e5, 1.2e5), (0.0, 2.0e4))
    stray = rows_at(np.array([1.0e9]), np.array([-1.0e9]))

    found = field(Localizations.concatenate([rows, stray]))

    assert counted(stray, found) == 0
    assert counted(rows, found) > 4990
    assert math.prod(found.shape) < 1100 * 1100


def test_a_field_that_is_too_large_is_refused_with_where_it_lies_and_how_large_it_is() -> None:
    with pytest.raises(ConfigError, match=r"lie in x .* to .* µm, .*20 nm, and 268,435,456 are"):
        field(spread(2000, (0.0, 1.0e6), (-2.0e6, 1.0e6)))
    with pytest.raises(ConfigError, match=r"frames of 9000 x 9000 .*; set micromanager.roi"):
        frames_field((9000, 9000), CAMERA_NM, PIXEL_NM)
    with pytest.raises(ConfigError, match="holds no localizations"):
        field(spread(0, (0, 1), (0, 1)))
    assert MOST_PX == 268_435_456


def test_rows_of_no_place_lie_nowhere() -> None:
    rows = rows_at(np.array([np.nan, 10.0, np.inf]), np.array([1.0, 20.0, 5.0]))

    found = field(rows)

    assert found.shape == (1, 1)
    assert counted(rows, found) == 1


def test_a_look_at_many_rows_keeps_a_bounded_part_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_field, "_SAMPLE", 1000)
    bounds = RowBounds(None, CAMERA_NM)
    rng = np.random.default_rng(1)
    for _ in range(40):
        bounds.add(rows_at(rng.uniform(0, 1000, 500), rng.uniform(0, 3000, 500)))

    assert sum(part.shape[1] for part in bounds._sample) <= 1500
    np.testing.assert_allclose(bounds.most(), [[0, 3000], [0, 1000]], atol=100)
