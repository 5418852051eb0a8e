"""Windows on places: all are held, few windows are needed, and each emitter is reported once."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.engines.crowds import STEP_PX, Cover, WindowSize
from rtsmlm.models.rows import COLUMNS, Row

SIZE = WindowSize(side_px=32, halo_px=8)
PADDED = (128, 96)


def places(rng: np.random.Generator, n: int, n_frames: int = 3) -> tuple[np.ndarray, ...]:
    frame = np.sort(rng.integers(0, n_frames, n)).astype(np.int32)
    y = rng.uniform(0.0, PADDED[0] - 1.0, n).astype(np.float32)
    x = rng.uniform(0.0, PADDED[1] - 1.0, n).astype(np.float32)
    order = np.lexsort((np.rint(y), frame))
    return frame[order], y[order], x[order]


def inside(value: np.ndarray, start: np.ndarray, length: int, by_px: int) -> np.ndarray:
    """Whether a place is so far inside, except at the ends of the frame."""
    low = (start == 0) | (value >= start + by_px)
    high = (start + SIZE.side_px == length) | (value < start + SIZE.side_px - by_px)
    return low & high


@pytest.mark.parametrize("n", [1, 2, 40, 400])
def test_each_place_is_well_inside_a_window_of_its_frame(rng: np.random.Generator, n: int) -> None:
    frame, y, x = places(rng, n)

    windows = Cover(frame, y, x, SIZE, PADDED).windows

    assert np.all(windows[:, 1:] % STEP_PX == 0)
    assert np.all(windows[:, 1:] + SIZE.side_px <= PADDED)
    assert np.all(np.diff(windows[:, 0]) >= 0)
    held = (
        (windows[:, 0] == frame[:, None])
        & inside(y[:, None], windows[:, 1], PADDED[0], SIZE.halo_px)
        & inside(x[:, None], windows[:, 2], PADDED[1], SIZE.halo_px)
    )
    assert held.any(axis=1).all()
    # A window is there for a place; however many there are, 12 x 8 overlapping ones hold all.
    assert len(windows) <= min(n, 3 * 12 * 8)


def test_places_near_to_each_other_share_a_window() -> None:
    y, x = np.array([50.0, 51.0, 57.0], np.float32), np.array([40.0, 47.0, 33.0], np.float32)

    assert len(Cover(np.zeros(3, np.int32), y, x, SIZE, PADDED).windows) == 1


def test_an_emitter_that_two_windows_see_is_reported_once(rng: np.random.Generator) -> None:
    frame, y, x = places(rng, 60, n_frames=1)
    cover = Cover(frame, y, x, SIZE, PADDED)
    # Every window sees every emitter that lies in it, somewhere near a place.
    true = np.column_stack([y, x]) + rng.uniform(-1, 1, (60, 2))
    true = np.clip(true, 0.0, np.array(PADDED) - 1.0)
    rows, owner, which = [], [], []
    for k, (_, top, left) in enumerate(cover.windows):
        for i, (v, u) in enumerate(true):
            if top <= v < top + SIZE.side_px and left <= u < left + SIZE.side_px:
                row = np.zeros(COLUMNS, np.float32)
                row[Row.Y], row[Row.X] = v, u
                rows.append(row)
                owner.append(k)
                which.append(i)
    nothing = np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.float32)

    meant = cover.are_meant(np.array(rows), np.array(owner, np.int32), nothing, 3.0)

    assert len(which) > 60  # windows overlap
    assert np.bincount(np.array(which)[meant], minlength=60).tolist() == [1] * 60


def test_what_a_fit_has_settled_is_not_reported_again() -> None:
    one = np.zeros(1, np.int32)
    cover = Cover(one, np.array([50], np.float32), np.array([50], np.float32), SIZE, PADDED)
    rows = np.zeros((2, COLUMNS), np.float32)
    rows[:, Row.Y], rows[:, Row.X] = 50.0, [50.0, 58.0]
    settled = one, np.array([50.5], np.float32), np.array([58.5], np.float32)

    meant = cover.are_meant(rows, np.zeros(2, np.int32), settled, 3.0)

    assert meant.tolist() == [True, False]
