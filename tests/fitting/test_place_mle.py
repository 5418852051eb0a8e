"""The fit of a known width: its arithmetic against numpy, its steps against the other fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.fitting.boxes import (
    BACKGROUND,
    CHI2,
    CONVERGED,
    PHOTONS,
    STATUS,
    STD_PHOTONS,
    STD_X,
    STD_Y,
    X,
    Y,
    fit_table,
)
from rtsmlm.fitting.four import factorize_four, solve_four, variances_of_four
from rtsmlm.fitting.gaussian_mle import fit_gaussian_mle
from rtsmlm.physics.gaussian import pixel_integrals, render_spots, spot_shares

BOX = 9
SIGMA_PX = 1.3


@settings(deadline=None)
@given(
    center=st.floats(-3, 12),
    sigma_px=st.floats(0.3, 8.0),
    n=st.sampled_from([7, 9, 31]),
)
def test_shares_are_the_pixel_integrals_wherever_the_spot_lies(
    center: float, sigma_px: float, n: int
) -> None:
    exact = np.empty((3, n))
    pixel_integrals(center, sigma_px, exact)
    shares, slopes = np.full((2, n), np.nan, np.float32)

    spot_shares(center, sigma_px, np.full((2, n + 1), np.nan), shares, slopes)

    np.testing.assert_allclose(shares, exact[0], atol=3e-7)
    np.testing.assert_allclose(slopes, exact[1], atol=1e-7)
    assert (shares >= 0).all()


@settings(deadline=None)
@given(seed=st.integers(0, 999))
def test_four_equations_are_solved_and_the_inverse_has_their_diagonal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(4, 4))
    matrix, right = root @ root.T + 0.1 * np.eye(4), rng.normal(size=4)
    triangle = tuple(matrix[np.tril_indices(4)].tolist())

    positive, factor = factorize_four(triangle)

    assert positive
    np.testing.assert_allclose(
        solve_four(factor, tuple(right.tolist())), np.linalg.solve(matrix, right), rtol=1e-6
    )
    np.testing.assert_allclose(variances_of_four(factor), np.diag(np.linalg.inv(matrix)), rtol=1e-8)


@pytest.mark.parametrize("broken", range(4))
def test_four_equations_that_are_not_positive_definite_are_refused(broken: int) -> None:
    matrix = np.eye(4)
    matrix[broken, broken] = -1.0
    for bad in (matrix, matrix * np.nan, np.zeros((4, 4))):
        positive, _ = factorize_four(tuple(bad[np.tril_indices(4)].tolist()))
        assert not positive


def fitted(
    photons: np.ndarray, read: float, start: np.ndarray, *, free: bool, excess_noise: float = 1.0
) -> np.ndarray:
    rows = fit_table(len(photons))
    x, y = start.astype(np.float32)
    variance = np.full(photons.shape, read, np.float32)
    fit_gaussian_mle(
        photons.astype(np.float32), variance, x, y, SIGMA_PX, free, excess_noise, 30, rows
    )
    return rows


@pytest.mark.parametrize(("background", "read"), [(0.3, 0.1), (5.0, 2.5), (100.0, 2.5)])
@pytest.mark.parametrize("photons", [150.0, 1000.0, 100_000.0])
def test_it_ends_at_the_maximum_of_the_likelihood_with_the_bound_there(
    rng: np.random.Generator, photons: float, background: float, read: float
) -> None:
    n = 200
    x, y = rng.uniform(3.5, 4.5, (2, n))
    mean = np.stack([
        render_spots((BOX, BOX), x[i], y[i], photons, SIGMA_PX, background) for i in range(n)
    ])  # fmt: skip
    light = rng.poisson(mean) + rng.normal(0, np.sqrt(read), mean.shape)
    start = np.stack([x, y]) + rng.uniform(-0.5, 0.5, (2, n))

    rows = fitted(light, read, start, free=False)

    good = rows[:, STATUS] == CONVERGED
    # Spots of 150 photons on a background of 100 are hardly there.
    assert good.mean() > (0.8 if photons < 10 * np.sqrt(background * 20) else 0.95)
    for i in np.flatnonzero(good):
        best = log_likelihood(light[i], read, rows[i])
        for column, std in ((X, STD_X), (Y, STD_Y), (PHOTONS, STD_PHOTONS)):
            for sign in (-1.0, 1.0):
                aside = rows[i].copy()
                aside[column] += sign * 0.05 * rows[i, std]
                assert log_likelihood(light[i], read, aside) <= best + 1e-3
        assert rows[i, [STD_X, STD_Y, STD_PHOTONS]] == pytest.approx(bound(read, rows[i]), rel=0.02)
        assert rows[i, CHI2] == pytest.approx(chi2(light[i], read, rows[i]), rel=1e-2)


def parts(read: float, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean with read variance, and its slopes by the four parameters."""
    along = np.empty((2, 3, BOX))
    pixel_integrals(row[X], SIGMA_PX, along[0])
    pixel_integrals(row[Y], SIGMA_PX, along[1])
    share = np.outer(along[1, 0], along[0, 0])
    slopes = [
        row[PHOTONS] * np.outer(along[1, 0], along[0, 1]),
        row[PHOTONS] * np.outer(along[1, 1], along[0, 0]),
        share,
        np.ones_like(share),
    ]
    return row[PHOTONS] * share + row[BACKGROUND] + read, np.array(slopes)


def log_likelihood(light: np.ndarray, read: float, row: np.ndarray) -> float:
    mean, _ = parts(read, row)
    return float(((light + read) * np.log(mean) - mean).sum())


def bound(read: float, row: np.ndarray) -> list[float]:
    mean, slopes = parts(read, row)
    information = np.einsum("ihw,jhw,hw->ij", slopes, slopes, 1 / mean)
    deviations: list[float] = np.sqrt(np.diag(np.linalg.inv(information)))[:3].tolist()
    return deviations


def chi2(light: np.ndarray, read: float, row: np.ndarray) -> float:
    mean, _ = parts(read, row)
    return float(((light + read - mean) ** 2 / mean).mean())


def test_a_start_far_off_ends_where_a_near_one_does_or_says_that_it_did_not(
    rng: np.random.Generator,
) -> None:
    n = 500
    x, y = rng.uniform(3.5, 4.5, (2, n))
    mean = np.stack([
        render_spots((BOX, BOX), x[i], y[i], 800.0, SIGMA_PX, 10.0) for i in range(n)
    ])  # fmt: skip
    light = rng.poisson(mean)
    near = np.stack([x, y])
    far = near + rng.uniform(-1.4, 1.4, (2, n))

    rows, others = (fitted(light, 0.0, start, free=False) for start in (near, far))

    good = others[:, STATUS] == CONVERGED
    assert good.mean() > 0.95
    std = np.maximum(rows[:, STD_X], rows[:, STD_Y])
    apart = np.hypot(others[:, X] - rows[:, X], others[:, Y] - rows[:, Y])
    assert (apart[good] < 0.05 * std[good]).all()
