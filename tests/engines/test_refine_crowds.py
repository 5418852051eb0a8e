"""Crowds are fitted as wholes where a network has found them, and rows that are two become two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.spatial import cKDTree

from rtsmlm.engines.refine_crowds import MAX_SIGMA_PX, refine_crowds
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.fisher import gaussian_crlb
from rtsmlm.physics.gaussian import render_spots

PIXEL_NM, SIGMA_PX, PHOTONS, BACKGROUND, OFFSET = 100.0, 1.3, 2000.0, 20.0, 100.0


@dataclass
class Frames:
    """Emitters in frames, and these frames."""

    frame: np.ndarray
    x: np.ndarray
    y: np.ndarray
    batch: FrameBatch
    excess: int = 1


def drawn(
    rng: np.random.Generator,
    frame: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    *,
    shape: tuple[int, int] = (64, 64),
    sigma_px: float = SIGMA_PX,
    excess: int = 1,
) -> Frames:
    n = int(frame.max(initial=0)) + 1
    pixels = np.empty((n, *shape), dtype=np.uint16)
    for k in range(n):
        here = frame == k
        light = np.full(here.sum(), PHOTONS)
        mean = render_spots(shape, x[here], y[here], light, sigma_px, BACKGROUND)
        counts = rng.poisson(mean).astype(float)
        if excess == 2:  # a gain register
            counts = np.rint(rng.gamma(np.maximum(counts, 1e-9)))
        pixels[k] = counts + OFFSET
    return Frames(frame, x, y, FrameBatch.from_pixels(pixels, index=np.arange(n)), excess)


def rows_at(
    frame: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    *,
    photons: float = PHOTONS,
    std_px: float = 0.1,
) -> Localizations:
    std_nm = np.full(len(frame), std_px * PIXEL_NM)
    columns = {
        "frame": np.asarray(frame, np.int64),
        "x_nm": np.asarray(x) * PIXEL_NM,
        "y_nm": np.asarray(y) * PIXEL_NM,
        "std_x_nm": std_nm,
        "std_y_nm": std_nm,
        "photons": np.full(len(frame), photons),
        "std_photons": np.full(len(frame), 200.0),
        "background": np.full(len(frame), BACKGROUND),
    }
    return Localizations.from_columns(columns)


def near(frames: Frames, rng: np.random.Generator, std_px: float = 0.1) -> Localizations:
    """Rows of a network that has found all, and says how far they are off."""
    off = rng.normal(0.0, std_px, (2, len(frames.x)))
    return rows_at(frames.frame, frames.x + off[0], frames.y + off[1], std_px=std_px)


def refined(
    locs: Localizations,
    frames: Frames,
    *,
    free: np.ndarray | None = None,
    sigma_px: float = SIGMA_PX,
    variance: np.ndarray | None = None,
) -> Localizations:
    one = np.ones(frames.batch.shape, np.float32)
    maps = (OFFSET * one, one, 0.0 * one if variance is None else variance)
    rows = np.ones(len(locs), np.bool_) if free is None else free
    known = {"pixel_nm": PIXEL_NM, "excess_noise": float(frames.excess)}
    return refine_crowds(locs, frames.batch, maps, rows, sigma_px=(sigma_px, sigma_px), **known)


def assert_finite(locs: Localizations) -> None:
    for name, column in locs.columns().items():
        assert np.all(np.isfinite(column)) or name in ("z_nm", "std_z_nm", "chi2"), name


def on_grid(
    rng: np.random.Generator, n_frames: int, step_px: float = 20.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame, x and y of nine places a frame, far from each other."""
    y, x = np.mgrid[:3, :3].reshape(2, -1) * step_px + 12.0
    u, v = (np.tile(a, n_frames) + rng.uniform(-0.5, 0.5, 9 * n_frames) for a in (x, y))
    return np.repeat(np.arange(n_frames), 9), u, v


def recall(frames: Frames, found: Localizations, within_px: float) -> float:
    """Part of emitters that have a row of their own, each row given to the nearest emitter."""
    true = np.column_stack([frames.x, frames.y, 1e4 * frames.frame])
    rows = np.column_stack([found.x_nm / PIXEL_NM, found.y_nm / PIXEL_NM, 1e4 * found.frame])
    distance, who = cKDTree(true).query(rows)
    return len(np.unique(who[distance < within_px])) / len(true)


def test_two_emitters_that_are_one_row_become_two(rng: np.random.Generator) -> None:
    frame, x, y = on_grid(rng, 40)
    angle = rng.uniform(0.0, np.pi, len(x))
    dx, dy = (0.6 * SIGMA_PX * f(angle) for f in (np.cos, np.sin))
    both = [np.concatenate([a - d, a + d]) for a, d in ((x, dx), (y, dy))]
    frames = drawn(rng, np.tile(frame, 2), *both)

    found = refined(rows_at(frame, x, y, photons=2.0 * PHOTONS), frames)

    assert len(found) <= 2.01 * len(frame)
    assert recall(frames, found, 0.5 * SIGMA_PX) > 0.85
    assert np.all(np.diff(found.frame[len(frame) :]) >= 0)
    assert np.mean(found.photons) == pytest.approx(PHOTONS * 2 * len(frame) / len(found), rel=0.02)


