"""The parts that all fits share, each against numpy or against what is exact."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.fitting import residuals
from rtsmlm.fitting.boxes import (
    N_COLUMNS,
    STD_Z,
    astigmatic_box_px,
    cut_boxes,
    default_box_px,
    fit_table,
    invert,
    solve_in_place,
    start_light,
)
from rtsmlm.fitting.likelihood import chi2_per_pixel, damped_step, evaluate, least_background
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves
from rtsmlm.physics.gaussian import pixel_integrals

BOX = 11


@given(sigma_px=st.floats(0.3, 10))
def test_a_box_is_odd_and_holds_three_sigma_to_each_side(sigma_px: float) -> None:
    side = default_box_px(sigma_px)

    assert side % 2 == 1
    assert side >= 7
    assert side // 2 >= 3 * sigma_px
    assert side == 7 or side // 2 - 1 < 3 * sigma_px


@given(sigma0=st.floats(80, 300), depth=st.floats(200, 600), pixel_nm=st.floats(60, 200))
def test_a_box_of_an_astigmatic_spot_is_odd_within_limits_and_wider_for_smaller_pixels(
    sigma0: float, depth: float, pixel_nm: float
) -> None:
    curve = WidthCurve(sigma0_nm=sigma0, focus_nm=-200, depth_nm=depth)
    curves = WidthCurves(x=curve, y=curve.moved(400), z_min_nm=-400.0, z_max_nm=400.0)

    side = astigmatic_box_px(curves, pixel_nm)

    assert side % 2 == 1
    assert 7 <= side <= 31
    assert astigmatic_box_px(curves, 0.5 * pixel_nm) >= side


def test_a_new_table_knows_no_z() -> None:
    table = fit_table(3)

    assert table.shape == (3, N_COLUMNS)
    assert np.isnan(table[:, STD_Z]).all()
    assert not np.delete(table, STD_Z, axis=1).any()


def test_boxes_are_cut_where_they_are_and_calibrated_pixel_by_pixel(
    rng: np.random.Generator,
) -> None:
    pixels = rng.integers(0, 65536, (3, 20, 30)).astype(np.uint16)
    offset, gain, read = rng.uniform(0.5, 100, (3, 20, 30)).astype(np.float32)
    frame, top, left = (np.array(v, np.int32) for v in ([0, 2], [0, 13], [23, 5]))
    photons, variance = np.empty((2, 2, 7, 7), np.float32)
    extra = np.array([0.0, 3.0], np.float32)

    pixels.flags.writeable = False
    cut_boxes(pixels, offset, gain, read, extra, frame, top, left, photons, variance)

    for k in range(2):
        here = slice(top[k], top[k] + 7), slice(left[k], left[k] + 7)
        adu = pixels[frame[k]][here].astype(np.float64)
        np.testing.assert_allclose(photons[k], (adu - offset[here]) * gain[here], rtol=1e-4)
        np.testing.assert_allclose(variance[k], read[here] + extra[k], rtol=1e-6)


MATRICES = st.tuples(st.integers(1, 6), st.integers(0, 999)).map(
    lambda size_seed: np.random.default_rng(size_seed[1]).normal(size=(size_seed[0],) * 2)
)


@settings(deadline=None)
@given(root=MATRICES, seed=st.integers(0, 99))
def test_a_positive_definite_system_is_solved_and_inverted(root: np.ndarray, seed: int) -> None:
    matrix = root @ root.T + 0.1 * np.eye(len(root))
    right = np.random.default_rng(seed).normal(size=len(root))
    solution, inverse = right.copy(), np.empty_like(matrix)

    assert solve_in_place(matrix.copy(), solution, len(root))
    assert invert(matrix.copy(), inverse)

    np.testing.assert_allclose(matrix @ solution, right, atol=1e-8)
    np.testing.assert_allclose(matrix @ inverse, np.eye(len(root)), atol=1e-8)


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((2, 2)), -np.eye(2), np.array([[1.0, 2.0], [2.0, 1.0]]), np.full((2, 2), np.nan)],
    ids=["zero", "negative", "indefinite", "not a number"],
)
def test_any_other_matrix_is_refused(matrix: np.ndarray) -> None:
    assert not solve_in_place(matrix.copy(), np.ones(2), 2)
    assert not invert(matrix.copy(), np.empty((2, 2)))


Spot = tuple[float, float, float, float, float]
SPOTS = st.tuples(
    st.floats(4, 6), st.floats(4, 6), st.floats(100, 5000), st.floats(1, 100), st.floats(0.9, 2.0)
)
"""x, y, photons, background, width in pixels."""


def shape(x: float, y: float, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    along = np.empty((2, 3, BOX))
    pixel_integrals(x, sigma, along[0])
    pixel_integrals(y, sigma, along[1])
    return along[0], along[1]


def mean_of(spot: Spot) -> np.ndarray:
    x, y, photons, background, sigma = spot
    along_x, along_y = shape(x, y, sigma)
    image: np.ndarray = photons * np.outer(along_y[0], along_x[0]) + background
    return image


@settings(deadline=None)
@given(spot=SPOTS)
def test_light_and_background_of_a_known_shape_are_exact_without_noise(spot: Spot) -> None:
    along_x, along_y = shape(spot[0], spot[1], spot[4])

    light, background = start_light(mean_of(spot).astype(np.float32), along_x[0], along_y[0])

    assert light == pytest.approx(spot[2], rel=1e-3)
    assert background == pytest.approx(spot[3], rel=1e-3, abs=1e-2)


def evaluated(
    spot: Spot, photons: np.ndarray, variance: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    gradient, information = np.empty(5), np.empty((5, 5))
    deviance = evaluate(
        photons, variance, np.array(spot), *shape(spot[0], spot[1], spot[4]), gradient, information
    )
    return deviance, gradient, np.tril(information) + np.tril(information, -1).T


def boxes(spot: Spot, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a noisy box and its read variance."""
    rng = np.random.default_rng(seed)
    variance = rng.uniform(0.5, 3, (BOX, BOX))
    light = rng.poisson(mean_of(spot)) + rng.normal(0, np.sqrt(variance))
    return light.astype(np.float32), variance.astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(spot=SPOTS, off=st.tuples(*[st.floats(-0.3, 0.3)] * 5))
