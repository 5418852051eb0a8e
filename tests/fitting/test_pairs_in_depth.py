"""A spot in depth that is two emitters is told from one by its shape, and split; one is not."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.fitting import group_table as fits
from rtsmlm.fitting.astigmatic_mle import z_limits_nm
from rtsmlm.fitting.boxes import CONVERGED, STATUS, fit_table
from rtsmlm.fitting.group_fit import fit_measured_groups
from rtsmlm.fitting.group_links import limited_groups
from rtsmlm.fitting.group_split import split_groups
from rtsmlm.fitting.group_table import GROUP_COLUMNS
from rtsmlm.fitting.psf_spline import spline_of
from rtsmlm.fitting.spline_localizer import SplineMle
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves
from rtsmlm.physics.psf import TablePsf, table_from_planes

PIXEL_NM, SIDE, BOX, N = 100.0, 40, 25, 150
PHOTONS, BACKGROUND, MIDDLE = 3000.0, 20.0, 20.0
CURVES = WidthCurves(
    x=WidthCurve(sigma0_nm=130.0, focus_nm=220.0, depth_nm=400.0, quartic=0.1),
    y=WidthCurve(sigma0_nm=130.0, focus_nm=-220.0, depth_nm=400.0, quartic=0.1),
    z_min_nm=-600.0,
    z_max_nm=600.0,
)
Places = list[tuple[float, float, float]]


def beads() -> TablePsf:
    """Return an astigmatic spot with a fifth of its light in a halo that lies aside."""
    fine, side = 4, 29
    grid = (np.arange(fine * side) - 0.5 * (fine * side - 1)) / fine

    def spot(x: float, y: float, sigma_x: float, sigma_y: float) -> np.ndarray:
        image = np.outer(
            np.exp(-0.5 * ((grid - y) / sigma_y) ** 2), np.exp(-0.5 * ((grid - x) / sigma_x) ** 2)
        )
        return np.asarray(image / image.sum())

    planes = []
    for z in np.arange(-700.0, 701.0, 50.0):
        sigma_x, sigma_y = (float(curve.sigma_nm(z)) / PIXEL_NM for curve in (CURVES.x, CURVES.y))
        halo = spot(1.0 + z / 1000.0, -0.5, 2.5, 2.5)
        planes.append(0.8 * spot(0.0, 0.0, sigma_x, sigma_y) + 0.2 * halo)
    return table_from_planes(np.stack(planes), fine_per_px=fine, z_first_nm=-700.0, z_step_nm=50.0)


BEADS = beads()


def drawn(rng: np.random.Generator, places: Places, n: int, excess: int) -> np.ndarray:
    """Frames of the same emitters at x, y in pixels and z in nm; offset 100."""
    mean = np.full((SIDE, SIDE), BACKGROUND, dtype=np.float32)
    x, y, z = np.array(places, dtype=np.float64).T
    BEADS.render(mean, x, y, z, np.full(len(places), PHOTONS))
    counts = rng.poisson(mean, (n, SIDE, SIDE)).astype(np.float64)
    if excess == 2:  # a gain register
        counts = np.rint(rng.gamma(np.maximum(counts, 1e-9)))
    frames = (counts + 100).astype(np.uint16)
    frames.flags.writeable = False
    return frames


def misfits(rng: np.random.Generator, places: Places, n: int, excess: int) -> np.ndarray:
    """Misfits of boxes around the middle of frames with such emitters."""
    frames = drawn(rng, places, n, excess)
    photons = frames[:, 8 : 8 + BOX, 8 : 8 + BOX].astype(np.float32) - 100.0
    fit = SplineMle(
        BEADS,
        box_px=BOX,
        excess_noise=float(excess),
        max_iterations=20,
        curves=CURVES,
        pixel_nm=PIXEL_NM,
    )
    rows, start = fit_table(n), np.full(n, BOX // 2, dtype=np.float32)
    variance = np.zeros_like(photons)
    fit(photons, variance, start, start, rows)
    found = fit.misfits(photons, variance, rows)
    assert (np.isinf(found) == (rows[:, STATUS] != CONVERGED)).all()
    return found[np.isfinite(found)]


@pytest.mark.parametrize("excess", [1, 2], ids=["sCMOS", "EMCCD"])
@pytest.mark.parametrize("z_nm", [-300.0, 0.0, 400.0])
def test_the_misfit_of_one_emitter_is_that_of_five_degrees_of_freedom(
    rng: np.random.Generator, z_nm: float, excess: int
) -> None:
    found = misfits(rng, [(20.3, 19.8, z_nm)], 400, excess)

    assert len(found) > 390
    # The mean of chi² with five degrees of freedom is 5, its standard deviation 3.2.
    assert found.mean() == pytest.approx(5.0, abs=0.9)
    assert np.mean(found > 15.1) < 0.035  # 1 % of them


def test_two_emitters_a_spot_apart_misfit(rng: np.random.Generator) -> None:
    found = misfits(rng, [(18.9, 19.4, 60.0), (21.1, 20.6, -40.0)], 100, 1)

    assert np.median(found) > 30.0


def split(frames: np.ndarray, z_nm: float, excess: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """First and second rows of one row in the middle of each frame; zeros where it stays one."""
    n = len(frames)
    rows, seconds = np.zeros((2, n, GROUP_COLUMNS))
    rows[:, [fits.GROUP_X, fits.GROUP_Y]] = MIDDLE
    rows[:, fits.GROUP_Z], rows[:, fits.GROUP_PHOTONS] = z_nm, 4000.0
    rows[:, fits.GROUP_BACKGROUND] = 20.0
    one = np.ones((SIDE, SIDE), dtype=np.float32)
    maps = (100.0 * one, one, 0.0 * one)
    each, wanted = np.arange(n).astype(np.int32), np.ones(n, dtype=np.bool_)
    psf, limits_nm = (spline_of(BEADS), CURVES.as_array(PIXEL_NM)), z_limits_nm(CURVES)
    data = (frames, *maps, each, each, wanted, rows, psf, limits_nm)
    fit_measured_groups(*data, 100.0, float(excess), 20, 1)
    focus_nm = CURVES.crossing_nm()
    data = (frames, maps, each, each, wanted, rows, seconds, psf, limits_nm, focus_nm)
    split_groups(*data, 100.0, float(excess))
    return rows, seconds


@pytest.mark.parametrize("excess", [1, 2], ids=["sCMOS", "EMCCD"])
@pytest.mark.parametrize(
    "places",
    [
        [(18.7, 19.5, 50.0), (21.3, 20.5, -50.0)],
        # Along an axis: one emitter far out of focus would be as long.
        [(18.5, 20.0, 0.0), (21.5, 20.0, 0.0)],
    ],
    ids=["across", "along an axis"],
)
def test_two_emitters_in_one_spot_are_found_at_their_places(
    rng: np.random.Generator, places: Places, excess: int
) -> None:
    rows, seconds = split(drawn(rng, places, N, excess), 0.0, excess)

    two = seconds[:, fits.GROUP_PHOTONS] > 0.0
    assert two.mean() > 0.85
    both = np.stack([rows[two], seconds[two]])
    left = np.argmin(both[:, :, fits.GROUP_X], axis=0)
    for place, which in zip(places, (left, 1 - left), strict=True):
        found = both[which, np.arange(both.shape[1])]
        for column, stated, true in zip(
            (fits.GROUP_X, fits.GROUP_Y, fits.GROUP_Z),
            (fits.GROUP_STD_X, fits.GROUP_STD_Y, fits.GROUP_STD_Z),
            place,
            strict=True,
        ):
            error = (found[:, column] - true) / found[:, stated]
            assert abs(np.median(error)) < 0.35
            assert 1.4826 * np.median(np.abs(error)) == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("z_nm", [-450.0, 0.0, 300.0])
def test_one_emitter_stays_one(rng: np.random.Generator, z_nm: float) -> None:
    _, seconds = split(drawn(rng, [(20.2, 19.7, z_nm)], 4 * N, 1), z_nm)

    assert np.count_nonzero(seconds[:, fits.GROUP_PHOTONS]) <= 1


def test_chains_are_parted_where_spots_overlap_least() -> None:
    y, far = np.array([0.0, 1.0, 2.0, 4.5, 5.5, 6.5]), np.full(6, 2.0)
    frame, x = np.zeros(6, dtype=np.int32), np.zeros(6)

    group, is_cut = limited_groups(frame, y, x, far, far, 3)
    assert group.tolist() == [0, 0, 0, 3, 3, 3]
    assert is_cut.all()

    group, is_cut = limited_groups(frame, y, x, far, far, 6)
    assert group.tolist() == [0] * 6
    assert not is_cut.any()


def test_groups_of_a_frame_do_not_depend_on_other_frames(rng: np.random.Generator) -> None:
    n = 60
    frame = np.sort(rng.integers(0, 3, n)).astype(np.int32)
    x, y = np.round(rng.uniform(0.0, 20.0, (2, n)))  # many distances are the same
    order = np.lexsort((y, frame))
    x, y, far = x[order], y[order], np.full(n, 2.0)
    group, is_cut = limited_groups(frame, y, x, far, far, 4)

    assert np.bincount(group).max() <= 4
    for k in range(3):
        own = np.flatnonzero(frame == k)
        alone, cut = limited_groups(frame[own], y[own], x[own], far[own], far[own], 4)
        assert (alone + own[0]).tolist() == group[own].tolist()
        assert cut.tolist() == is_cut[own].tolist()
