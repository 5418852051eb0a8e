"""Fits of crowds: their images, sums and equations, and pairs at the bound of the pair."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf

from rtsmlm.fitting import crowd_island as crowds
from rtsmlm.fitting.crowd_pairs import Rules
from rtsmlm.fitting.crowd_patches import (
    LANES,
    MARGIN,
    PARTS,
    SLOPE_X,
    SLOPE_Y,
    VALUE_X,
    VALUE_Y,
    write_axis,
    write_bend,
)
from rtsmlm.fitting.crowd_sums import (
    SUMS,
    write_bend_own,
    write_bend_shared,
    write_own,
    write_pair_block,
)
from rtsmlm.fitting.crowd_system import DAMPING, System, solve
from rtsmlm.fitting.crowd_tiles import fit_crowds
from rtsmlm.physics.gaussian import render_spots

SIGMA_PX, PHOTONS, BACKGROUND, SIDE_PX = 1.3, 2000.0, 20.0, 32
BOX = 11


def integrals(place: float, first: int, sigma: float) -> np.ndarray:
    edges = (first - 0.5 + np.arange(BOX + 1) - place) / (np.sqrt(2.0) * sigma)
    return np.diff(0.5 * erf(edges))


def slopes(place: float, first: int, sigma: float) -> np.ndarray:
    edges = (first - 0.5 + np.arange(BOX + 1) - place) / sigma
    return -np.diff(np.exp(-0.5 * edges**2)) / (np.sqrt(2.0 * np.pi) * sigma)


PLACES = [(7.0, 1, 1.3), (20.37, 15, 1.0), (-1.5, -7, 2.1), (5.49, 0, 0.8)]


@pytest.mark.parametrize(("place", "first", "sigma"), PLACES)
def test_light_along_an_axis_is_the_gaussian_integrated_over_pixels(
    place: float, first: int, sigma: float
) -> None:
    value, slope = np.full((2, LANES), 9.0, np.float32)

    write_axis(place, first, BOX, sigma, value, slope)

    np.testing.assert_allclose(value[:BOX], integrals(place, first, sigma), atol=1e-6)
    np.testing.assert_allclose(slope[:BOX], slopes(place, first, sigma), atol=1e-6)
    assert np.all(value[BOX:] == 0.0)
    assert np.all(slope[BOX:] == 0.0)


@pytest.mark.parametrize(("place", "first", "sigma"), PLACES)
def test_the_bend_is_the_slope_of_the_slope(place: float, first: int, sigma: float) -> None:
    value, slope = np.zeros((2, LANES), np.float32)
    bend = np.full(LANES, 9.0, np.float32)
    write_axis(place, first, BOX, sigma, value, slope)

    write_bend(place, first, BOX, sigma, slope, bend)

    step = 1e-4
    numerical = slopes(place + step, first, sigma) - slopes(place - step, first, sigma)
    np.testing.assert_allclose(bend[:BOX], numerical / (2.0 * step), atol=1e-5)
    assert np.all(bend[BOX:] == 0.0)


def patches_of(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squares and their places in an image with margins, as `write_patch` lays them."""
    patches = np.zeros((len(theta), PARTS, LANES), np.float32)
    origin = np.zeros((len(theta), 2), np.int32)
    for patch, corner, (x, y, _) in zip(patches, origin, theta, strict=True):
        left, top = round(x) - BOX // 2, round(y) - BOX // 2
        write_axis(x, left, BOX, SIGMA_PX, patch[VALUE_X], patch[SLOPE_X])
        write_axis(y, top, BOX, SIGMA_PX, patch[VALUE_Y], patch[SLOPE_Y])
        corner[:] = top + MARGIN, left + MARGIN
    return patches, origin


