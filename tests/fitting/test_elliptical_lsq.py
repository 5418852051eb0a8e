"""The elliptical fit finds the ellipse, its light and an honest error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rtsmlm.fitting.boxes import (
    BACKGROUND,
    CONVERGED,
    PHOTONS,
    SIGMA,
    STATUS,
    STD_PHOTONS,
    STD_X,
    STD_Y,
    X,
    Y,
    fit_table,
)
from rtsmlm.fitting.elliptical_lsq import fit_elliptical_lsq
from rtsmlm.physics.fisher import crlb, fisher_information


def _ellipse(
    x0: float,
    y0: float,
    photons: Any,
    s1: float,
    s2: float,
    phi: float,
    background: float,
    box_px: int = 13,
) -> np.ndarray:
    y_px, x_px = np.indices((box_px, box_px))
    dx, dy = x_px - x0, y_px - y0
    along = dx * np.cos(phi) - dy * np.sin(phi)
    across = dx * np.sin(phi) + dy * np.cos(phi)
    peak = photons / (2 * np.pi * s1 * s2)
    return peak * np.exp(-0.5 * ((along / s1) ** 2 + (across / s2) ** 2)) + background


def _fit(data: np.ndarray, sigma_px: float = 1.3, excess_noise: float = 1.0) -> np.ndarray:
    data = np.ascontiguousarray(data, np.float32)
    start = np.full(len(data), (data.shape[1] - 1) / 2, np.float32)
    rows = fit_table(len(data))
    fit_elliptical_lsq(data, np.zeros_like(data), start, start, sigma_px, excess_noise, 50, rows)
    return rows


@pytest.mark.parametrize("phi", [0.0, 0.6, 1.2, 2.4])
def test_a_tilted_ellipse_without_noise_is_found_exactly(phi: float) -> None:
    image = _ellipse(6.3, 5.8, 2000.0, 1.2, 1.9, phi, 8.0)

    (row,) = _fit(image[None])

    assert row[STATUS] == CONVERGED
    assert row[X] == pytest.approx(6.3, abs=1e-3)
    assert row[Y] == pytest.approx(5.8, abs=1e-3)
    assert row[PHOTONS] == pytest.approx(2000.0, rel=1e-3)
    assert row[BACKGROUND] == pytest.approx(8.0, abs=0.02)
    assert row[SIGMA] ** 2 + 1 / 12 == pytest.approx(1.2 * 1.9, rel=2e-3)


@pytest.mark.parametrize(("s1", "s2", "phi"), [(1.3, 1.3, 0.0), (1.2, 1.8, 0.7)])
def test_noisy_ellipses_reach_the_bound_and_state_it(
    rng: np.random.Generator, s1: float, s2: float, phi: float
) -> None:
    n, photons, background = 4000, 2000.0, 10.0
    shift = rng.uniform(-0.5, 0.5, (n, 2))
    mean = np.stack(
        [_ellipse(6 + dx, 6 + dy, photons, s1, s2, phi, background) for dx, dy in shift]
    )
    # The quadratic form has no singular angle for a round spot; the bound of x does not care.
    bound_x, bound_y = crlb(
        fisher_information(
            lambda t: t[2] * _form(t[0], t[1], t[4], t[5], t[6]) + t[3],
            [6.0, 6.0, photons / (2 * np.pi * s1 * s2), background, *_quadratic(s1, s2, phi)],
            [1e-3, 1e-3, 0.1, 0.01, 1e-4, 1e-4, 1e-4],
        )
    )[:2]

    rows = _fit(rng.poisson(mean))

    fine = rows[:, STATUS] == CONVERGED
    assert fine.mean() > 0.995
    error_x, error_y = (rows[:, X] - 6 - shift[:, 0])[fine], (rows[:, Y] - 6 - shift[:, 1])[fine]
    assert abs(error_x.mean()) < 0.1 * bound_x
    assert 0.96 < error_x.std() / bound_x < 1.08
    assert 0.96 < error_y.std() / bound_y < 1.08
    assert 0.95 < (error_x / rows[fine, STD_X]).std() < 1.08
    assert 0.95 < (error_y / rows[fine, STD_Y]).std() < 1.08
    photons_score = (rows[fine, PHOTONS] - photons) / rows[fine, STD_PHOTONS]
    assert abs(photons_score.mean()) < 0.2
    assert 0.93 < photons_score.std() < 1.1


def test_the_gain_register_widens_the_stated_error_by_the_root_of_two(
    make_boxes: Callable[..., Any],
) -> None:
    boxes = make_boxes(50, 3000, 10, 1.3, 11, "poisson")

    plain = _fit(boxes.photons)
    amplified = _fit(boxes.photons, excess_noise=2.0)

    np.testing.assert_allclose(amplified[:, STD_X] / plain[:, STD_X], np.sqrt(2), rtol=1e-6)


def _quadratic(s1: float, s2: float, phi: float) -> tuple[float, float, float]:
    c, s = np.cos(phi), np.sin(phi)
    a = (c / s1) ** 2 + (s / s2) ** 2
    b = c * s * (1 / s2**2 - 1 / s1**2)
    return a, b, (s / s1) ** 2 + (c / s2) ** 2


def _form(x0: float, y0: float, a: float, b: float, c: float, box_px: int = 13) -> np.ndarray:
    y_px, x_px = np.indices((box_px, box_px))
    dx, dy = x_px - x0, y_px - y0
    return np.exp(-0.5 * (a * dx**2 + 2 * b * dx * dy + c * dy**2))
