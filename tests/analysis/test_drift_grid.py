"""A block is laid onto others by likelihood: where it fits, how sure that is, when not at all."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.analysis.drift_grid import DriftGrid
from rtsmlm.analysis.drift_reference import peak_1d, peak_2d, scores_2d, spread_2d, spread_3d

SIDE_NM, BIN_NM, LAYER_NM = 5000.0, 10.0, 25.0
N_PLACES = 300


def _rows(rng: np.random.Generator, places: np.ndarray, n: int, std_nm: float = 8.0) -> np.ndarray:
    return places[rng.integers(0, len(places), n)] + rng.normal(0, std_nm, (n, 3))


@pytest.fixture
def places(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0, SIDE_NM, (N_PLACES, 3)) * [1, 1, 0.1]


@pytest.fixture
def grid(rng: np.random.Generator, places: np.ndarray) -> DriftGrid:
    grid = DriftGrid(SIDE_NM, BIN_NM, LAYER_NM)
    grid.add(_rows(rng, places, 20_000))
    return grid


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (13.3, -27.1, 40.0), (180.0, -250.0, 30.0)])
def test_a_shift_is_found_to_a_tenth_of_a_bin_near_and_far(
    rng: np.random.Generator, grid: DriftGrid, places: np.ndarray, shift: tuple[float, ...]
) -> None:
    block = _rows(rng, places, 3000) + shift

    drift, variance = grid.shift(block, np.zeros(3))

    assert np.abs(drift - shift)[:2].max() < BIN_NM / 10
    assert abs(drift[2] - shift[2]) < LAYER_NM / 5
    assert np.isfinite(variance).all()


def test_a_stated_variance_is_none_too_small_and_of_the_right_order(
    rng: np.random.Generator, grid: DriftGrid, places: np.ndarray
) -> None:
    found = [grid.shift(_rows(rng, places, 300), np.zeros(3)) for _ in range(60)]
    scatter = np.std([drift for drift, _ in found], axis=0)
    stated = np.sqrt(np.mean([variance for _, variance in found], axis=0))

    assert (scatter < stated).all()
    assert (scatter > stated / 4).all()


def test_without_a_search_far_away_nothing_is_found_there(
    rng: np.random.Generator, grid: DriftGrid, places: np.ndarray
) -> None:
    block = _rows(rng, places, 1000) + np.array([200.0, 0.0, 0.0])

    drift, variance = grid.shift(block, np.zeros(3), far=False)

    assert drift.tolist() == [0, 0, 0]
    assert np.isinf(variance).all()


def test_rows_of_another_place_fit_nowhere(rng: np.random.Generator, grid: DriftGrid) -> None:
    block = rng.uniform(0, SIDE_NM, (400, 3))

    _, variance = grid.shift(block, np.zeros(3))

    assert np.isinf(variance).all()


def test_a_field_larger_than_the_grid_is_folded_and_its_shift_is_found(
    rng: np.random.Generator,
) -> None:
    wide_nm = 120_000.0
    places = rng.uniform(0, wide_nm, (20_000, 3)) * [1, 1, 0.002]
    grid = DriftGrid(wide_nm, BIN_NM, LAYER_NM)
    grid.add(_rows(rng, places, 100_000))

    drift, _ = grid.shift(_rows(rng, places, 4000) + np.array([12.0, 7.0, 20.0]), np.zeros(3))

    assert np.abs(drift - [12.0, 7.0, 20.0]).max() < 3
    assert grid.n_bytes < 128 << 20


def test_what_is_taken_away_again_leaves_no_trace(rng: np.random.Generator) -> None:
    places = rng.uniform(0, SIDE_NM, (100, 3))
    grid = DriftGrid(SIDE_NM, BIN_NM, LAYER_NM)

    grid.add(places)
    grid.add(places, -1)

    assert grid.n_rows == 0
    assert grid.most < 1e-5


def test_a_row_adds_as_much_as_it_weighs_wherever_it_lies_in_a_bin() -> None:
    for x in (0.0, 0.25, 0.5, -3.4):
        flat, deep = np.zeros((64, 64), np.float32), np.zeros((8, 8, 16), np.float32)
        spread_2d(flat, np.array([x]), np.array([2.3]), 2.0)
        spread_3d(deep, np.array([1.0]), np.array([2.0]), np.array([x]), 2.0)

        assert flat.sum() == pytest.approx(2.0, rel=1e-5)
        assert deep.sum() == pytest.approx(2.0, rel=1e-5)


def test_the_peak_of_a_paraboloid_is_its_maximum_and_its_curvature_the_variance() -> None:
    y, x = np.mgrid[-4:5, -4:5].astype(np.float64)
    scores = -((x - 1.3) ** 2) / (2 * 4.0) - (y + 0.7) ** 2 / (2 * 9.0)

    at, covariance, inside = peak_2d(scores)

    assert inside
    assert at == pytest.approx([1.3, -0.7])
    assert np.diag(covariance) == pytest.approx([4.0, 9.0])
    line, variance, inside = peak_1d(scores[3])
    assert inside
    assert (line, variance) == (pytest.approx(1.3), pytest.approx(4.0))


def test_a_maximum_on_the_border_is_no_peak() -> None:
    slope = np.tile(np.arange(9.0), (9, 1))

    assert not peak_2d(slope)[2]
    assert not peak_1d(slope[0])[2]
    assert not peak_2d(np.zeros((9, 9)))[2]


def test_scores_are_highest_where_rows_lie_on_rows() -> None:
    grid = np.zeros((64, 64), np.float32)
    x, y = np.array([10.0, 30.0, 50.0]), np.array([20.0, 5.0, 40.0])
    spread_2d(grid, x, y, 1.0)

    scores = scores_2d(grid, x + 2, y - 1, 1e-3, 4, 1)

    row, column = np.unravel_index(scores.argmax(), scores.shape)
    assert (int(column) - 4, int(row) - 4) == (2, -1)
