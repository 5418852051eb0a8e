"""Every frame is booked exactly once, whatever happens in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.realtime.frame_ranges import FrameRanges
from rtsmlm.realtime.ledger import Ledger


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=20))
def test_ranges_hold_the_same_frames_as_a_set(pieces: list[tuple[int, int]]) -> None:
    ranges, frames = FrameRanges(), set[int]()
    for start, length in pieces:
        ranges.add(start, start + length)
        frames |= set(range(start, start + length))

    assert len(ranges) == len(frames)
    assert {f for a, b in ranges for f in range(a, b)} == frames
    assert all(b1 < a2 for (_, b1), (a2, _) in zip(list(ranges), list(ranges)[1:], strict=False))


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=12),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=12),
)
def test_without_is_the_difference_of_sets(
    here: list[tuple[int, int]], there: list[tuple[int, int]]
) -> None:
    a = FrameRanges((s, s + n) for s, n in here)
    b = FrameRanges((s, s + n) for s, n in there)

    left = {f for s, e in a.without(b) for f in range(s, e)}

    assert left == {f for s, e in a for f in range(s, e)} - {f for s, e in b for f in range(s, e)}


@given(st.data())
def test_the_sums_balance_after_every_step_of_any_run(data: st.DataObject) -> None:
    ledger, index, in_ring = Ledger(), 0, 0
    for _ in range(data.draw(st.integers(1, 40))):
        step = data.draw(st.sampled_from(["frame", "gap", "skip", "release", "fail", "record"]))
        if step in {"frame", "skip", "gap"}:
            index += data.draw(st.integers(1, 5)) if step == "gap" else 0
            ledger.receive(index, queued=step != "skip")
            in_ring += step != "skip"
            index += 1
        elif step == "release" and in_ring:
            n = data.draw(st.integers(1, in_ring))
            ledger.release(n)
            in_ring -= n
        elif step == "fail":
            start = data.draw(st.integers(0, max(index, 1)))
            ledger.fail(start, start + data.draw(st.integers(1, 3)))
        elif step == "record":
            ledger.record(0, index)
        assert ledger.totals().balances

    ledger.give_up_queued()
    for start, stop in ledger.skipped():
        ledger.catch_up(start, stop)

    totals = ledger.totals()
    assert totals.balances
    assert totals.in_ring == totals.skipped == 0
    assert totals.localized == totals.received


def test_a_gap_in_the_camera_numbers_is_booked_as_lost_with_its_range() -> None:
    ledger = Ledger()
    for index in (0, 1, 5, 6, 9):
        ledger.receive(index, queued=True)
    ledger.release(5)

    totals = ledger.totals()

    assert (totals.camera, totals.received, totals.lost) == (10, 5, 5)
    assert ledger.as_dict()["ranges"]["lost"] == [[2, 4], [7, 8]]


def test_a_gap_of_a_million_costs_one_range() -> None:
    ledger = Ledger()
    ledger.receive(0, queued=True)
    ledger.receive(1_000_001, queued=True)

    assert ledger.totals().lost == 1_000_000
    assert ledger.as_dict()["ranges"]["lost"] == [[1, 1_000_000]]


def test_a_failed_frame_counts_as_skipped_also_after_it_has_left_the_ring() -> None:
    ledger = Ledger()
    for index in range(4):
        ledger.receive(index, queued=True)
    ledger.release(4)
    ledger.fail(2, 3)

    totals = ledger.totals()

    assert (totals.localized, totals.skipped) == (3, 1)
    assert totals.balances


@pytest.mark.parametrize("recording", [True, False])
def test_the_verdict_says_whether_the_ledger_balances(recording: bool) -> None:
    ledger = Ledger()
    for index in range(3):
        ledger.receive(index, queued=index != 1)
    ledger.release(2)

    verdict = ledger.verdict(recording=recording)

    assert verdict.startswith("ledger balances: 3 received = 2 localized + 1 skipped;")
    assert ("not recorded" in verdict) is not recording


def test_an_unfinished_frame_spoils_the_verdict() -> None:
    ledger = Ledger()
    ledger.receive(0, queued=True)

    assert "DOES NOT BALANCE" in ledger.verdict(recording=False)
