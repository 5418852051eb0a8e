"""Parts of the density meter: following emitters from frame to frame, and recall."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.feedback.density.recall import true_density
from rtsmlm.feedback.density.tracks import (
    COUNT,
    FIDUCIAL_TICKS,
    N_SUMS,
    NEW,
    NEW_FRAMES,
    SQUARES,
    Tracks,
    count_frame,
    end_tick,
    make_field,
    no_tracks,
)
from rtsmlm.fitting.spot_localizer import FIT_RECALL
from rtsmlm.models.recall import NETWORK_RECALL
from rtsmlm.protocols import AS_FOUND

SIDE_PX = 64
SIGMA_PX = 1.3
FIELD = make_field((SIDE_PX, SIDE_PX), SIGMA_PX, 20.0)
F32 = np.float32


@dataclass
class Counter:
    """Counts frames of rows as the density meter does."""

    tracks: Tracks = field(default_factory=no_tracks)
    tiles: np.ndarray = field(
        default_factory=lambda: np.zeros((2, FIELD.tile_rows * FIELD.tile_columns))
    )
    fine: np.ndarray = field(
        default_factory=lambda: np.zeros((2, FIELD.fine_rows * FIELD.fine_columns))
    )
    sums: np.ndarray = field(default_factory=lambda: np.zeros(N_SUMS))
    last: int | None = None

    def see(self, frame: int, *places: tuple[float, ...]) -> None:
        """Count a frame with rows (x, y) or (x, y, probability)."""
        rows = np.array([(*p, 1.0)[:3] for p in places], F32).reshape(-1, 3)
        follows = self.last is not None and frame == self.last + 1
        columns = (np.ascontiguousarray(column) for column in rows.T)
        count_frame(frame, follows, *columns, self.tracks, FIELD, self.tiles, self.fine, self.sums)
        self.last = frame

    def end(self) -> None:
        end_tick(self.tracks, FIELD, self.tiles, self.fine, self.sums)


def test_the_field_leaves_out_a_rim_of_three_widths_and_keeps_small_frames_whole() -> None:
    assert (FIELD.left, FIELD.top, FIELD.right, FIELD.bottom) == (3.5, 3.5, 59.5, 59.5)
    assert (FIELD.tile_rows, FIELD.tile_columns) == (3, 3)

    small = make_field((12, 16), SIGMA_PX, 20.0)
    assert (small.left, small.right, small.bottom) == (-0.5, 15.5, 11.5)
    assert (small.tile_rows, small.tile_columns) == (1, 1)


@pytest.mark.parametrize(
    ("x", "y", "counts"),
    [(3.5, 30, 1), (3.49, 30, 0), (59.49, 30, 1), (59.5, 30, 0), (30, 3.4, 0), (30, 60, 0),
     (math.nan, 30, 0), (30, math.inf, 0)],
)  # fmt: skip
def test_rows_on_the_rim_and_nowhere_do_not_count(x: float, y: float, counts: int) -> None:
    counter = Counter()

    counter.see(0, (x, y))

    assert counter.sums[COUNT] == counts


@pytest.mark.parametrize(
    ("probability", "counted"),
    [(1.0, 1.0), (0.25, 0.25), (math.nan, 1.0), (-3.0, 0.0), (7.0, 1.0)],
)
def test_probabilities_are_summed_and_none_stands_for_certainty(
    probability: float, counted: float
) -> None:
    counter = Counter()

    counter.see(0, (30, 30, probability))

    assert counter.sums[COUNT] == counted


def test_an_emitter_that_stays_is_new_once() -> None:
    counter = Counter()
    counter.see(0)

    for frame in range(1, 8):
        counter.see(frame, (30 + 0.3 * (-1) ** frame, 30))

    assert counter.sums[NEW] == 1
    assert counter.sums[COUNT] == 7
    assert counter.sums[NEW_FRAMES] == 7


@pytest.mark.parametrize(("dark_frames", "new"), [(0, 1), (1, 1), (2, 2), (5, 2)])
def test_one_missed_frame_is_forgiven_and_two_make_another_emitter(
    dark_frames: int, new: int
) -> None:
    counter = Counter()
    counter.see(0)
    counter.see(1, (30, 30))
    for frame in range(2, 2 + dark_frames):
        counter.see(frame)

    counter.see(2 + dark_frames, (30, 30))

    assert counter.sums[NEW] == new


@pytest.mark.parametrize(("moved_px", "new"), [(0.0, 1), (1.2, 1), (1.4, 2), (8.0, 2)])
def test_a_row_further_away_than_the_psf_width_is_another_emitter(
    moved_px: float, new: int
) -> None:
    counter = Counter()
    counter.see(0)
    counter.see(1, (30, 30))

    counter.see(2, (30 + moved_px, 30))

    assert counter.sums[NEW] == new


def test_in_the_first_frame_and_after_a_gap_nobody_is_known_to_be_new() -> None:
    counter = Counter()

    counter.see(0, (20, 20))
    counter.see(5, (40, 40))

    assert counter.sums[NEW] == 0
    assert counter.sums[NEW_FRAMES] == 0
    assert counter.sums[COUNT] == 2


def test_two_emitters_that_come_near_stay_two() -> None:
    counter = Counter()
    counter.see(0)
    for frame in range(1, 6):
        counter.see(frame, (30, 30), (31, 30))

    assert counter.sums[NEW] == 2
    assert counter.tracks.n[0] == 2


def test_the_scatter_of_a_count_is_that_of_emitters_and_not_of_rows() -> None:
    steady, blinking = Counter(), Counter()
    for frame in range(10):
        steady.see(frame, (30, 30))
        blinking.see(frame, (10 + 4.5 * frame, 30))
    steady.end()
    blinking.end()

    assert steady.sums[COUNT] == blinking.sums[COUNT] == 10
    assert steady.sums[SQUARES] == 100, "one emitter, ten rows"
    assert blinking.sums[SQUARES] == 10, "ten emitters, a row each"


def test_what_never_goes_out_leaves_scatter_and_tiles_but_not_the_count() -> None:
    counter = Counter()
    for tick in range(FIDUCIAL_TICKS + 2):
        counter.tiles.fill(0.0)
        counter.sums.fill(0.0)
        for frame in range(5 * tick, 5 * tick + 5):
            counter.see(frame, (30, 30))
        counter.end()

    assert counter.sums[COUNT] == 5
    assert counter.sums[SQUARES] == 0
    assert counter.tiles.sum() == 0


places = st.tuples(st.floats(0.0, 63.0), st.floats(0.0, 63.0), st.floats(0.0, 1.0))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(places, max_size=6), min_size=1, max_size=8))
def test_tiles_hold_the_count_and_no_more_come_than_are_seen(
    frames: list[list[tuple[float, ...]]],
) -> None:
    counter = Counter()
    for frame, rows in enumerate(frames):
        counter.see(frame, *rows)
    counter.end()

    count = counter.sums[COUNT]
    assert counter.tiles[0].sum() == pytest.approx(count)
    assert counter.sums[NEW] <= count + 1e-9
    assert counter.tiles[1].sum() == pytest.approx(counter.sums[SQUARES])
    assert counter.fine.sum(axis=1) == pytest.approx(counter.tiles.sum(axis=1))
    assert counter.sums[SQUARES] <= count**2 + 1e-9


@pytest.mark.parametrize("table", [NETWORK_RECALL, FIT_RECALL], ids=["network", "fit"])
class TestRecall:
    """From what was found to what was there."""

    def test_more_found_means_more_there(self, table: np.ndarray) -> None:
        found = np.linspace(0.0, 6.0, 200)

        there = [true_density(f, table, np.full(9, f), 0.13)[0] for f in found]

        assert there[0] == 0.0
        assert (np.diff(there) > 0).all()
        assert (np.array(there) >= found).all(), "nobody finds more than there is"

    def test_the_same_count_in_one_corner_means_that_more_was_missed(
        self, table: np.ndarray
    ) -> None:
        even, corner = np.full(9, 0.3), np.zeros(9)
        corner[4] = 2.7

        assert true_density(0.3, table, corner, 0.13)[0] > true_density(0.3, table, even, 0.13)[0]

    @given(found=st.floats(0.01, 0.4))
    def test_the_slope_is_that_of_the_density(self, table: np.ndarray, found: float) -> None:
        def there(factor: float) -> float:
            return true_density(factor * found, table, np.full(4, factor * found), 0.13)[0]

        _, slope = true_density(found, table, np.full(4, found), 0.13)

        assert slope == pytest.approx((there(1.02) - there(0.98)) / (0.04 * found), rel=1e-6)

    def test_an_empty_field_has_no_density_and_a_finite_slope(self, table: np.ndarray) -> None:
        density, slope = true_density(0.0, table, np.zeros(9), 0.13)

        assert density == 0.0
        assert 1.0 <= slope < 1.2


@given(st.lists(st.floats(0.0, 5.0), min_size=1, max_size=9))
def test_a_localizer_that_finds_every_emitter_is_taken_at_its_word(tiles: list[float]) -> None:
    found = float(np.mean(tiles))

    density, slope = true_density(found, AS_FOUND, np.array(tiles), 0.13)

    assert density == pytest.approx(found)
    assert slope == pytest.approx(1.0)
