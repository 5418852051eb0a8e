"""Emitters with depth that overlap, fitted together: at the bound of the group, with its error."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.fitting import group_table as fits
from rtsmlm.fitting.astigmatic_mle import z_limits_nm
from rtsmlm.fitting.boxes import CONVERGED
from rtsmlm.fitting.group_fit import fit_astigmatic_groups, fit_measured_groups
from rtsmlm.fitting.group_table import GROUP_COLUMNS, group_rows
from rtsmlm.fitting.psf_spline import spline_of
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves
from rtsmlm.physics.psf import AstigmaticPsf, Psf, TablePsf, table_from_planes
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
FOUND = [fits.GROUP_X, fits.GROUP_Y, fits.GROUP_Z]
STATED = [fits.GROUP_STD_X, fits.GROUP_STD_Y, fits.GROUP_STD_Z]
PAIR = [(18.2, 20.1, -150.0), (22.3, 19.4, 200.0)]
Places = list[tuple[float, float, float]]


def with_halo(*, aside_px: float) -> TablePsf:
    """Return an astigmatic spot with a fifth of its light in a halo that lies aside."""
    fine, side = 4, 29
    grid = (np.arange(fine * side) - 0.5 * (fine * side - 1)) / fine

    def spot(x: float, y: float, sigma_x: float, sigma_y: float) -> np.ndarray:
        along_x = np.exp(-0.5 * ((grid - x) / sigma_x) ** 2)
        along_y = np.exp(-0.5 * ((grid - y) / sigma_y) ** 2)
        image = np.outer(along_y, along_x)
        return np.asarray(image / image.sum())

    planes = []
    for z in np.arange(-700.0, 701.0, 50.0):
        sigma_x, sigma_y = (float(s) / PIXEL_NM for s in PSF.sigmas_nm(z))
        halo = spot(aside_px + z / 1000.0, -0.5 * aside_px, 2.5, 2.5)
        planes.append(0.8 * spot(0.0, 0.0, sigma_x, sigma_y) + 0.2 * halo)
    return table_from_planes(np.stack(planes), fine_per_px=fine, z_first_nm=-700.0, z_step_nm=50.0)


BEADS = with_halo(aside_px=1.5)


def drawn(rng: np.random.Generator, psf: Psf, places: Places, n: int, excess: int) -> np.ndarray:
    """Frames of the same emitters at x, y in pixels and z in nm; offset 100."""
    mean = np.full((SIDE, SIDE), BACKGROUND, dtype=np.float32)
    x, y, z = np.array(places, dtype=np.float64).T
    psf.render(mean, x, y, z, np.full(len(places), PHOTONS))
    counts = rng.poisson(mean, (n, SIDE, SIDE)).astype(np.float64)
    if excess == 2:  # a gain register
        counts = np.rint(rng.gamma(np.maximum(counts, 1e-9)))
    frames = (counts + 100).astype(np.uint16)
    frames.flags.writeable = False
    return frames


def fitted(
    rng: np.random.Generator,
    frames: np.ndarray,
    places: Places,
    table: TablePsf | None = None,
    excess: int = 1,
) -> np.ndarray:
    """Rows of fits that begin where a network may have found them, (members, frames, columns)."""
    n, m = len(frames), len(places)
    frame = np.repeat(np.arange(n), m).astype(np.int32)
    rows = np.zeros((n * m, GROUP_COLUMNS))
    near = rng.normal(0.0, 1.0, (n * m, 3)) * [0.2, 0.2, 50.0]
    rows[:, FOUND] = np.tile(places, (n, 1)) + near
    rows[:, fits.GROUP_PHOTONS], rows[:, fits.GROUP_BACKGROUND] = PHOTONS, BACKGROUND
    order = np.lexsort((rows[:, fits.GROUP_Y], frame))
    rows, who = rows[order].copy(), np.tile(np.arange(m), n)[order]
    wide = np.full(len(rows), 5.0)
    group = group_rows(frame, rows[:, 1].copy(), rows[:, 0].copy(), wide, wide)
    one = np.ones((SIDE, SIDE), dtype=np.float32)
    data = (frames, 100.0 * one, one, 0.0 * one, frame, group, np.ones(len(rows), np.bool_), rows)
    shape, steps = CURVES.as_array(PIXEL_NM), (100.0, float(excess), 30, 1)
    if table is None:
        fit_astigmatic_groups(*data, shape, z_limits_nm(CURVES), *steps)
    else:
        fit_measured_groups(*data, (spline_of(table), shape), z_limits_nm(CURVES), *steps)
    return rows[np.argsort(who, kind="stable")].reshape(m, n, -1)


@pytest.mark.parametrize("table", [None, BEADS], ids=["Gaussian", "beads"])
@pytest.mark.parametrize(
    ("places", "excess"),
    [
        (PAIR, 1),
        (PAIR, 2),
        ([(19.0, 18.0, 50.0), (20.5, 22.5, 20.0), (24.2, 19.7, -300.0)], 1),
        # A pair cut at the edge of the frame.
        ([(1.0, 20.1, 100.0), (4.6, 21.4, -200.0)], 1),
    ],
    ids=["pair", "pair, EMCCD", "three", "at the edge"],
)
def test_members_of_a_group_are_at_the_bound_of_the_group_and_state_it(
    rng: np.random.Generator, places: Places, excess: int, table: TablePsf | None
) -> None:
    n, psf = 300, PSF if table is None else table
    frames = drawn(rng, psf, places, n, excess)
    x, y, z = np.array(places).T
    # The square of the bound is the frame itself: what is beyond it tells nothing.
    bound = psf_crlb(psf, x, y, z, PHOTONS, BACKGROUND, box_px=SIDE, excess_noise=excess)

    rows = fitted(rng, frames, places, table, excess)

    good = (rows[..., fits.GROUP_STATUS] == CONVERGED).all(axis=0)
    assert good.mean() > 0.97
    error = (rows[..., FOUND] - np.array(places)[:, None])[:, good]
    stated = rows[:, good][..., STATED]
    # 300 frames: each spread is known to 4 %. Of wings beyond three widths nothing is seen.
    wings = 0.0 if table is None else 0.1
    assert error.std(axis=1) / bound == pytest.approx(np.ones_like(bound), abs=0.17 + wings)
    assert np.sqrt(np.mean((error.std(axis=1) / bound) ** 2)) < 1.1 + wings
    assert np.std(error / stated) == pytest.approx(1.0, abs=0.07)
    assert np.abs(error.mean(axis=1) / bound).max() < 0.25 + wings
    assert rows[:, good, fits.GROUP_PHOTONS].mean() == pytest.approx(PHOTONS, rel=0.02)


def test_the_table_of_other_beads_is_seen_in_the_misfit_and_in_the_places(
    rng: np.random.Generator,
) -> None:
    frames = drawn(rng, BEADS, PAIR, 100, 1)
    mirrored = with_halo(aside_px=-1.5)

    right, wrong = (fitted(rng, frames, PAIR, table) for table in (BEADS, mirrored))

    def misfit(rows: np.ndarray) -> float:
        return float(np.median(rows[..., fits.GROUP_CHI2]))

    def bias(rows: np.ndarray) -> float:
        error = rows[..., FOUND] - np.array(PAIR)[:, None]
        return float(np.abs(np.median(error / rows[..., STATED], axis=1)).max())

    # 9 parameters explain some of the noise of 130 pixels.
    assert misfit(right) == pytest.approx(0.93, abs=0.05)
    assert misfit(wrong) > 1.2 * misfit(right)
    assert bias(right) < 0.4
    assert bias(wrong) > 2.0
