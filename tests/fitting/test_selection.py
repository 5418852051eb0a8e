"""A fit becomes a localization only if it can stand for an emitter."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.fitting.boxes import (
    BACKGROUND,
    CHI2,
    NOT_CONVERGED,
    PHOTONS,
    STATUS,
    STD_PHOTONS,
    STD_X,
    STD_Y,
    X,
    Y,
    fit_table,
)
from rtsmlm.fitting.selection import select_rows

SIGMA_PX = 1.3


def _good_rows(n: int) -> np.ndarray:
    """Sound fits ten pixels apart from top to bottom."""
    rows = fit_table(n)
    rows[:, X], rows[:, Y] = 20.0, 10.0 + 10.0 * np.arange(n)
    rows[:, PHOTONS], rows[:, STD_PHOTONS], rows[:, BACKGROUND] = 1000.0, 45.0, 10.0
    rows[:, STD_X] = rows[:, STD_Y] = 0.06
    rows[:, CHI2] = 0.95
    return rows


def _keep(
    rows: np.ndarray, frame: list[int] | None = None, reach_px: float = SIGMA_PX + 5.0
) -> list[bool]:
    keep = np.zeros(len(rows), dtype=np.bool_)
    numbers = np.asarray(frame or [0] * len(rows), dtype=np.int32)
    select_rows(rows, numbers, 64, 64, SIGMA_PX, 1.0, reach_px, keep)
    return keep.tolist()


def test_sound_fits_are_kept() -> None:
    assert _keep(_good_rows(3)) == [True, True, True]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (STATUS, NOT_CONVERGED),
        (X, -0.6),
        (X, 63.6),
        (Y, 64.0),
        (X, np.nan),
        (PHOTONS, 80.0),
        (PHOTONS, -500.0),
        (PHOTONS, np.nan),
        (STD_PHOTONS, np.nan),
        (STD_X, 1.4),
        (STD_Y, np.nan),
        (CHI2, 200.0),
        (CHI2, np.nan),
    ],
)
def test_an_unsound_fit_is_dropped_alone(column: int, value: float) -> None:
    rows = _good_rows(3)
    rows[2, column] = value

    assert _keep(rows) == [True, True, False]


def test_of_two_fits_at_one_place_the_brighter_stays() -> None:
    rows = _good_rows(3)
    rows[1, X], rows[1, Y] = rows[0, X] + 0.7, rows[0, Y] + 0.7

    rows[1, PHOTONS] = 1200.0
    assert _keep(rows) == [False, True, True]

    rows[1, PHOTONS] = 800.0
    assert _keep(rows) == [True, False, True]


def test_fits_at_one_place_in_different_frames_both_stay() -> None:
    rows = _good_rows(2)
    rows[1, Y] = rows[0, Y]

    assert _keep(rows, [3, 4]) == [True, True]
    assert _keep(rows, [3, 3]) == [True, False]


def test_a_dropped_fit_takes_no_neighbour_with_it() -> None:
    rows = _good_rows(2)
    rows[1, Y] = rows[0, Y] + 0.2
    rows[1, PHOTONS], rows[1, STATUS] = 5000.0, NOT_CONVERGED

    assert _keep(rows) == [True, False]


def test_a_bright_real_psf_may_misfit_more_than_a_faint_one() -> None:
    rows = _good_rows(2)
    rows[:, CHI2] = 40.0
    rows[1, PHOTONS] = 20_000.0

    assert _keep(rows) == [False, True]


def test_two_fits_of_one_emitter_are_one_though_others_lie_between_in_the_list() -> None:
    rows = _good_rows(3)
    # Boxes around the two lobes of a double helix, and around one lobe of another emitter.
    rows[:, Y] = 20.0, 31.0, 20.3
    rows[2, X] += 0.3
    assert _keep(rows, reach_px=SIGMA_PX + 24.0) == [True, True, False]
    assert _keep(rows) == [True, True, True], "a fit does not wander that far"