@pytest.mark.parametrize(("wide", "most"), [(1.0, 0.01), (1.08, 0.03)])
@pytest.mark.parametrize("n_frames", [1, 3, 60])
def test_lone_emitters_stay_one_also_of_a_wider_psf(
    rng: np.random.Generator, wide: float, most: float, n_frames: int
) -> None:
    gained, n = 0, 0
    for _ in range(60 // n_frames):
        frame, x, y = on_grid(rng, n_frames)
        frames = drawn(rng, frame, x, y, sigma_px=wide * SIGMA_PX)
        locs = near(frames, rng)
        gained += len(refined(locs, frames)) - len(locs)
        n += len(locs)

    assert gained < most * n


def crowd_of(
    rng: np.random.Generator, n_frames: int, density_um2: float, excess: int = 1, side: int = 64
) -> Frames:
    per_frame = round(density_um2 * (side * PIXEL_NM / 1000.0) ** 2)
    frame = np.repeat(np.arange(n_frames), per_frame)
    x, y = rng.uniform(-0.5, side - 0.5, (2, len(frame)))
    return drawn(rng, frame, x, y, excess=excess, shape=(side, side))


def test_photons_of_a_crowd_are_those_that_were_there(rng: np.random.Generator) -> None:
    frames = crowd_of(rng, 20, 2.0)
    # Far from the edges, as light that falls outside is fitted, too.
    inside = (np.abs(frames.x - 31.5) < 26) & (np.abs(frames.y - 31.5) < 26)
    frames = drawn(rng, frames.frame[inside], frames.x[inside], frames.y[inside])
    locs = near(frames, rng)

    found = refined(locs, frames)

    # Shot noise of the light, and of the background around it.
    given = PHOTONS * len(frames.x)
    shot = np.sqrt(given + BACKGROUND * 20 * 56**2)
    per_frame = np.bincount(found.frame, weights=found.photons, minlength=20)
    true = PHOTONS * np.bincount(frames.frame, minlength=20)
    assert np.sum(per_frame) / given == pytest.approx(1.0, abs=4.0 * shot / given + 0.01)
    assert np.std(per_frame / true) < 0.05


@pytest.mark.parametrize(("excess", "density"), [(1, 0.3), (2, 0.3), (1, 1.0)])
def test_errors_are_those_that_are_stated(
    rng: np.random.Generator, excess: int, density: float
) -> None:
    # As a network that is a third above the bound of a lone emitter.
    frames = crowd_of(rng, 40, density, excess)
    locs = near(frames, rng, 0.04)

    found = refined(locs, frames)

    parts = found.take(np.arange(len(locs)))
    points = np.column_stack([frames.x, frames.y, 1e4 * frames.frame])
    apart = cKDTree(points).query(points, k=2)[0][:, 1] > 1.5 * SIGMA_PX
    inside = (np.abs(frames.x - 31.5) < 28) & (np.abs(frames.y - 31.5) < 28)
    moved = parts.x_nm != locs.x_nm
    which = apart & inside & moved
    assert which.mean() > 0.3
    ratio = (parts.x_nm / PIXEL_NM - frames.x)[which] / (parts.std_x_nm / PIXEL_NM)[which]
    assert 0.85 < np.sqrt(np.mean(np.clip(ratio, -6.0, 6.0) ** 2)) < 1.2


def test_a_fit_in_two_tiles_gives_the_rows_of_one(rng: np.random.Generator) -> None:
    """Crowds on the border of two tiles, in frames of 200 pixels, and the same in such of 100."""
    x, y = rng.uniform(80.0, 119.0, 400), rng.uniform(8.0, 56.0, 400)
    frame = np.repeat(np.arange(20), 20)
    wide = drawn(rng, frame, x, y, shape=(64, 200))
    pixels = wide.batch.pixels[:, :, 50:150].copy()
    small = Frames(frame, x - 50.0, y, FrameBatch.from_pixels(pixels, index=np.arange(20)))
    locs = near(wide, rng)
    shifted = rows_at(frame, locs.x_nm / PIXEL_NM - 50.0, locs.y_nm / PIXEL_NM)

    whole, two = refined(shifted, small), refined(locs, wide)

    n = len(locs)
    assert len(two) == pytest.approx(len(whole), abs=2)
    assert np.mean((two.x_nm[:n] != locs.x_nm) == (whole.x_nm[:n] != shifted.x_nm)) > 0.98
    # Steps end before they are nothing, and the nodes of the background lie elsewhere.
    off = np.hypot(two.x_nm[:n] - 50.0 * PIXEL_NM - whole.x_nm[:n], two.y_nm[:n] - whole.y_nm[:n])
    assert np.median(off / whole.std_x_nm[:n]) < 0.15
    assert np.mean(off < 0.5 * whole.std_x_nm[:n]) > 0.95
    of_whole, of_two = (
        np.median(np.abs(t.x_nm[:n] / PIXEL_NM - at)) for t, at in ((whole, small.x), (two, wide.x))
    )
    assert of_two < 1.05 * of_whole


@pytest.mark.parametrize("n_pairs", [1, 9])
def test_rows_that_are_not_free_stay_to_the_bit_and_their_light_is_known(
    rng: np.random.Generator, n_pairs: int
) -> None:
    """The second of two, 2.5 widths apart, is known where it is; so the first is at its bound."""
    frame, x, y = (a.reshape(60, 9)[:, :n_pairs].ravel() for a in on_grid(rng, 60))
    beside = x + 2.5 * SIGMA_PX
    frames = drawn(rng, np.tile(frame, 2), np.append(x, beside), np.tile(y, 2))
    n = len(frame)
    locs = rows_at(
        np.tile(frame, 2),
        np.append(x + rng.normal(0.0, 0.1, n), beside),
        # The known ones are the first of the frame.
        np.append(y + 0.1, y),
    )
    free = np.arange(2 * n) < n

    found = refined(locs, frames, free=free)

    for name, column in locs.columns().items():
        np.testing.assert_array_equal(found.columns()[name][n : 2 * n], column[n:], err_msg=name)
    assert np.mean(found.x_nm[:n] != locs.x_nm[:n]) > 0.97
    bound_px = gaussian_crlb(PHOTONS, BACKGROUND, SIGMA_PX, box_px=11).x_px.item()
    error = np.sqrt(np.mean((found.x_nm[:n] / PIXEL_NM - x) ** 2))
    # The light of the second one is noise of the first one's pixels.
    assert 0.95 * bound_px < error < 1.25 * bound_px


def test_a_lone_row_that_stays_does_not_keep_a_crowd_from_being_fitted(
    rng: np.random.Generator,
) -> None:
    """It is the first of the frame; so many others that all are fitted together lie below."""
    x, y = rng.uniform(4.0, 59.0, 40), rng.uniform(20.0, 59.0, 40)
    x[0], y[0] = 10.0, 5.0
    frames = drawn(rng, np.zeros(40, np.int64), x, y)
    locs = near(frames, rng)

    found = refined(locs, frames, free=np.arange(40) > 0)

    assert np.mean(found.x_nm[1:40] != locs.x_nm[1:]) > 0.8


def test_rows_that_are_four_have_room(rng: np.random.Generator) -> None:
    """Four emitters in a line, one row in the middle, in each of many frames: none is lost."""
    frame, x, y = on_grid(rng, 10)
    apart = 1.5 * SIGMA_PX * np.array([-1.5, -0.5, 0.5, 1.5])
    line = np.concatenate([x + d for d in apart])
    frames = drawn(rng, np.tile(frame, 4), line, np.tile(y, 4))

    found = refined(rows_at(frame, x, y, photons=4.0 * PHOTONS, std_px=0.5), frames)

    assert_finite(found)
    light = np.bincount(found.frame, weights=found.photons, minlength=10)
    assert light / (9 * 4 * PHOTONS) == pytest.approx(np.ones(10), abs=0.05)


def test_empty_tables_and_psfs_wider_than_squares_stay(rng: np.random.Generator) -> None:
    frames = crowd_of(rng, 1, 1.0)
    locs = near(frames, rng)

    assert refined(locs, frames, sigma_px=1.01 * MAX_SIGMA_PX) is locs
    assert len(refined(Localizations.empty(), frames)) == 0


@pytest.mark.parametrize(
    ("x", "y"), [(0.0, 0.0), (63.0, 63.0), (-1.4, -1.4), (64.4, 64.4), (64.4, -1.4), (30.0, 65.0)]
)
def test_rows_at_corners_and_beyond_the_frame_have_finite_numbers(
    rng: np.random.Generator, x: float, y: float
) -> None:
    frame, places = np.zeros(2, np.int64), (np.array([x, 31.0]), np.array([y, 31.0]))
    frames = drawn(rng, frame, *places)

    for n in (1, 2):
        found = refined(rows_at(frame[:n], places[0][:n], places[1][:n]), frames)

        assert_finite(found)
        assert len(found) == n


def test_masked_pixels_do_not_count(rng: np.random.Generator) -> None:
    frames = crowd_of(rng, 6, 0.5)
    masked = rng.random((64, 64)) < 0.03
    pixels = frames.batch.pixels.copy()
    pixels[:, masked] = 60_000
    batch = FrameBatch.from_pixels(pixels, index=frames.batch.index)
    hurt = Frames(frames.frame, frames.x, frames.y, batch)
    variance = np.where(masked, 1e9, 0.0).astype(np.float32)
    locs = near(frames, rng)

    found, clean = refined(locs, hurt, variance=variance), refined(locs, frames)

    assert_finite(found)
    errors = [np.abs(t.x_nm[: len(locs)] - 100 * frames.x) for t in (found, clean)]
    assert np.median(errors[0]) < 1.3 * np.median(errors[1])
