"""Blocks of a movie: the windows of the whole movie, and files that are whole or do not count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.offline import parallel
from rtsmlm.offline.blocks import Block, BlockFolder, BlockRecord, frames_per_block, split
from rtsmlm.offline.parallel import OfflineLocalizers, localize_part
from rtsmlm.protocols import ALL


class Frames:
    """A movie of dark frames, whose numbers are their positions."""

    shape = (4, 4)

    def __init__(self, n_frames: int) -> None:
        self.n_frames = n_frames

    def batches(
        self, frames_per_batch: int, start: int = 0, stop: int | None = None
    ) -> Iterator[FrameBatch]:
        stop = self.n_frames if stop is None else min(stop, self.n_frames)
        for first in range(start, stop, frames_per_batch):
            n = min(frames_per_batch, stop - first)
            yield FrameBatch.from_pixels(np.zeros((n, 4, 4), np.uint16), first_index=first)


class SeesNeighbours:
    """States of each frame which frames it was given: the batch, and the one before and after."""

    name = "sees neighbours"
    uses_all_cores = False

    def __init__(self, neighbours: int) -> None:
        self.neighbours = neighbours

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        frame = batch.index[targets]
        x = np.full(len(frame), batch.index[0], np.float32)
        y = np.full(len(frame), batch.index[-1], np.float32)
        return Localizations.from_columns({"frame": frame, "x_nm": x, "y_nm": y})


def localized(n_frames: int, neighbours: int, blocks: list[Block]) -> Localizations:
    localizers = OfflineLocalizers(lambda: SeesNeighbours(neighbours), threads=1)
    rows = [
        rows
        for block in blocks
        for _, rows in localize_part(
            Frames(n_frames), localizers, lambda *_: None, block.start, block.stop
        )
    ]
    return Localizations.concatenate(rows)


@settings(max_examples=60, deadline=None)
@given(
    n_frames=st.integers(1, 60),
    batch=st.integers(1, 9),
    batches_per_block=st.integers(1, 5),
    neighbours=st.integers(0, 7),
)
def test_blocks_have_the_windows_of_the_whole_movie(
    n_frames: int, batch: int, batches_per_block: int, neighbours: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "batch_frames", lambda shape: batch)
        whole = localized(n_frames, neighbours, [Block(0, n_frames)])
        parts = localized(n_frames, neighbours, split(n_frames, batch * batches_per_block))

    for name, column in whole.columns().items():
        assert np.array_equal(column, parts.columns()[name], equal_nan=True), name


def test_a_part_that_starts_within_a_batch_is_refused() -> None:
    localizers = OfflineLocalizers(lambda: SeesNeighbours(1), threads=1)

    with pytest.raises(ValueError, match="starts within one"):
        next(localize_part(Frames(9), localizers, lambda *_: None, 3))


def test_every_worker_gets_some_blocks_and_a_block_is_seconds_of_work() -> None:
    assert frames_per_block(n_frames=100_000, batch_frames=64, n_threads=2) == 64 * 32
    assert frames_per_block(n_frames=100_000, batch_frames=64, n_threads=50) == 64 * 7
    assert frames_per_block(n_frames=1000, batch_frames=64, n_threads=50) == 64 * 4
    assert [b.stop - b.start for b in split(10, 4)] == [4, 4, 2]


BLOCK = Block(0, 100)


def write(folder: BlockFolder, block: Block = BLOCK, n_rows: int = 3, failed: int = 0) -> None:
    path = folder.partial(block)
    frame = np.arange(n_rows, dtype=np.int64)
    place = frame.astype(np.float32)
    with ArrowStreamFile(path) as table:
        table.put(Localizations.from_columns({"frame": frame, "x_nm": place, "y_nm": place}))
    why = [(k, "too dark") for k in range(failed)]
    record = BlockRecord(block.start, block.stop, folder.made_of, n_rows, "fit", "here", 0.5, why)
    folder.commit(block, path, record, {"counts_numbers": np.arange(4)})


@pytest.fixture
def folder(tmp_path: Path) -> BlockFolder:
    return BlockFolder(tmp_path / "blocks", "a movie")


def test_a_finished_block_gives_back_what_was_written_and_leaves_two_files(
    folder: BlockFolder,
) -> None:
    write(folder)

    record = folder.record(BLOCK)
    assert record is not None
    assert (record.n_rows, record.localizer, record.failed) == (3, "fit", [])
    assert [len(rows) for rows in folder.rows(BLOCK, 3)] == [3]
    assert folder.findings(BLOCK)["counts_numbers"].tolist() == [0, 1, 2, 3]
    assert folder.missing([BLOCK, Block(100, 200)]) == [Block(100, 200)]
    assert {path.suffix for path in folder.path.iterdir()} == {".arrows", ".npz"}


def test_a_block_of_another_movie_or_of_other_frames_does_not_count(folder: BlockFolder) -> None:
    write(folder)

    assert BlockFolder(folder.path, "another movie").record(BLOCK) is None
    assert folder.record(Block(0, 50)) is None


def test_a_block_with_frames_that_failed_is_done_again(folder: BlockFolder) -> None:
    write(folder, failed=1)

    assert folder.missing([BLOCK]) == [BLOCK]


@pytest.mark.parametrize("kept", [0, 10, 200])
def test_a_record_that_is_cut_off_does_not_count(folder: BlockFolder, kept: int) -> None:
    write(folder)
    path = folder.path / f"{BLOCK.name}.npz"
    path.write_bytes(path.read_bytes()[:kept])

    assert folder.missing([BLOCK]) == [BLOCK]


def test_rows_that_are_cut_off_are_noticed_and_the_block_is_done_again(folder: BlockFolder) -> None:
    write(folder)
    path = folder.rows_path(BLOCK)
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(FileFormatError, match="holds 0 of 3 rows; give the same command again"):
        list(folder.rows(BLOCK, 3))
    assert folder.missing([BLOCK]) == [BLOCK]


def test_rows_without_a_record_do_not_count(folder: BlockFolder) -> None:
    write(folder)
    (folder.path / f"{BLOCK.name}.npz").unlink()

    assert folder.missing([BLOCK]) == [BLOCK]
