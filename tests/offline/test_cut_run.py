"""What the files of a run that was cut say of its frames: every frame in one book, none twice."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.offline.cut_run import CutRun, LastLedger, ranges_of
from rtsmlm.realtime.frame_ranges import FrameRanges
from rtsmlm.realtime.ledger import Ledger


def last_ledger(n: int = 10, released: int = 4) -> LastLedger:
    ledger = Ledger()
    for index in range(n):
        ledger.receive(index, queued=index != 2)
    ledger.release(released)
    return LastLedger.of(ledger.as_dict("running"))


def ranges(*pairs: tuple[int, int]) -> FrameRanges:
    return FrameRanges(pairs)


def test_what_the_last_ledger_says_comes_back_from_its_file() -> None:
    last = last_ledger()

    assert last.camera == 10
    assert last.received.as_list() == [[0, 9]]
    assert last.localized.as_list() == [[0, 1], [3, 4]]
    assert last.book("in_ring").as_list() == [[5, 9]]


def test_recorded_frames_that_were_not_localized_are_to_be_caught_up() -> None:
    cut = CutRun(last_ledger(), ranges((0, 12)), ranges((0, 14)), ranges((0, 2), (3, 7)), 50)

    ledger = cut.ledger()

    totals = ledger.totals()
    assert ledger.skipped().as_list() == [[2, 2], [7, 11]]
    assert (totals.received, totals.localized, totals.recorded) == (14, 6, 12)
    assert totals.lost_in_cut == 2, "the index has 12 and 13, their pixels are gone"
    assert totals.balances


def test_frames_that_the_ledger_says_are_done_and_whose_rows_are_missing_are_localized_again() -> (
    None
):
    cut = CutRun(last_ledger(), ranges((0, 10)), ranges(), ranges((0, 1)), 3)

    assert cut.ledger().skipped().as_list() == [[1, 9]]


def test_a_frame_without_an_emitter_is_not_localized_again_where_later_ones_have_rows() -> None:
    cut = CutRun(last_ledger(), ranges((0, 10)), ranges(), ranges((0, 1), (4, 5)), 3)

    assert cut.ledger().skipped().as_list() == [[2, 2], [5, 9]]


def test_without_a_recording_what_was_in_the_ring_is_lost_in_the_cut() -> None:
    cut = CutRun(last_ledger(), None, ranges(), ranges((0, 1), (4, 5)), 3)

    totals = cut.ledger().totals()

    assert (totals.received, totals.localized, totals.lost_in_cut) == (10, 4, 6)
    assert totals.balances


def test_without_a_ledger_the_gaps_of_the_recording_are_lost_frames() -> None:
    cut = CutRun(LastLedger(), ranges((0, 5), (7, 9)), ranges(), ranges((0, 3)), 9)

    totals = cut.ledger().totals()

    assert (totals.camera, totals.received, totals.lost) == (9, 7, 2)
    assert (totals.localized, totals.skipped) == (3, 4)


def test_a_damaged_ledger_counts_as_none() -> None:
    for data in (None, {}, {"camera": "x", "ranges": []}, {"camera": -1, "ranges": {"lost": [1]}}):
        assert LastLedger.of(data).received.as_list() == []


numbers = st.lists(st.integers(0, 60), max_size=40, unique=True).map(sorted)


@given(numbers, numbers, numbers, st.integers(0, 40), st.integers(0, 40), st.booleans())
def test_the_ledger_balances_whatever_is_left(
    recorded: list[int],
    indexed: list[int],
    with_rows: list[int],
    n: int,
    released: int,
    has_recording: bool,
) -> None:
    as_ranges = [ranges_of(np.array(x, np.int64)) for x in (recorded, indexed, with_rows)]
    cut = CutRun(
        last_ledger(n, released), as_ranges[0] if has_recording else None, *as_ranges[1:], 5
    )

    ledger = cut.ledger()

    totals = ledger.totals()
    assert totals.balances
    assert totals.in_ring == 0
    assert set_of(ledger.skipped()) <= set(recorded)


def set_of(found: FrameRanges) -> set[int]:
    return {frame for start, stop in found for frame in range(start, stop)}


@given(numbers)
def test_ranges_hold_the_numbers_they_are_made_of(found: list[int]) -> None:
    assert set_of(ranges_of(np.array(found, np.int64))) == set(found)
