"""Astigmatic emitters that overlap, fitted together: at the bound of the group, with its error."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.fitting import axial_groups as axial
from rtsmlm.fitting.astigmatic_mle import z_limits_nm
from rtsmlm.fitting.axial_groups import AXIAL_COLUMNS, axial_group_rows, fit_axial_groups
from rtsmlm.fitting.boxes import CONVERGED
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves
from rtsmlm.physics.psf import AstigmaticPsf
from rtsmlm.physics.psf_bound import psf_crlb

PIXEL_NM, SIDE = 100.0, 40
PHOTONS, BACKGROUND = 3000.0, 20.0
PSF = AstigmaticPsf(pixel_nm=PIXEL_NM)
CURVES = WidthCurves(
    x=WidthCurve(sigma0_nm=130.0, focus_nm=220.0, depth_nm=400.0, quartic=0.1),
    y=WidthCurve(sigma0_nm=130.0, focus_nm=-220.0, depth_nm=400.0, quartic=0.1),
    z_min_nm=-600.0,
    z_max_nm=600.0,
)


def drawn(
    rng: np.random.Generator, places: list[tuple[float, float, float]], n: int, excess: int = 1
) -> np.ndarray:
    """Frames of the same emitters at x, y in pixels and z in nm; offset 100."""
    mean = np.full((SIDE, SIDE), BACKGROUND, dtype=np.float32)
    x, y, z = np.array(places, dtype=np.float64).T
    PSF.render(mean, x, y, z, np.full(len(places), PHOTONS))
    counts = rng.poisson(mean, (n, SIDE, SIDE)).astype(np.float64)
    if excess == 2:  # a gain register
        counts = np.rint(rng.gamma(np.maximum(counts, 1e-9)))
    frames = (counts + 100).astype(np.uint16)
    frames.flags.writeable = False
    return frames


def fitted(
    rng: np.random.Generator,
    frames: np.ndarray,
    places: list[tuple[float, float, float]],
    excess: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of fits that begin where a network may have found them, and the group of each."""
    n, m = len(frames), len(places)
    frame = np.repeat(np.arange(n), m).astype(np.int32)
    rows = np.zeros((n * m, AXIAL_COLUMNS))
    rows[:, :3] = np.tile(places, (n, 1)) + rng.normal(0.0, 1.0, (n * m, 3)) * [0.2, 0.2, 50.0]
    rows[:, axial.AXIAL_PHOTONS], rows[:, axial.AXIAL_BACKGROUND] = PHOTONS, BACKGROUND
    order = np.lexsort((rows[:, 1], frame))
    rows, who = rows[order].copy(), np.tile(np.arange(m), n)[order]
    table = CURVES.as_array(PIXEL_NM)
    group = axial_group_rows(frame, rows, table, CURVES.widest_nm() / PIXEL_NM)
    one = np.ones((SIDE, SIDE), dtype=np.float32)
    fit_axial_groups(
        frames, 100.0 * one, one, 0.0 * one, frame, group, np.ones(len(rows), dtype=np.bool_),
        rows, table, z_limits_nm(CURVES), float(excess), 30,
    )  # fmt: skip
    return rows[np.argsort(who, kind="stable")].reshape(m, n, -1), group


@pytest.mark.parametrize(
    ("places", "excess"),
    [
        ([(18.2, 20.1, -150.0), (22.3, 19.4, 200.0)], 1),
        ([(18.2, 20.1, -150.0), (22.3, 19.4, 200.0)], 2),
        ([(19.0, 18.0, 50.0), (20.5, 22.5, 20.0), (24.2, 19.7, -300.0)], 1),
        # A pair cut at the edge of the frame.
        ([(1.0, 20.1, 100.0), (4.6, 21.4, -200.0)], 1),
    ],
    ids=["pair", "pair, EMCCD", "three", "at the edge"],
)
def test_members_of_a_group_are_at_the_bound_of_the_group_and_state_it(
    rng: np.random.Generator, places: list[tuple[float, float, float]], excess: int
) -> None:
    n = 300
    frames = drawn(rng, places, n, excess)
    x, y, z = np.array(places).T
    # The square of the bound is the frame itself: what is beyond it tells nothing.
    bound = psf_crlb(PSF, x, y, z, PHOTONS, BACKGROUND, box_px=SIDE, excess_noise=excess)

    rows, _ = fitted(rng, frames, places, excess)

    good = (rows[..., axial.AXIAL_STATUS] == CONVERGED).all(axis=0)
    assert good.mean() > 0.97
    error = (rows[..., :3] - np.array(places)[:, None])[:, good]
    stated = rows[:, good, axial.AXIAL_STD_X : axial.AXIAL_STD_Z + 1]
    # 300 frames: each spread is known to 4 %.
    assert error.std(axis=1) / bound == pytest.approx(np.ones_like(bound), abs=0.17)
    assert np.sqrt(np.mean((error.std(axis=1) / bound) ** 2)) < 1.1
    assert np.std(error / stated) == pytest.approx(1.0, abs=0.07)
    assert np.abs(error.mean(axis=1) / bound).max() < 0.25


def test_wide_spots_are_linked_further_than_narrow_ones() -> None:
    frame = np.zeros(2, dtype=np.int32)
    rows = np.zeros((2, AXIAL_COLUMNS))
    rows[1, 0] = 6.0
    table, widest = CURVES.as_array(PIXEL_NM), CURVES.widest_nm() / PIXEL_NM
    rows[:, 2] = 220.0  # narrow along x
    assert axial_group_rows(frame, rows, table, widest).tolist() == [0, 1]
    rows[:, 2] = -450.0  # wide along x
    assert axial_group_rows(frame, rows, table, widest).tolist() == [0, 0]
