"""Weights added across tiles are those of one large image."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.render.stamp import stamp

BITS, SIDE = 3, 8


def stamped(
    slots: np.ndarray, corner: tuple[int, int], shape: tuple[int, int], at: tuple[int, int] = (0, 0)
) -> tuple[np.ndarray, np.ndarray]:
    """Return tiles after one stamp, and its weights; the grid of slots begins at tile `at`."""
    rng = np.random.default_rng(shape[0])
    rows, columns = (rng.uniform(0.1, 1, n).astype(np.float32) for n in shape)
    tiles = np.zeros((int(slots.max()) + 1, 2, SIDE, SIDE), np.float32)
    stamp(
        tiles.reshape(-1),
        tiles.shape[1:],
        slots,
        (BITS, *at),
        (corner[0], corner[0] + shape[0] - 1),
        (corner[1], corner[1] + shape[1] - 1),
        rows,
        columns,
        np.array([1.0, 5.0], np.float32),
    )
    return tiles, np.outer(rows, columns)


@settings(deadline=None)
@given(
    row=st.integers(0, 20),
    column=st.integers(0, 20),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
)
def test_across_tiles_as_in_one_image(row: int, column: int, height: int, width: int) -> None:
    slots = np.arange(16).reshape(4, 4)[::-1].copy()

    tiles, weights = stamped(slots, (row, column), (height, width))

    image = np.zeros((4 * SIDE, 4 * SIDE), np.float32)
    image[row : row + height, column : column + width] = weights
    for plane, factor in enumerate((1.0, 5.0)):
        drawn = np.block([[tiles[slot, plane] for slot in line] for line in slots])
        np.testing.assert_allclose(drawn, factor * image, rtol=1e-6)


def test_tiles_without_memory_and_beyond_the_grid_are_left_out() -> None:
    slots = np.array([[0, -1]])

    tiles, weights = stamped(slots, (4, 4), (12, 12))

    np.testing.assert_allclose(tiles[0, 0, 4:, 4:], weights[:4, :4], rtol=1e-6)
    assert not tiles[0, 0, :4].any()


def test_a_grid_that_begins_elsewhere_gets_its_own_part() -> None:
    slots = np.array([[0]])

    tiles, weights = stamped(slots, (12, 20), (10, 10), at=(2, 3))

    np.testing.assert_allclose(tiles[0, 0, :6, :6], weights[4:, 4:], rtol=1e-6)
    assert np.count_nonzero(tiles[0, 0]) == 36