def test_the_gradient_is_the_slope_of_the_deviance(spot: Spot, off: Spot) -> None:
    data = boxes(spot)
    x, y, photons, background, sigma = spot
    at = (x + off[0], y + off[1], photons * (1 + off[2]), background * (1 + off[3]),
          sigma * (1 + 0.3 * off[4]))  # fmt: skip
    _, gradient, information = evaluated(at, *data)

    steps = 1e-3 / np.sqrt(np.diag(information))
    for k, step in enumerate(steps):
        ahead, behind = ((*at[:k], at[k] + s * step, *at[k + 1 :]) for s in (1, -1))
        slope = (evaluated(behind, *data)[0] - evaluated(ahead, *data)[0]) / 2
        # Half the deviance falls uphill; in units of a standard deviation of the parameter.
        assert slope == pytest.approx(gradient[k] * step, rel=1e-2, abs=1e-5)


@settings(deadline=None, max_examples=20)
@given(spot=SPOTS)
def test_the_scatter_of_the_gradient_is_the_information(spot: Spot) -> None:
    gradients = np.array([evaluated(spot, *boxes(spot, seed))[1] for seed in range(300)])
    information = evaluated(spot, *boxes(spot))[2]

    scale = np.sqrt(np.diag(information))
    # Different read maps each time: within the sampling error of 300 draws.
    np.testing.assert_allclose(
        np.cov(gradients.T) / np.outer(scale, scale),
        information / np.outer(scale, scale),
        atol=0.35,
    )
    assert (np.abs(gradients.mean(axis=0) / scale) < 0.3).all()


def test_an_undamped_step_solves_the_normal_equations_and_states_its_gain() -> None:
    spot = (5.2, 4.9, 1000.0, 10.0, 1.3)
    _, gradient, information = evaluated((5.0, 5.0, 900.0, 12.0, 1.3), *boxes(spot))
    step, damped = np.empty(5), np.empty((5, 5))

    gain = damped_step(
        np.array([5.0, 5.0, 900.0, 12.0, 1.3]), gradient, information, step, 5, damped, 0.0, -1.0
    )

    np.testing.assert_allclose(information @ step, gradient, rtol=1e-6, atol=1e-6)
    assert gain == pytest.approx(float(step @ gradient))
    short = np.empty(5)
    less = damped_step(
        np.array([5.0, 5.0, 900.0, 12.0, 1.3]), gradient, information, short, 5, damped, 10.0, -1.0
    )
    assert 0 < less < gain


def test_a_background_at_its_limit_is_held_while_the_others_move() -> None:
    spot = (5.2, 4.9, 1000.0, 1.0, 1.3)
    at = np.array([5.0, 5.0, 1000.0, 3.0, 1.3])
    _, gradient, information = evaluated(tuple(at), *boxes(spot))  # type: ignore[arg-type]
    assert gradient[3] < 0, "it wants to go below"
    step, damped = np.empty(4), np.empty((4, 4))

    gain = damped_step(at, gradient, information, step, 4, damped, 0.0, floor=3.0)

    assert gain > 0
    assert step[3] == 0.0
    assert (step[:3] != 0).all()


