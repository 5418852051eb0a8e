"""Curves of an astigmatic PSF are brought to the widths of lone spots whose z is not known."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.fitting.curves_of_run import CurveFactors, fit_factors, measure_curves, with_factors
from rtsmlm.fitting.widths import integrals
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves

PIXEL_NM, SHAPE = 100.0, (120, 120)
NOTHING = (0.0, 0.0, 0.0)
CURVES = WidthCurves(
    x=WidthCurve(sigma0_nm=130.0, focus_nm=250.0, depth_nm=400.0, quartic=0.1),
    y=WidthCurve(sigma0_nm=130.0, focus_nm=-190.0, depth_nm=400.0, quartic=0.1),
    z_min_nm=-450.0,
    z_max_nm=500.0,
)


def drawn(rng: np.random.Generator, curves: WidthCurves, n_frames: int = 40) -> np.ndarray:
    """Return frames of spots of 1500 to 5000 photons on 20 at any height of the range."""
    frames = np.full((n_frames, *SHAPE), 20.0)
    for frame in frames:
        center = rng.uniform(0, SHAPE[0] - 1, (7, 2))
        z = rng.uniform(curves.z_min_nm, curves.z_max_nm, 7)
        along_x = integrals(center[:, 0], curves.x.sigma_nm(z) / PIXEL_NM, SHAPE[1])[0]
        along_y = integrals(center[:, 1], curves.y.sigma_nm(z) / PIXEL_NM, SHAPE[0])[0]
        frame += np.einsum("n,ny,nx->yx", rng.uniform(1500, 5000, 7), along_y, along_x)
    return rng.poisson(frames).astype(np.float32)


def factors_of(frames: np.ndarray) -> CurveFactors:
    found = measure_curves(frames, np.zeros(SHAPE, np.float32), CURVES, PIXEL_NM)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "true", [(1.0, 1.0, 1.0), (1.1, 1.1, 1.0), (0.9, 0.9, 1.0), (1.0, 1.0, 1.1), (1.08, 1.0, 0.9)]
)
def test_factors_on_widths_and_foci_are_found_within_their_errors(
    rng: np.random.Generator, true: tuple[float, float, float]
) -> None:
    moved = with_factors(CURVES, CurveFactors(*true, NOTHING, 0))

    found = factors_of(drawn(rng, moved))

    for value, wanted, std in zip(found.values, true, found.std, strict=True):
        assert value == pytest.approx(wanted, abs=4.5 * std)
    assert max(found.std[:2]) < 0.006
    assert found.std[2] < 0.015


def test_pairs_among_the_spots_do_not_move_the_curves(rng: np.random.Generator) -> None:
    frames = drawn(rng, CURVES)
    for frame in frames[::2]:  # in every other one a pair where another spot may be
        row, column = rng.integers(15, 105, 2)
        frame[row, column : column + 4] += rng.poisson(250, 4)

    assert factors_of(frames).values == pytest.approx((1.0, 1.0, 1.0), abs=0.03)


def test_widths_on_the_curves_leave_them_where_they_are(
    rng: np.random.Generator,
) -> None:
    z = rng.uniform(-400, 450, 300)
    widths = np.column_stack([CURVES.x.sigma_nm(z), CURVES.y.sigma_nm(z)])
    covariance = np.broadcast_to(1e-4 * np.eye(2), (300, 2, 2))

    found = fit_factors(np.log(widths), covariance, CURVES)

    assert found is not None
    assert found.values == pytest.approx((1.0, 1.0, 1.0), abs=2e-3)


def test_few_spots_move_nothing(rng: np.random.Generator) -> None:
    frames = drawn(rng, CURVES, n_frames=6)

    assert measure_curves(frames, np.zeros(SHAPE, np.float32), CURVES, PIXEL_NM) is None
    tiny = np.zeros((3, 9, 9), np.float32)
    assert measure_curves(tiny, tiny[0], CURVES, PIXEL_NM) is None
