"""Tiles to screens and to other levels: nothing is lost, nothing is moved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.localizations import F32
from rtsmlm.render.resample import enlarge, halve, resample

BITS = 3
SIDE = 1 << BITS
SLOTS = np.arange(6).reshape(2, 3)
"""A grid of 2 x 3 tiles of 8 pixels."""


def tiles(n: int = 6, planes: int = 2) -> F32:
    values = np.random.default_rng(3).uniform(0.1, 5, (n, planes, SIDE, SIDE))
    return values.astype(np.float32)


def mosaic(of: F32, slots: np.ndarray = SLOTS, plane: int = 0) -> F32:
    """Return the tiles of a grid as one image; what has no slot is empty."""
    empty = np.zeros((SIDE, SIDE), np.float32)
    rows = [[of[s, plane] if s >= 0 else empty for s in row] for row in slots]
    image: F32 = np.block(rows)
    return image


def screen(
    of: F32, u: float, v: float, per_px: float, shape: tuple[int, int], slots: np.ndarray = SLOTS
) -> F32:
    out = np.full(shape, np.nan, np.float32)
    window = np.array([BITS, 0, 0])
    resample(of, 0, slots, window, np.array([u, v, per_px]), out, (0, shape[0]))
    return out


def test_pixel_on_pixel_the_tiles_are_copied() -> None:
    shown = tiles()

    np.testing.assert_allclose(screen(shown, 0, 0, 1, (16, 24)), mosaic(shown), rtol=1e-6)


@settings(deadline=None)
@given(
    per_px=st.floats(0.2, 7),
    before_u=st.floats(0, 5),
    before_v=st.floats(0, 5),
)
def test_a_screen_around_all_tiles_holds_their_sum_at_any_scale(
    per_px: float, before_u: float, before_v: float
) -> None:
    shown = tiles()
    shape = (int((16 + before_v) / per_px) + 2, int((24 + before_u) / per_px) + 2)

    seen = screen(shown, -before_u, -before_v, per_px, shape)

    assert seen.sum(dtype=np.float64) == pytest.approx(
        mosaic(shown).sum(dtype=np.float64), rel=1e-4
    )


@settings(deadline=None)
@given(u=st.integers(-30, 30), v=st.integers(-30, 30))
def test_a_window_moved_by_whole_pixels_shows_the_moved_image(u: int, v: int) -> None:
    shown = tiles()
    wide = np.pad(mosaic(shown), 64)

    seen = screen(shown, u, v, 1.0, (10, 12))

    np.testing.assert_allclose(seen, wide[64 + v : 74 + v, 64 + u : 76 + u], rtol=1e-5)


def test_a_tile_without_memory_is_empty_and_its_neighbours_stay() -> None:
    shown = tiles()
    slots = SLOTS.copy()
    slots[0, 1] = -1

    seen = screen(shown, 0, 0, 1, (16, 24), slots)

    assert not seen[:SIDE, SIDE : 2 * SIDE].any()
    np.testing.assert_allclose(seen, mosaic(shown, slots), rtol=1e-6)


def test_only_the_rows_asked_for_are_filled() -> None:
    out = np.full((16, 24), -1, np.float32)

    resample(tiles(), 1, SLOTS, np.array([BITS, 0, 0]), np.array([0.0, 0.0, 1.0]), out, (4, 9))

    assert (out[:4] == -1).all()
    assert (out[9:] == -1).all()
    np.testing.assert_allclose(out[4:9], mosaic(tiles(), plane=1)[4:9], rtol=1e-6)


def test_four_fine_tiles_halved_are_sums_of_2_by_2_pixels() -> None:
    shown = tiles(5)

    halve(shown, np.array([[0, 1], [2, 3]]), 4)

    fine = mosaic(shown, np.array([[0, 1], [2, 3]]), plane=1)
    summed = fine.reshape(SIDE, 2, SIDE, 2).sum(axis=(1, 3))
    np.testing.assert_allclose(shown[4, 1], summed, rtol=1e-6)


def test_beyond_the_field_a_halved_tile_is_empty() -> None:
    shown = tiles(2)

    halve(shown, np.array([[0, -1], [-1, -1]]), 1)

    assert shown[1, :, : SIDE // 2, : SIDE // 2].all()
    assert not shown[1, :, SIDE // 2 :].any()
    assert not shown[1, :, :, SIDE // 2 :].any()


@pytest.mark.parametrize("up", [1, 2, 3])
def test_an_enlarged_part_has_the_sum_of_the_pixels_it_shows(up: int) -> None:
    shown = tiles(2)
    part = SIDE >> up
    corner = (SIDE - part, 0)

    enlarge(shown, 0, corner, up, 1)

    coarse = shown[0, :, corner[0] :, :part]
    assert shown[1].sum(dtype=np.float64) == pytest.approx(coarse.sum(dtype=np.float64), rel=1e-5)
    blocks = shown[1].reshape(2, part, 1 << up, part, 1 << up)
    np.testing.assert_allclose(blocks.sum(axis=(2, 4)), coarse, rtol=1e-5)
    assert np.ptp(blocks, axis=(2, 4)).max() == 0, "each coarse pixel is shared evenly"


def test_halving_undoes_enlarging() -> None:
    shown = tiles(6)
    coarse = shown[0].copy()
    for k in range(4):
        enlarge(shown, 0, ((k // 2) * SIDE // 2, (k % 2) * SIDE // 2), 1, 1 + k)

    halve(shown, np.array([[1, 2], [3, 4]]), 5)

    np.testing.assert_array_equal(shown[5], coarse)