def test_without_information_there_is_no_step() -> None:
    none = np.zeros((5, 5))

    assert damped_step(np.ones(5), np.ones(5), none, np.empty(5), 5, none.copy(), 0.0, 0.0) == -1


@given(variance=st.lists(st.floats(0, 50, width=32), min_size=4, max_size=4))
def test_at_the_least_background_the_mean_is_positive_in_every_pixel(
    variance: list[float],
) -> None:
    box = np.array(variance, np.float32).reshape(2, 2)

    assert (least_background(box) + box > 0).all()


def test_chi_squared_of_noise_alone_is_one_per_pixel_and_of_none_zero() -> None:
    spot = (5.1, 4.8, 2000.0, 20.0, 1.3)
    along_x, along_y = shape(spot[0], spot[1], spot[4])
    theta = np.array(spot)

    noisy = [
        chi2_per_pixel(*boxes(spot, seed), theta, along_x[0], along_y[0]) for seed in range(200)
    ]

    assert np.mean(noisy) == pytest.approx(1.0, abs=0.03)
    exact = mean_of(spot).astype(np.float32), np.ones((BOX, BOX), np.float32)
    assert chi2_per_pixel(*exact, theta, along_x[0], along_y[0]) == pytest.approx(0, abs=1e-6)


def judged(
    photons: np.ndarray, variance: np.ndarray, theta: np.ndarray, sigma_px: float, bend: float = 0.0
) -> np.ndarray:
    n = len(photons)
    table = np.empty((n, residuals.N_COLUMNS))
    residuals.judge_spots(
        photons, variance, theta, np.full((n, 2), sigma_px), np.full((n, 2), bend), 1.0, table
    )
    return table


def test_a_right_model_leaves_what_noise_leaves_and_a_wrong_width_more() -> None:
    spot = (5.1, 4.8, 3000.0, 20.0, 1.3)
    made = [boxes(spot, seed) for seed in range(300)]
    photons, variance = (np.stack(part) for part in zip(*made, strict=True))
    theta = np.tile(spot[:4], (300, 1))

    right, wrong = judged(photons, variance, theta, 1.3), judged(photons, variance, theta, 1.8)

    # The truth has not followed the noise as a fit would: a little above one.
    n, p = BOX * BOX, 4
    assert np.mean(right[:, residuals.CHI2]) == pytest.approx(n / (n - p), abs=0.03)
    left = right[:, residuals.SQUARES].mean() / right[:, residuals.EXPECTED].mean()
    assert left == pytest.approx(n / (n - p), rel=0.15)
    assert np.mean(wrong[:, residuals.CHI2]) > 1.5


def test_each_fitted_parameter_leaves_less_to_noise() -> None:
    spot = (5.0, 5.0, 3000.0, 20.0, 1.3)
    photons, variance = (part[None] for part in boxes(spot))
    theta = np.array([spot[:4]])

    four, five = (judged(photons, variance, theta, 1.3, bend)[0] for bend in (0.0, 1.0))

    assert five[residuals.EXPECTED] < four[residuals.EXPECTED]
    assert five[residuals.SQUARES] == four[residuals.SQUARES]


def test_a_spot_without_light_cannot_be_judged() -> None:
    photons = np.full((1, BOX, BOX), 10, np.float32)

    table = judged(photons, np.ones_like(photons), np.array([[5.0, 5.0, 0.0, 10.0]]), 1.3)

    assert np.isnan(table).all()


def test_boxes_of_the_fixture_are_judged_as_their_camera_is(
    make_boxes: Callable[..., object],
) -> None:
    made = make_boxes(200, 2000.0, 20.0, 1.3, BOX, "emccd")
    n = len(made.photons)  # type: ignore[attr-defined]
    theta = np.column_stack([made.x_px, made.y_px, np.full(n, 2000.0), np.full(n, 20.0)])  # type: ignore[attr-defined]
    tables = []
    for excess in (1.0, made.excess_noise):  # type: ignore[attr-defined]
        table = np.empty((n, residuals.N_COLUMNS))
        widths, none = np.full((n, 2), 1.3), np.zeros((n, 2))
        residuals.judge_spots(made.photons, made.variance, theta, widths, none, excess, table)  # type: ignore[attr-defined]
        tables.append(float(table[:, residuals.CHI2].mean()))

    assert tables[0] == pytest.approx(2.0, rel=0.1), "the gain register doubles every variance"
    assert tables[1] == pytest.approx(1.0, rel=0.1)
    assert not math.isnan(tables[0])
