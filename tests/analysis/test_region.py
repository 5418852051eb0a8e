"""Regions count exactly what lies in them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsmlm.analysis.region import Ellipse, Polygon, Rectangle, Region, region_statistics


def columns(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of rows with known precision, photons and frames."""
    n = len(x)
    return {
        "x_nm": x, "y_nm": y, "std_x_nm": np.full(n, 6.0), "std_y_nm": np.full(n, 8.0),
        "photons": np.arange(n, dtype=float), "frame": np.arange(n) // 2,
    }  # fmt: skip


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Return 100 x 100 positions, 10 nm apart, in the middles of cells of 10 nm."""
    x, y = np.meshgrid(np.arange(5.0, 1000, 10), np.arange(5.0, 1000, 10))
    return x.ravel().astype(np.float32), y.ravel().astype(np.float32)


def test_a_rectangle_counts_the_grid_points_in_it() -> None:
    x, y = grid()

    found = region_statistics(columns(x, y), Rectangle(500, 300, 100, 200))

    assert found.n_rows == 40 * 10
    assert found.density_per_um2 == pytest.approx(10_000)
    assert found.region.area_um2 == pytest.approx(0.04)
    assert found.median_precision_nm == pytest.approx(math.sqrt(50))


@pytest.mark.parametrize(
    "region",
    [
        Ellipse(100, 200, 900, 800),
        Polygon(((100, 100), (900, 200), (500, 900))),
        Polygon(((0, 0), (1000, 0), (1000, 1000), (500, 200), (0, 1000))),
        Rectangle(13, 27, 777, 888),
    ],
)
def test_the_count_on_an_even_grid_is_the_area(region: Region) -> None:
    x, y = grid()

    found = region_statistics(columns(x, y), region)

    assert found.density_per_um2 == pytest.approx(10_000, rel=0.02)


def test_a_polygon_counts_the_same_rows_as_a_test_of_each_edge_by_itself(
    rng: np.random.Generator,
) -> None:
    x, y = rng.uniform(0, 1000, (2, 3000))
    points = tuple((float(a), float(b)) for a, b in rng.uniform(100, 900, (9, 2)))

    inside = Polygon(points).contains(x, y)

    expected = np.zeros(len(x), bool)
    for (x0, y0), (x1, y1) in zip(points, (*points[1:], points[0]), strict=True):
        spans = (y0 > y) != (y1 > y)
        expected ^= spans & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    assert (inside == expected).all()


def test_a_square_as_a_polygon_counts_as_the_square() -> None:
    x, y = grid()
    square = Polygon(((100, 100), (400, 100), (400, 400), (100, 400)))

    a = region_statistics(columns(x, y), square)
    b = region_statistics(columns(x, y), Rectangle(100, 100, 400, 400))

    assert a.n_rows == b.n_rows == 900
    assert a.mean_photons == b.mean_photons


def test_photons_and_frames_are_those_of_the_rows_inside() -> None:
    x, y = np.array([1.0, 2.0, 3.0, 50.0]), np.zeros(4)

    found = region_statistics(columns(x, y), Rectangle(0, -1, 10, 1))

    assert (found.mean_photons, found.median_photons) == (1.0, 1.0)
    assert (found.first_frame, found.last_frame, found.n_frames) == (0, 1, 2)


def test_an_empty_region_has_no_density_and_raises_nothing() -> None:
    found = region_statistics(columns(np.zeros(3), np.zeros(3)), Rectangle(5, 5, 5, 9))

    assert found.n_rows == 0
    assert math.isnan(found.density_per_um2)
    assert math.isnan(found.median_photons)
    assert found.first_frame == found.last_frame == -1


def test_rows_without_a_stated_value_do_not_spoil_the_median() -> None:
    rows = columns(np.full(4, 1.0), np.full(4, 1.0))
    rows["photons"] = np.array([100.0, np.nan, 300.0, np.nan])
    rows["std_x_nm"] = np.full(4, np.nan)

    found = region_statistics(rows, Rectangle(0, 0, 2, 2))

    assert found.mean_photons == 200.0
    assert math.isnan(found.median_precision_nm)
