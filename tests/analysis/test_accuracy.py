"""The yardstick itself: a fit at the bound measures 1, and known faults show up as such."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsmlm.analysis.accuracy import ISOLATED, Row, measure
from rtsmlm.calibration import CameraCalibration
from rtsmlm.config import LocalizerSettings
from rtsmlm.fitting.localizer import GaussianMleLocalizer
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.protocols import ALL


def make_fit(calibration: CameraCalibration, sigma_nm: float) -> GaussianMleLocalizer:
    return GaussianMleLocalizer(
        calibration=calibration, sigma_nm=sigma_nm, settings=LocalizerSettings()
    )


class Shifted:
    """The fit with a constant error in x, and half of the stated precision."""

    name = "shifted"
    context_frames = 0
    uses_all_cores = False

    def __init__(self, calibration: CameraCalibration, sigma_nm: float) -> None:
        self._fit = make_fit(calibration, sigma_nm)

    def warm_up(self, shape: tuple[int, int]) -> None:
        self._fit.warm_up(shape)

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        found = self._fit(batch, targets)
        return replace(
            found,
            x_nm=found.x_nm + np.float32(10.0),
            std_x_nm=found.std_x_nm * np.float32(0.5),
            std_y_nm=found.std_y_nm * np.float32(0.5),
        )


def by_test(rows: list[Row], test: str) -> list[float]:
    return [row.value for row in rows if row.test.startswith(test)]


@pytest.fixture(scope="module")
def fit_rows() -> list[Row]:
    return list(measure(make_fit, n_frames=5))


def test_a_maximum_likelihood_fit_measures_one(fit_rows: list[Row]) -> None:
    ratios = by_test(fit_rows, "RMSE")

    assert len(ratios) == len(ISOLATED)
    assert 0.9 < min(ratios) < max(ratios) < 1.15
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.03)


def test_a_fit_is_honest_alone_and_lost_in_a_crowd(fit_rows: list[Row]) -> None:
    alone, crowded = by_test(fit_rows, "std of error")
    jaccard = by_test(fit_rows, "Jaccard")

    assert alone == pytest.approx(1.0, abs=0.05)
    assert crowded > 2
    assert jaccard == sorted(jaccard, reverse=True)
    assert jaccard[-1] < 0.5 < jaccard[0]


def test_a_shift_and_a_wrong_precision_are_found_out() -> None:
    rows = list(measure(Shifted, n_frames=3))

    assert min(by_test(rows, "largest bias")) == pytest.approx(10, abs=2)
    assert by_test(rows, "std of error")[0] > 1.8
    assert not any(row.met for row in rows if row.test.startswith("largest bias"))
