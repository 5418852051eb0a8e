"""Frames that were skipped: localized afterwards, merged in order, none twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtsmlm.errors import LocalizerError
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, read_arrow_table
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.localizations import Localizations
from rtsmlm.offline.catch_up import catch_up, merge_by_frame
from rtsmlm.offline.parallel import OfflineLocalizers, with_neighbours
from rtsmlm.protocols import ALL, AS_FOUND
from rtsmlm.realtime.ledger import Ledger


def rows(frames: list[int]) -> Localizations:
    """One row per number, which is also its place."""
    x = np.array(frames, dtype=np.float32)
    return Localizations.from_columns({"frame": np.array(frames, np.int64), "x_nm": x, "y_nm": x})


class OneRowPerFrame:
    """Localizer that tells the brightness of each frame; fails on frame 13.

    With context it also checks that it was given the neighbours: y is the sum of their numbers.
    """

    name = "one"
    uses_all_cores = False
    max_local_per_um2, recall = 0.3, AS_FOUND

    def __init__(self, neighbours: int = 0) -> None:
        self.neighbours = neighbours

    def warm_up(self, shape: tuple[int, int]) -> None:
        pass

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        chosen = np.arange(len(batch))[targets]
        if 13 in batch.index[chosen]:
            raise LocalizerError("frame 13 is cursed")
        x = batch.pixels[chosen, 0, 0].astype(np.float32)
        known = set(batch.index.tolist())
        y = [sum(n for n in (i - 1, i + 1) if n in known) for i in batch.index[chosen].tolist()]
        return Localizations.from_columns(
            {"frame": batch.index[chosen], "x_nm": x, "y_nm": np.array(y, np.float32)}
        )


class CountingMovie:
    """Frames whose pixels hold their number; the camera lost frame 5."""

    frame_index: NDArray[np.int64] = np.array([k for k in range(40) if k != 5])
    n_frames = 39

    def read(self, indices: NDArray[np.int64]) -> Pixels:
        numbers = self.frame_index[indices].astype(np.uint16)
        return np.broadcast_to(numbers[:, None, None], (len(numbers), 4, 4)).copy()


@given(st.lists(st.sampled_from([1, 2]), max_size=30), st.integers(1, 4), st.integers(1, 4))
def test_merging_is_sorting_whatever_the_batches(owner: list[int], n: int, m: int) -> None:
    first = [f for f, who in enumerate(owner) if who == 1]
    second = [f for f, who in enumerate(owner) if who == 2]

    def in_batches(frames: list[int], size: int) -> list[Localizations]:
        return [rows(frames[k : k + size]) for k in range(0, len(frames), size)]

    merged = Localizations.concatenate(
        list(merge_by_frame(in_batches(first, n), in_batches(second, m)))
    )

    assert merged.frame.tolist() == list(range(len(owner)))


def test_catching_up_completes_table_and_ledger_and_doubles_nothing(tmp_path: Path) -> None:
    ledger, movie = Ledger(), CountingMovie()
    for index in movie.frame_index.tolist():
        ledger.receive(index, queued=not 10 <= index < 20)
    ledger.release(25)
    ledger.give_up_queued()  # 35 to 39: their analysis died, after it had written rows of 35
    table = tmp_path / "localizations.arrows"
    with ArrowStreamFile(table, {"pixel_nm": 100.0}) as file:
        file.put(rows([f for f in range(10) if f != 5]))
        file.put(rows([*range(20, 36)]))

    catch_up(movie, ledger, table, OneRowPerFrame, lambda done, total: None)

    merged, metadata = read_arrow_table(table)
    expected = [f for f in range(40) if f not in (5, 13)]
    assert merged.frame.tolist() == expected
    assert merged.x_nm.tolist() == expected
    assert metadata["pixel_nm"] == 100.0
    totals = ledger.totals()
    assert (totals.localized, totals.skipped, totals.lost) == (38, 1, 1)
    assert totals.balances
    assert ledger.as_dict()["ranges"]["skipped"] == [[13, 13]]


def test_results_come_in_order_and_failures_are_named_from_any_thread() -> None:
    frames = np.arange(200, dtype=np.uint16)[:, None, None] * np.ones((1, 4, 4), np.uint16)
    batches = [FrameBatch.from_pixels(frames[k : k + 3], first_index=k) for k in range(0, 200, 3)]
    failed: list[int] = []
    localizers = OfflineLocalizers(OneRowPerFrame, threads=4)

    done = list(
        localizers.localize(with_neighbours(batches, 0), lambda frame, _: failed.append(frame))
    )

    found = Localizations.concatenate([table for _, table in done])
    assert failed == [13]
    assert found.frame.tolist() == [f for f in range(200) if f != 13]
    assert found.x_nm.tolist() == found.frame.tolist()
    assert sum(len(batch) for batch, _ in done) == 200


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_a_frame_has_its_neighbours_whatever_the_batches(size: int) -> None:
    frames = np.arange(100, dtype=np.uint16)[:, None, None] * np.ones((1, 4, 4), np.uint16)
    batches = [
        FrameBatch.from_pixels(frames[k : k + size], first_index=k) for k in range(0, 100, size)
    ]
    localizers = OfflineLocalizers(lambda: OneRowPerFrame(neighbours=1), threads=2)

    done = localizers.localize(with_neighbours(batches, 1), lambda frame, _: None)

    found = Localizations.concatenate([table for _, table in done])
    numbers = [f for f in range(100) if f != 13]
    assert found.frame.tolist() == numbers
    assert found.y_nm.tolist() == [(n - 1) * (n > 0) + (n + 1) * (n < 99) for n in numbers]


def test_frames_that_are_caught_up_see_the_neighbours_that_were_not(tmp_path: Path) -> None:
    ledger, movie = Ledger(), CountingMovie()
    for index in movie.frame_index.tolist():
        ledger.receive(index, queued=index not in (3, 4, 6, 20, 39))
    ledger.release(34)
    table = tmp_path / "localizations.arrows"
    ArrowStreamFile(table, {}).close()

    catch_up(movie, ledger, table, lambda: OneRowPerFrame(neighbours=1), lambda done, total: None)

    merged, _ = read_arrow_table(table)
    assert merged.frame.tolist() == [3, 4, 6, 20, 39]
    assert merged.y_nm.tolist() == [2 + 4, 3, 7, 19 + 21, 38], "frame 5 was never there"


def test_catching_up_that_is_broken_off_keeps_what_was_done_and_counts_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsmlm.offline.catch_up._MOST_PX_AT_ONCE", 8 * 4 * 4)
    ledger, movie = Ledger(), CountingMovie()
    for index in movie.frame_index.tolist():
        ledger.receive(index, queued=index == 0)
    ledger.release(1)
    table = tmp_path / "localizations.arrows"
    with ArrowStreamFile(table, {"pixel_nm": 100.0}) as file:
        file.put(rows([0]))
    asked: list[bool] = []

    def is_broken_off() -> bool:
        asked.append(True)
        return len(asked) > 2

    catch_up(
        movie, ledger, table, OneRowPerFrame, lambda done, total: None, is_broken_off=is_broken_off
    )

    merged, _ = read_arrow_table(table)
    totals = ledger.totals()
    assert 1 < totals.localized < 38, "some of them, and not all"
    assert totals.balances
    assert totals.localized + totals.skipped == totals.received
    assert set(merged.frame.tolist()) | {13} >= set(range(5)), "rows of what was localized"
    assert len(merged) in (totals.localized, totals.localized - 1)