def jacobian(theta: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Slope of the image by x, y and photons of an emitter on its square, (pixels, 3)."""
    x, y, n = theta
    columns = np.zeros((*shape, 3))
    left, top = round(x) - BOX // 2, round(y) - BOX // 2
    e_x, d_x = integrals(x, left, SIGMA_PX), slopes(x, left, SIGMA_PX)
    e_y, d_y = integrals(y, top, SIGMA_PX), slopes(y, top, SIGMA_PX)
    square = columns[top + MARGIN :, left + MARGIN :][:BOX, :BOX]
    square[..., 0] = n * np.outer(e_y, d_x)
    square[..., 1] = n * np.outer(d_y, e_x)
    square[..., 2] = np.outer(e_y, e_x)
    return columns.reshape(-1, 3)


# Two side by side, one below, one that hangs over the corner of the frame, and one that is far.
THETA = np.array(
    [
        [10.2, 11.4, 2000.0],
        [12.9, 10.1, 700.0],
        [11.6, 16.3, 1500.0],
        [-0.8, 0.3, 900.0],
        [27.0, 26.0, 500.0],
    ]
)


def test_sums_over_squares_are_those_of_dense_matrices(rng: np.random.Generator) -> None:
    shape = (SIDE_PX + 2 * MARGIN, SIDE_PX + 2 * MARGIN)
    weight = rng.uniform(0.01, 0.05, shape).astype(np.float32)
    excess = rng.normal(0.0, 0.3, shape).astype(np.float32)
    patches, origin = patches_of(THETA)
    sums = np.zeros((SUMS, LANES), np.float32)
    dense = [jacobian(theta, shape) for theta in THETA]
    w, e = weight.astype(float).ravel(), excess.astype(float).ravel()
    for i, own in enumerate(dense):
        slope, light, block = np.zeros(3), np.zeros(3), np.zeros((3, 3))
        top, left = origin[i]
        write_own(
            excess, weight, top, left, BOX, THETA[i, 2], patches[i], sums, slope, light, block
        )
        matrix = own.T @ (w[:, None] * own)
        scale = np.sqrt(np.diag(matrix))
        np.testing.assert_allclose(block / np.outer(scale, scale), matrix / np.outer(scale, scale),
                                   atol=1e-5)  # fmt: skip
        np.testing.assert_allclose(slope, own.T @ e, rtol=1e-4, atol=1e-4 * abs(own.T @ e).max())
        np.testing.assert_allclose(light, own.T @ w, rtol=1e-4, atol=1e-5 * abs(own.T @ w).max())
        for j in range(len(dense)):
            if i == j:
                continue
            block = np.full((3, 3), 9.0)
            write_pair_block(weight, origin, THETA[:, 2].copy(), patches, i, j, BOX, sums, block)
            other = np.sqrt(np.diag(dense[j].T @ (w[:, None] * dense[j])))
            shared = own.T @ (w[:, None] * dense[j]) / np.outer(scale, other)
            np.testing.assert_allclose(block / np.outer(scale, other), shared, atol=1e-5)


def test_steps_are_those_of_the_dense_equations(rng: np.random.Generator) -> None:
    """Emitters, two of them near each other, on a background of two by three nodes."""
    shape = (SIDE_PX + 2 * MARGIN, SIDE_PX + 2 * MARGIN)
    n, columns, stiffness = len(THETA), 3, 2.0
    weight = 1.0 / rng.uniform(20.0, 60.0, shape[0] * shape[1])
    dense = [jacobian(theta, shape) for theta in THETA]
    own = np.array([d.T @ (weight[:, None] * d) for d in dense])
    pairs = [(0, 1), (0, 2), (1, 2)]
    shared = np.array([dense[i].T @ (weight[:, None] * dense[j]) for i, j in pairs])
    node = np.tile(np.array([0, 1, 3, 4], np.int32), (n, 1))
    node[3:] += 1
    part = rng.dirichlet(np.ones(4), n)
    light = np.array([d.T @ weight for d in dense])
    nodes = np.full(6, 20.0) + 3.0 * stiffness
    first, second = np.array(pairs, np.int32).T.copy()
    system = System(own, first, second, shared, light, node, part, nodes, columns,
                    np.array([stiffness]))  # fmt: skip
    matrix = np.zeros((3 * n + 6, 3 * n + 6))
    for i in range(n):
        here = slice(3 * i, 3 * i + 3)
        matrix[here, here] = own[i] + DAMPING * np.diag(np.diag(own[i]))
        for k, share in zip(node[i], part[i], strict=True):
            matrix[here, 3 * n + k] += share * light[i]
            matrix[3 * n + k, here] += share * light[i]
    for (i, j), block in zip(pairs, shared, strict=True):
        matrix[3 * i : 3 * i + 3, 3 * j : 3 * j + 3] = block
        matrix[3 * j : 3 * j + 3, 3 * i : 3 * i + 3] = block.T
    for k in range(6):
        matrix[3 * n + k, 3 * n + k] = nodes[k]
        for beside in [k + 1] * ((k + 1) % columns > 0) + [k + columns] * (k + columns < 6):
            matrix[3 * n + k, 3 * n + beside] -= stiffness
            matrix[3 * n + beside, 3 * n + k] -= stiffness
    slope = rng.normal(0.0, 1.0, 3 * n + 6) * np.sqrt(np.diag(matrix))

    free = np.array([True, True, True, True, False])
    step, step_nodes = np.full((n, 3), 9.0), np.full(6, 9.0)
    solve(system, n, len(pairs), free, slope[: 3 * n].reshape(n, 3), slope[3 * n :], step,
          step_nodes)  # fmt: skip

    kept = np.append(np.repeat(free, 3), np.ones(6, bool))
    expected = np.zeros(3 * n + 6)
    expected[kept] = np.linalg.solve(matrix[np.ix_(kept, kept)], slope[kept])
    scale = np.sqrt(np.diag(matrix))
    found = np.append(step.ravel(), step_nodes)
    # It ends at a thousandth of the squared residual: three parts in a hundred of the step.
    wrong = np.linalg.norm((found - expected) * scale) / np.linalg.norm(expected * scale)
    assert wrong < 0.05
    assert np.all(step[4] == 0.0)


def shape_jacobian(theta: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Slope of the image by the moments xx, yy and xy of a spot on its square, (pixels, 3)."""
    x, y, n = theta
    left, top, h = round(x) - BOX // 2, round(y) - BOX // 2, 1e-4
    bend_x = (slopes(x + h, left, SIGMA_PX) - slopes(x - h, left, SIGMA_PX)) / (2.0 * h)
    bend_y = (slopes(y + h, top, SIGMA_PX) - slopes(y - h, top, SIGMA_PX)) / (2.0 * h)
    columns = np.zeros((*shape, 3))
    square = columns[top + MARGIN :, left + MARGIN :][:BOX, :BOX]
    square[..., 0] = 0.5 * n * np.outer(integrals(y, top, SIGMA_PX), bend_x)
    square[..., 1] = 0.5 * n * np.outer(bend_y, integrals(x, left, SIGMA_PX))
    square[..., 2] = n * np.outer(slopes(y, top, SIGMA_PX), slopes(x, left, SIGMA_PX))
    return columns.reshape(-1, 3)


def test_sums_of_the_shape_are_those_of_dense_matrices(rng: np.random.Generator) -> None:
    shape = (SIDE_PX + 2 * MARGIN, SIDE_PX + 2 * MARGIN)
    weight = rng.uniform(0.01, 0.05, shape).astype(np.float32)
    excess = rng.normal(0.0, 0.3, shape).astype(np.float32)
    patches, origin = patches_of(THETA)
    sums = np.zeros((SUMS, LANES), np.float32)
    w, e = weight.astype(float).ravel(), excess.astype(float).ravel()
    for i, (x, y, n) in enumerate(THETA):
        dense = shape_jacobian(THETA[i], shape)
        bends = np.zeros((2, LANES), np.float32)
        left, top = origin[i, 1] - MARGIN, origin[i, 0] - MARGIN
        write_bend(x, left, BOX, SIGMA_PX, patches[i, SLOPE_X], bends[0])
        write_bend(y, top, BOX, SIGMA_PX, patches[i, SLOPE_Y], bends[1])
        score, light, block = np.zeros(4), np.zeros(4), np.zeros((3, 3))
        write_bend_own(
            excess, weight, *origin[i], BOX, n, patches[i], *bends, sums, score, light, block
        )
        matrix = dense.T @ (w[:, None] * dense)
        scale = np.sqrt(np.diag(matrix))
        np.testing.assert_allclose(
            block / np.outer(scale, scale), np.tril(matrix) / np.outer(scale, scale), atol=1e-4
        )
        np.testing.assert_allclose(score[:3], dense.T @ e, atol=1e-4 * abs(dense.T @ e).max())
        np.testing.assert_allclose(light[:3], dense.T @ w, atol=1e-4 * (abs(dense).T @ w).max())
        square = np.zeros(shape)
        square[origin[i, 0] :, origin[i, 1] :][:BOX, :BOX] = 1.0
        assert score[3] == pytest.approx(square.ravel() @ e, abs=1e-3)
        assert light[3] == pytest.approx(square.ravel() @ w, rel=1e-4)
        for j in range(len(THETA)):  # with itself, too
            other = jacobian(THETA[j], shape)
            block = np.full((3, 3), 9.0)
            write_bend_shared(
                weight, origin, THETA[:, 2], patches, i, j, BOX, *bends, sums, block
            )  # fmt: skip
            own = other.T @ (w[:, None] * other)
            both = np.outer(scale, np.sqrt(np.diag(own)))
            np.testing.assert_allclose(
                block / both, dense.T @ (w[:, None] * other) / both, atol=1e-4
            )


def draw(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, excess: int = 1) -> np.ndarray:
    """Frames of emitters, one frame a row of places; offset 100."""
    frames = np.empty((len(x), SIDE_PX, SIDE_PX), dtype=np.uint16)
    for frame, u, v in zip(frames, x, y, strict=True):
        light = np.full(len(u), PHOTONS)
        mean = render_spots((SIDE_PX, SIDE_PX), u, v, light, SIGMA_PX, BACKGROUND)
        drawn = rng.poisson(mean)
        if excess == 2:  # a gain register
            drawn = np.rint(rng.gamma(np.maximum(drawn, 1e-9)))
        frame[:] = drawn + 100
    frames.flags.writeable = False
    return frames


def fitted(
    rng: np.random.Generator,
    frames: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    *,
    excess: int = 1,
    free: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of fits that begin near the truth, second ones last, and the places of the first."""
    frame = np.repeat(np.arange(len(x)), x.shape[1]).astype(np.int32)
    true = np.column_stack([x.ravel(), y.ravel()])
    rows = np.zeros((len(true), crowds.STD_PHOTONS + 1))
    rows[:, :2] = true + rng.normal(0.0, 0.1, true.shape)
    rows[:, crowds.PHOTONS] = PHOTONS * rng.uniform(0.8, 1.2, len(true))
    rows[:, crowds.BACKGROUND] = BACKGROUND
    order = np.lexsort((rows[:, 1], frame))
    is_free = np.ones(x.shape, dtype=np.bool_) if free is None else np.broadcast_to(free, x.shape)
    one = np.ones((SIDE_PX, SIDE_PX), np.float32)
    fits = fit_crowds(
        frames, (100.0 * one, one, 0.0 * one), frame, rows[order].copy(), is_free.ravel()[order],
        (SIGMA_PX, SIGMA_PX), float(excess), Rules(),
    )  # fmt: skip
    back = np.argsort(order)
    return np.vstack([fits[: len(true)][back], fits[len(true) :]]), true


def pairs_of(
    rng: np.random.Generator, n: int, apart_px: float, middle: tuple[float, float] = (16.0, 16.0)
) -> tuple[np.ndarray, np.ndarray]:
    angle = rng.uniform(0, np.pi, n)[:, None]
    step = 0.5 * apart_px * np.array([-1.0, 1.0])
    x = middle[0] + rng.uniform(-0.5, 0.5, (n, 1)) + step * np.cos(angle)
    y = middle[1] + rng.uniform(-0.5, 0.5, (n, 1)) + step * np.sin(angle)
    return x, y


def bound_px(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """CRLB of x of each emitter of a frame, by differences of the mean image."""
    theta = np.concatenate([x, y, np.full(len(x), PHOTONS), [BACKGROUND]])

    def image(values: np.ndarray) -> np.ndarray:
        u, v, light = values[:-1].reshape(3, -1)
        return render_spots((SIDE_PX, SIDE_PX), u, v, light, SIGMA_PX, values[-1]).ravel()

    step = np.maximum(1e-4 * np.abs(theta), 1e-4)
    slope = np.array(
        [
            (image(theta + h * unit) - image(theta - h * unit)) / (2.0 * h)
            for h, unit in zip(step, np.eye(len(theta)), strict=True)
        ]
    )
    information = (slope / image(theta)) @ slope.T
    return np.sqrt(np.diag(np.linalg.inv(information))[: len(x)])


@pytest.mark.parametrize("apart_px", [1.8, 2.2, 2.6, 3.5])
def test_pairs_are_fitted_at_the_bound_of_the_pair(
    rng: np.random.Generator, apart_px: float
) -> None:
    x, y = pairs_of(rng, 600, apart_px)

    rows, true = fitted(rng, draw(rng, x, y), x, y)

    assert len(rows) - len(true) <= 0.005 * len(true), "pairs that are split once more"
    rows = rows[: len(true)]
    error, stated = rows[:, 0] - true[:, 0], rows[:, crowds.STD_X]
    bounds = np.array([bound_px(u, v) for u, v in zip(x[:60], y[:60], strict=True)])
    assert np.sqrt(np.mean(error**2) / np.mean(bounds**2)) < 1.15
    assert np.sqrt(np.mean((error / stated) ** 2)) == pytest.approx(1.0, abs=0.1)
    assert np.mean(stated**2) == pytest.approx(np.mean(bounds**2), rel=0.15)
    assert rows[:, crowds.PHOTONS].mean() == pytest.approx(PHOTONS, rel=0.01)
    assert rows[:, crowds.BACKGROUND].mean() == pytest.approx(BACKGROUND, rel=0.05)
    assert rows[:, crowds.CHI2].mean() == pytest.approx(0.93, abs=0.07)


def test_a_gain_register_makes_the_same_places_less_certain(rng: np.random.Generator) -> None:
    x, y = pairs_of(rng, 400, 2.6)

    rows, true = fitted(rng, draw(rng, x, y, excess=2), x, y, excess=2)

    rows = rows[: len(true)]
    ratio = (rows[:, 0] - true[:, 0]) / rows[:, crowds.STD_X]
    assert 0.85 < np.sqrt(np.mean(ratio**2)) < 1.2


def test_pairs_at_the_edge_of_the_frame_are_fitted_on_what_is_there(
    rng: np.random.Generator,
) -> None:
    x, y = pairs_of(rng, 300, 3.0, middle=(2.0, 16.0))

    rows, true = fitted(rng, draw(rng, x, y), x, y)

    rows = rows[: len(true)]
    ratio = (rows[:, 0] - true[:, 0]) / rows[:, crowds.STD_X]
    assert np.sqrt(np.mean(ratio**2)) == pytest.approx(1.0, abs=0.15)


def test_light_of_rows_that_stay_is_known(rng: np.random.Generator) -> None:
    """A pair, and a third emitter four and a half widths to the right of its middle, that stays."""
    x, y = pairs_of(rng, 300, 2.0)
    x, y = np.hstack([x, np.full((300, 1), 21.9)]), np.hstack([y, np.full((300, 1), 16.0)])
    frames = draw(rng, x, y)

    rows, true = fitted(rng, frames, x, y, free=np.array([True, True, False]))
    alone, _ = fitted(rng, frames, x[:, :2], y[:, :2])

    rows = rows[: len(true)].reshape(300, 3, -1)
    assert np.all(rows[:, 2, crowds.IS_FITTED] == 0.0)
    assert np.all(rows[:, :2, crowds.IS_FITTED] == 1.0)
    assert abs(np.mean(rows[:, :2, 0] - x[:, :2])) < 0.01
    # What is not known of pulls.
    assert np.mean(alone[:600, 0]) - x[:, :2].mean() > 0.02
