"""Seen at an angle: rows go where a rotation takes them, a slab hides the rest, all are counted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rtsmlm.errors import ConfigError
from rtsmlm.localizations import Localizations
from rtsmlm.render import Filter, Pyramid
from rtsmlm.render.columns import FRAME, STD_X, STD_Y, X, Y, Z
from rtsmlm.render.field import Field
from rtsmlm.render.projection import Projection
from rtsmlm.render.store import CHUNK

FIELD = Field((60, 80), 100.0)
PIVOT = (4000.0, 3000.0, 0.0)


def at(x_nm: float, y_nm: float, z_nm: float, **more: float) -> Localizations:
    """Return one row."""
    values = {"frame": 0, "x_nm": x_nm, "y_nm": y_nm, "z_nm": z_nm} | more
    return Localizations.from_columns({name: np.full(1, value) for name, value in values.items()})


def seen(row: Localizations, **projection: float) -> np.ndarray:
    """Return the table of what a projection around the pivot shows."""
    return Projection(pivot_nm=PIVOT, **projection).project(FIELD.pack(row), FIELD)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("projection", "expected"),
    [
        ({}, (4300, 3200)),
        ({"tilt_x_deg": 90.0}, (4300, 3100)),
        ({"tilt_x_deg": -90.0}, (4300, 2900)),
        ({"tilt_y_deg": 90.0}, (4100, 3200)),
        ({"tilt_x_deg": 180.0}, (4300, 2800)),
        ({"tilt_x_deg": 45.0}, (4300, 3000 + (200 + 100) / np.sqrt(2))),
    ],
)
def test_a_row_goes_where_the_rotation_takes_it(
    projection: dict[str, float], expected: tuple[float, float]
) -> None:
    table = seen(at(4300, 3200, 100), **projection)

    np.testing.assert_allclose(table[[X, Y], 0], expected, atol=0.01)
    assert table[Z, 0] == 100  # colour and filters keep the z of the sample


def test_the_pivot_stays_and_distances_are_kept() -> None:
    turn = Projection(tilt_x_deg=33.0, tilt_y_deg=-71.0).matrix()

    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turn), 1)
    table = seen(at(*PIVOT), tilt_x_deg=33.0, tilt_y_deg=-71.0)
    np.testing.assert_allclose(table[[X, Y], 0], PIVOT[:2])


def test_a_slab_shows_what_lies_in_it_and_hides_the_rest() -> None:
    rows = Localizations.concatenate([at(4000, 3000, z) for z in (-300, -40, 0, 40, 300)])

    table = Projection(pivot_nm=PIVOT, slab_nm=100.0).project(FIELD.pack(rows), FIELD)
    behind = Projection(pivot_nm=PIVOT, slab_nm=100.0, offset_nm=300.0).project(
        FIELD.pack(rows), FIELD
    )

    assert table[Z].tolist() == [-40, 0, 40]
    assert behind[Z].tolist() == [300]


def test_from_the_side_a_row_is_as_blurred_as_its_z_is_uncertain() -> None:
    row = at(4000, 3000, 0, std_x_nm=8.0, std_y_nm=10.0, std_z_nm=40.0)

    from_above, from_the_side = seen(row, slab_nm=50.0), seen(row, tilt_x_deg=90.0)
    not_stated = seen(at(4000, 3000, 0, std_x_nm=9.0, std_y_nm=9.0), tilt_x_deg=90.0)

    np.testing.assert_allclose(from_above[[STD_X, STD_Y], 0], (8, 10), rtol=1e-5)
    np.testing.assert_allclose(from_the_side[[STD_X, STD_Y], 0], (8, 40), rtol=1e-5)
    np.testing.assert_allclose(not_stated[[STD_X, STD_Y], 0], 9, rtol=1e-5)


def test_an_angle_or_a_slab_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="180"):
        Projection(tilt_x_deg=200.0)
    with pytest.raises(ConfigError, match="thickness"):
        Projection(slab_nm=0.0)


def test_turned_pictures_are_the_same_whether_rows_come_before_or_after(
    open_pyramid: Callable[..., Pyramid], table: Callable[[int], Localizations]
) -> None:
    rows = table(CHUNK + 5000)
    tilt = Projection(pivot_nm=PIVOT, tilt_x_deg=60.0, tilt_y_deg=20.0, slab_nm=2000.0)
    before, after = open_pyramid(n_threads=1), open_pyramid(n_threads=1)
    before.add(rows)

    before.restyle(projection=tilt)
    after.restyle(projection=tilt)
    after.overview()
    for start in range(0, len(rows), 30_000):
        after.add(rows.take(slice(start, start + 30_000)))

    a, b = before.overview(), after.overview()
    assert a.complete
    assert b.complete
    np.testing.assert_allclose(a.density, b.density, atol=2e-3)
    np.testing.assert_allclose(a.density.sum(), before.n_shown(), rtol=1e-3)
    assert before.n_shown() == after.n_shown() < before.n_inside


def test_in_little_time_a_part_is_turned_and_later_calls_go_on(
    open_pyramid: Callable[..., Pyramid], table: Callable[[int], Localizations]
) -> None:
    pyramid = open_pyramid(n_threads=1)
    rows = table(3 * CHUNK + 100)
    pyramid.add(rows)
    pyramid.restyle(projection=Projection(pivot_nm=PIVOT, tilt_x_deg=10.0))

    first = pyramid.overview(budget_ms=0.0)
    pyramid.add(table(500))
    views = [pyramid.overview(budget_ms=0.0) for _ in range(40)]

    assert not first.complete
    assert views[-1].complete
    np.testing.assert_allclose(views[-1].density.sum(), pyramid.n_shown(), rtol=1e-3)
    assert pyramid.n_inside - 0.12 * len(rows) < pyramid.n_shown() <= pyramid.n_inside


def test_flat_again_is_the_picture_of_before(
    open_pyramid: Callable[..., Pyramid], table: Callable[[int], Localizations]
) -> None:
    pyramid = open_pyramid()
    pyramid.add(table(3000))
    flat = pyramid.overview().density.copy()

    pyramid.restyle(projection=Projection(pivot_nm=PIVOT, tilt_y_deg=45.0))
    turned = pyramid.overview().density.copy()
    pyramid.restyle(projection=Projection())

    np.testing.assert_array_equal(pyramid.overview().density, flat)
    assert not np.allclose(turned, flat)
    assert pyramid.n_shown() == pyramid.n_inside


def test_a_cleared_pyramid_that_is_turned_takes_new_rows(
    open_pyramid: Callable[..., Pyramid], table: Callable[[int], Localizations]
) -> None:
    pyramid = open_pyramid()
    pyramid.add(table(1000))
    pyramid.restyle(projection=Projection(pivot_nm=PIVOT, tilt_y_deg=5.0))

    pyramid.clear()
    pyramid.add(table(400))

    assert 0 < pyramid.n_shown() <= pyramid.n_inside
    np.testing.assert_allclose(pyramid.overview().density.sum(), pyramid.n_shown(), rtol=1e-3)


def test_the_count_shown_and_the_rows_of_a_box_are_those_that_pass(
    open_pyramid: Callable[..., Pyramid], table: Callable[[int], Localizations]
) -> None:
    pyramid, rows = open_pyramid(), table(CHUNK + 2000)
    kept = rows.take((rows.photons >= 800) & (rows.frame <= 50_000))
    inside = FIELD.pack(kept)
    box = (1000.0, 500.0, 3000.0, 4500.0)

    pyramid.restyle(filter=Filter(photons=(800.0, 3e38), frame=(0, 50_000)))
    pyramid.add(rows)

    assert pyramid.n_shown() == inside.shape[1]
    x, y = inside[X], inside[Y]
    expected = inside[:, (x >= box[0]) & (x <= box[2]) & (y >= box[1]) & (y <= box[3])]
    found = pyramid.rows(box)
    assert sorted(found[FRAME]) == sorted(expected[FRAME])
    assert pyramid.rows((-1e6, -1e6, 1e6, 1e6)).shape[1] == pyramid.n_shown()
    assert pyramid.rows((9e5, 9e5, 1e6, 1e6)).shape[1] == 0
    pyramid.restyle(filter=Filter())
    assert pyramid.n_shown() == pyramid.n_inside


def test_a_hidden_channel_is_neither_drawn_nor_counted(
    open_pyramid: Callable[..., Pyramid], table: Callable[[int], Localizations]
) -> None:
    pyramid, rows = open_pyramid(), table(2000)
    pyramid.add(rows)
    everything = pyramid.overview().density.sum()

    pyramid.restyle(filter=Filter(hidden_channels=(1,)), color="channel")

    one = FIELD.pack(rows.take(rows.channel == 0)).shape[1]
    assert pyramid.n_shown() == one
    np.testing.assert_allclose(pyramid.overview().density.sum(), one, rtol=1e-3)
    assert everything > 1.8 * one
    pyramid.restyle(filter=Filter(hidden_channels=(0, 1)))
    assert pyramid.n_shown() == 0
    assert not pyramid.overview().density.any()
