"""Fits of emitters that overlap: at the bound of the group, also at edges and beside others."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.fitting import group_table as table
from rtsmlm.fitting.boxes import CONVERGED
from rtsmlm.fitting.group_fit import fit_groups
from rtsmlm.fitting.group_likelihood import MOST
from rtsmlm.fitting.group_table import GROUP_COLUMNS, group_rows
from rtsmlm.physics.gaussian import render_spots

SIGMA_PX, PHOTONS, BACKGROUND, SIDE = 1.3, 2000.0, 20.0, 32


def draw(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, excess: int = 1) -> np.ndarray:
    """Frames of emitters, one frame a row of places; offset 100."""
    frames = np.empty((len(x), SIDE, SIDE), dtype=np.uint16)
    for frame, u, v in zip(frames, x, y, strict=True):
        light = np.full(len(u), PHOTONS)
        mean = render_spots((SIDE, SIDE), u, v, light, SIGMA_PX, BACKGROUND)
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
    excess: int = 1,
    sweeps: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of fits that begin near the truth, and the places in the same order."""
    frame = np.repeat(np.arange(len(x)), x.shape[1]).astype(np.int32)
    true = np.column_stack([x.ravel(), y.ravel()])
    rows = np.zeros((len(true), GROUP_COLUMNS))
    rows[:, :2] = true + rng.normal(0.0, 0.1, true.shape)
    rows[:, 2] = PHOTONS * rng.uniform(0.8, 1.2, len(true))
    rows[:, table.GROUP_BACKGROUND] = BACKGROUND
    order = np.lexsort((rows[:, 1], frame))
    rows, true = rows[order].copy(), true[order]
    v, u = rows[:, 1].copy(), rows[:, 0].copy()
    half = np.full(len(rows), 1.5 * SIGMA_PX)
    group = group_rows(frame, v, u, half, half)
    one = np.ones((SIDE, SIDE), dtype=np.float32)
    fit_groups(
        frames,
        100.0 * one,
        one,
        0.0 * one,
        frame,
        group,
        np.ones(len(rows), dtype=np.bool_),
        rows,
        SIGMA_PX,
        float(excess),
        20,
        sweeps,
    )
    return rows, true


def pairs(
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
        return render_spots((SIDE, SIDE), u, v, light, SIGMA_PX, values[-1]).ravel()

    step = np.maximum(1e-4 * np.abs(theta), 1e-4)
    slopes = [
        (image(theta + h * unit) - image(theta - h * unit)) / (2.0 * h)
        for h, unit in zip(step, np.eye(len(theta)), strict=True)
    ]
    slope = np.array(slopes)
    information = (slope / image(theta)) @ slope.T
    return np.sqrt(np.diag(np.linalg.inv(information))[: len(x)])


@pytest.mark.parametrize("apart_px", [1.8, 2.2, 2.6, 3.5])
def test_pairs_are_fitted_at_the_bound_of_the_pair(
    rng: np.random.Generator, apart_px: float
) -> None:
    x, y = pairs(rng, 600, apart_px)

    rows, true = fitted(rng, draw(rng, x, y), x, y)

    assert np.mean(rows[:, table.GROUP_STATUS] == CONVERGED) > 0.99
    error = rows[:, 0] - true[:, 0]
    stated = rows[:, table.GROUP_STD_X]
    assert np.sqrt(np.mean((error / stated) ** 2)) == pytest.approx(1.0, abs=0.1)
    bounds = np.array([bound_px(u, v) for u, v in zip(x[:60], y[:60], strict=True)])
    # Pixels beyond three widths are left out, and noise moves what is stated: a few per cent.
    assert np.mean(stated**2) == pytest.approx(np.mean(bounds**2), rel=0.12)
    assert rows[:, 2].mean() == pytest.approx(PHOTONS, rel=0.01)
    assert rows[:, table.GROUP_BACKGROUND].mean() == pytest.approx(BACKGROUND, rel=0.03)
    assert rows[:, table.GROUP_CHI2].mean() == pytest.approx(0.93, abs=0.05)


def test_a_gain_register_makes_the_same_places_less_certain(rng: np.random.Generator) -> None:
    x, y = pairs(rng, 400, 2.6)

    rows, true = fitted(rng, draw(rng, x, y, excess=2), x, y, excess=2)

    ratio = (rows[:, 0] - true[:, 0]) / rows[:, table.GROUP_STD_X]
    assert np.sqrt(np.mean(ratio**2)) == pytest.approx(1.0, abs=0.12)


def test_pairs_at_the_edge_of_the_frame_are_fitted_on_what_is_there(
    rng: np.random.Generator,
) -> None:
    x, y = pairs(rng, 300, 3.0, middle=(2.0, 16.0))

    rows, true = fitted(rng, draw(rng, x, y), x, y)

    ratio = (rows[:, 0] - true[:, 0]) / rows[:, table.GROUP_STD_X]
    assert np.mean(rows[:, table.GROUP_STATUS] == CONVERGED) > 0.95
    assert np.sqrt(np.mean(ratio**2)) == pytest.approx(1.0, abs=0.15)


def test_the_light_of_others_nearby_is_no_bias(rng: np.random.Generator) -> None:
    # A pair, and a third emitter four and a half widths to the right of its middle.
    x, y = pairs(rng, 500, 2.0)
    x, y = np.hstack([x, 16.0 + np.full((500, 1), 5.9)]), np.hstack([y, np.full((500, 1), 16.0)])
    frames = draw(rng, x, y)

    rows, true = fitted(rng, frames, x, y)
    alone, _ = fitted(rng, frames, x[:, :2], y[:, :2])

    pair = np.abs(true[:, 0] - 21.9) > 1.0
    assert abs(np.mean(rows[pair, 0] - true[pair, 0])) < 0.01
    assert np.mean(alone[:, 0]) - x[:, :2].mean() > 0.02  # what is not known of pulls


def test_more_than_four_are_left_as_they_are(rng: np.random.Generator) -> None:
    x = 12.0 + 2.0 * np.arange(MOST + 1.0)[None, :]
    y = np.full_like(x, 16.0)
    frames = draw(rng, x, y)

    rows, _ = fitted(rng, frames, x, y)

    assert np.all(rows[:, table.GROUP_STD_X] == 0)
    assert np.any(rows[:, table.GROUP_STATUS] != CONVERGED)


def test_groups_are_chains_within_one_frame() -> None:
    frame = np.array([0, 0, 0, 1, 1], dtype=np.int32)
    y, x = np.array([5.0, 6.0, 9.0, 5.0, 30.0]), np.array([5.0, 8.0, 9.0, 5.0, 5.0])

    for link_px, groups in ((3.5, [0, 0, 0, 3, 4]), (3.0, [0, 1, 2, 3, 4])):
        half = np.full(len(y), 0.5 * link_px)
        assert group_rows(frame, y, x, half, half).tolist() == groups


def test_wide_spots_are_linked_further_than_narrow_ones() -> None:
    frame = np.zeros(2, dtype=np.int32)
    y, x = np.zeros(2), np.array([0.0, 6.0])
    narrow, wide = np.full(2, 2.5), np.full(2, 3.5)

    assert group_rows(frame, y, x, wide, narrow).tolist() == [0, 1]
    assert group_rows(frame, y, x, narrow, wide).tolist() == [0, 0]
