"""The maximum likelihood fit is unbiased and reaches the CRLB under every camera noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rtsmlm.fitting.boxes import (
    BACKGROUND,
    CHI2,
    CONVERGED,
    PHOTONS,
    SIGMA,
    STATUS,
    STD_PHOTONS,
    STD_X,
    STD_Y,
    X,
    Y,
    default_box_px,
    fit_table,
)
from rtsmlm.fitting.gaussian_mle import fit_gaussian_mle
from rtsmlm.physics.fisher import gaussian_crlb

N_SPOTS = 20_000
# Photons, background per pixel, sigma in px.
TABLE = [
    (500, 5, 1.3),
    (500, 10, 1.1),
    (1000, 10, 1.3),
    (1000, 50, 1.3),
    (5000, 10, 1.3),
    (5000, 100, 1.1),
    (20000, 100, 1.3),
]
# The spread of 20 000 errors is known to 0.5 %, hence three times that may be undercut.
SPREAD = (0.985, 1.05)
MAX_BIAS = 0.1
Z_SCORE = (0.97, 1.03)


def _fit(boxes: Any, sigma_px: float, *, fit_sigma: bool = False) -> np.ndarray:
    rows = fit_table(len(boxes.photons))
    fit_gaussian_mle(
        boxes.photons,
        boxes.variance,
        boxes.start,
        boxes.start,
        sigma_px,
        fit_sigma,
        boxes.excess_noise,
        30,
        rows,
    )
    return rows


@pytest.mark.parametrize("camera", ["poisson", "emccd", "scmos"])
@pytest.mark.parametrize(("photons", "background", "sigma_px"), TABLE)
def test_position_is_unbiased_and_as_precise_as_the_bound(
    make_boxes: Callable[..., Any], camera: str, photons: float, background: float, sigma_px: float
) -> None:
    box_px = default_box_px(sigma_px)
    boxes = make_boxes(N_SPOTS, photons, background, sigma_px, box_px, camera)
    bound = gaussian_crlb(
        photons,
        background,
        sigma_px,
        box_px=box_px,
        x_px=boxes.x_px,
        y_px=boxes.y_px,
        read_variance=boxes.variance,
        excess_noise=boxes.excess_noise,
    )

    rows = _fit(boxes, sigma_px)

    fine = rows[:, STATUS] == CONVERGED
    assert fine.mean() > 0.999
    errors = {
        "x": (rows[:, X] - boxes.x_px) / bound.x_px,
        "y": (rows[:, Y] - boxes.y_px) / bound.y_px,
        "photons": (rows[:, PHOTONS] - photons) / bound.photons,
        "background": (rows[:, BACKGROUND] - background) / bound.background,
    }
    for name, error in errors.items():
        assert abs(error[fine].mean()) < MAX_BIAS, f"bias of {name}"
        assert SPREAD[0] < error[fine].std() < SPREAD[1], f"spread of {name}"
    stated = {
        "x": (rows[:, X] - boxes.x_px) / rows[:, STD_X],
        "y": (rows[:, Y] - boxes.y_px) / rows[:, STD_Y],
        "photons": (rows[:, PHOTONS] - photons) / rows[:, STD_PHOTONS],
    }
    for name, score in stated.items():
        assert Z_SCORE[0] < score[fine].std() < Z_SCORE[1], f"stated std of {name}"


@pytest.mark.parametrize(("photons", "background", "sigma_px"), [TABLE[2], TABLE[5]])
def test_a_free_width_is_found_at_its_own_bound(
    make_boxes: Callable[..., Any], photons: float, background: float, sigma_px: float
) -> None:
    box_px = default_box_px(sigma_px) + 2
    boxes = make_boxes(N_SPOTS, photons, background, sigma_px, box_px, "poisson")
    bound = gaussian_crlb(
        photons,
        background,
        sigma_px,
        box_px=box_px,
        x_px=boxes.x_px,
        y_px=boxes.y_px,
        fit_sigma=True,
    )

    rows = _fit(boxes, 1.15 * sigma_px, fit_sigma=True)

    error = (rows[:, SIGMA] - sigma_px) / bound.sigma_px
    assert abs(error.mean()) < MAX_BIAS
    assert SPREAD[0] < error.std() < SPREAD[1]


def test_noisy_pixels_count_for_less_when_their_variance_is_known(
    make_boxes: Callable[..., Any],
) -> None:
    boxes = make_boxes(4000, 300, 2, 1.2, 9, "scmos")
    rows_with = _fit(boxes, 1.2)
    boxes.variance[:] = boxes.variance.mean()
    rows_without = _fit(boxes, 1.2)

    def error(rows: np.ndarray) -> float:
        fine = rows[:, STATUS] == CONVERGED
        return float(np.std((rows[:, X] - boxes.x_px)[fine]))

    assert error(rows_with) < 0.95 * error(rows_without)


def test_chi2_of_a_right_model_is_one_per_degree_of_freedom(make_boxes: Callable[..., Any]) -> None:
    boxes = make_boxes(4000, 1000, 10, 1.3, 9, "scmos")

    rows = _fit(boxes, 1.3)

    assert rows[:, CHI2].mean() * 81 / 77 == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("level", [-50.0, 0.0, 10.0, 65535.0])
def test_a_flat_box_gives_no_precise_spot(level: float) -> None:
    flat = np.full((1, 9, 9), level, dtype=np.float32)
    start = np.full(1, 4.0, dtype=np.float32)
    rows = fit_table(1)

    fit_gaussian_mle(flat, np.ones_like(flat), start, start, 1.3, False, 1.0, 30, rows)

    significance = rows[0, PHOTONS] / rows[0, STD_PHOTONS] if rows[0, STD_PHOTONS] > 0 else 0.0
    assert rows[0, STATUS] != CONVERGED or significance < 2.0
