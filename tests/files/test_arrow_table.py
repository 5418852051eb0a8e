from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rtsmlm.errors import FileFormatError, SinkError
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, iter_arrow_batches, read_arrow_table
from rtsmlm.files.tables.arrow_schema import from_batch, metadata_of, schema, to_batch
from rtsmlm.localizations import UNITS, Localizations

ROWS = 50


def batch_of(rng: np.random.Generator, first_frame: int, n_rows: int = ROWS) -> Localizations:
    """Rows in frames first_frame .. first_frame + 9."""
    return Localizations.from_columns(
        {
            "frame": np.sort(rng.integers(first_frame, first_frame + 10, n_rows)),
            "x_nm": rng.uniform(0, 6400, n_rows),
            "y_nm": rng.uniform(0, 6400, n_rows),
            "photons": rng.uniform(500, 5000, n_rows),
            "channel": rng.integers(0, 3, n_rows),
        }
    )


def assert_same(a: Localizations, b: Localizations) -> None:
    for name, column in a.columns().items():
        np.testing.assert_array_equal(column, getattr(b, name), err_msg=name)


@pytest.fixture
def batches(rng: np.random.Generator) -> list[Localizations]:
    return [batch_of(rng, 10 * k) for k in range(5)]


@pytest.fixture
def path(tmp_path: Path, batches: list[Localizations]) -> Path:
    path = tmp_path / "localizations.arrows"
    with ArrowStreamFile(path, {"pixel_nm": 108.3, "shape": [64, 64]}) as file:
        for batch in batches:
            file.put(batch)
    return path


def test_rows_and_metadata_come_back_exactly(path: Path, batches: list[Localizations]) -> None:
    localizations, metadata = read_arrow_table(path)

    assert_same(localizations, Localizations.concatenate(batches))
    assert metadata == {"pixel_nm": 108.3, "shape": [64, 64]}


def test_a_closed_file_opens_with_plain_pyarrow_and_names_its_units(path: Path) -> None:
    with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
        table = reader.read_all()

    assert table.num_rows == 5 * ROWS
    units = {field.name: field.metadata[b"unit"].decode() for field in table.schema}
    assert units == UNITS


def test_a_batch_shares_the_memory_of_the_columns(batches: list[Localizations]) -> None:
    record = to_batch(batches[0], schema())

    assert record.column("x_nm").buffers()[1].address == batches[0].x_nm.ctypes.data
    assert np.shares_memory(from_batch(record).x_nm, batches[0].x_nm)


def test_rows_can_be_read_while_the_run_goes_on(
    tmp_path: Path, batches: list[Localizations]
) -> None:
    path = tmp_path / "live.arrows"
    with ArrowStreamFile(path) as file:
        file.put(batches[0])
        file.put(Localizations.empty())
        assert_same(read_arrow_table(path)[0], batches[0])

        file.put(batches[1])
        assert len(read_arrow_table(path)[0]) == 2 * ROWS


def test_wherever_the_file_is_cut_all_whole_batches_are_saved(
    path: Path, tmp_path: Path, batches: list[Localizations]
) -> None:
    data = path.read_bytes()
    torn = tmp_path / "torn.arrows"
    whole = Localizations.concatenate(batches)
    seen = set()
    schema_bytes = len(schema({"pixel_nm": 108.3, "shape": [64, 64]}).serialize())

    for length in (*range(schema_bytes, len(data), 211), len(data) - 8, len(data) - 3):
        torn.write_bytes(data[:length])
        rows = read_arrow_table(torn)[0]
        assert len(rows) % ROWS == 0
        assert_same(rows, whole.take(slice(len(rows))))
        seen.add(len(rows) // ROWS)

    assert seen == {0, 1, 2, 3, 4, 5}


def test_random_damage_ends_in_fewer_rows_or_a_named_error(
    path: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    data = path.read_bytes()
    damaged = tmp_path / "damaged.arrows"
    outcomes = set()

    for k in range(400):
        copy = bytearray(data)
        for position in rng.integers(0, 2500 if k % 2 else len(data), 3):
            copy[position] = rng.integers(256)
        damaged.write_bytes(copy)
        with suppress(FileFormatError):
            outcomes.add(len(read_arrow_table(damaged)[0]))
            continue
        outcomes.add(-1)

    assert -1 in outcomes
    assert 5 * ROWS in outcomes


WRITER = """
import sys
from pathlib import Path
import numpy as np
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.localizations import Localizations
file = ArrowStreamFile(Path(sys.argv[1]))
for frame in range(10**9):
    column = np.full(1000, frame, np.float32)
    columns = {"frame": np.full(1000, frame), "x_nm": column, "y_nm": column}
    file.put(Localizations.from_columns(columns))
"""


def test_a_killed_writer_leaves_a_readable_table_that_can_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "killed.arrows"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
    deadline = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size > 1_000_000):
        assert time.monotonic() < deadline
        assert writer.poll() is None
        time.sleep(0.005)
    writer.kill()
    writer.wait(10)

    rows = read_arrow_table(path)[0]
    with ArrowStreamFile.resume(path, before_frame=5) as file:
        kept = (file.n_rows, file.last_frame)
        file.put(rows.take(slice(5000, 6000)))

    assert len(rows) > 10_000
    assert np.array_equal(rows.frame, np.repeat(np.arange(len(rows) // 1000), 1000))
    assert kept == (5000, 4)
    assert_same(read_arrow_table(path)[0], rows.take(slice(6000)))


def test_a_closed_table_is_forced_to_the_disk(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: sizes.append(os.fstat(number).st_size))
    file = ArrowStreamFile(tmp_path / "t.arrows")
    file.put(batch_of(rng, 0))

    file.close()
    file.close()

    assert sizes == [(tmp_path / "t.arrows").stat().st_size]


def test_a_disk_that_does_not_confirm_a_table_is_a_named_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(number: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    file = ArrowStreamFile(tmp_path / "t.arrows")
    monkeypatch.setattr(os, "fsync", refuse)

    with pytest.raises(SinkError, match=r"t\.arrows cannot be forced to the disk: Input/output"):
        file.close()


def test_resuming_keeps_what_lies_before_and_goes_on_in_the_same_stream(
    path: Path, batches: list[Localizations], rng: np.random.Generator
) -> None:
    again = batch_of(rng, 30)

    with ArrowStreamFile.resume(path, before_frame=int(batches[3].frame[0])) as file:
        file.put(again)

    assert_same(read_arrow_table(path)[0], Localizations.concatenate([*batches[:3], again]))
    with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
        assert reader.read_all().num_rows == 4 * ROWS


def test_resuming_drops_a_batch_with_one_frame_too_late(
    path: Path, batches: list[Localizations]
) -> None:
    with ArrowStreamFile.resume(path, before_frame=int(batches[2].frame[-1])) as file:
        assert file.n_rows == 2 * ROWS
        assert file.last_frame == batches[1].frame[-1]


def test_resuming_a_file_without_schema_is_refused_and_leaves_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "empty.arrows"
    path.write_bytes(b"")

    with pytest.raises(FileFormatError, match=r"empty\.arrows"):
        ArrowStreamFile.resume(path, before_frame=3)

    assert path.read_bytes() == b""


class FullDisk:
    """A file on a disk that takes `room` more bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: memoryview) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        n = self.file.write(data[: self.room])
        self.room -= n
        return int(n)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def test_a_full_disk_is_a_named_error_and_costs_only_the_batch_that_met_it(
    tmp_path: Path, batches: list[Localizations]
) -> None:
    path = tmp_path / "full.arrows"
    file = ArrowStreamFile(path)
    file.put(batches[0])
    real = file._file
    file._file = FullDisk(real, room=700)  # type: ignore[assignment]

    with pytest.raises(SinkError, match=r"full\.arrows.*free space"):
        file.put(batches[1])
    file._file = real
    file.put(batches[2])
    file.close()

    assert_same(read_arrow_table(path)[0], Localizations.concatenate([batches[0], batches[2]]))


def test_a_closed_file_takes_no_rows_and_may_be_closed_again(
    tmp_path: Path, batches: list[Localizations]
) -> None:
    file = ArrowStreamFile(tmp_path / "t.arrows")
    file.close()
    file.close()

    with pytest.raises(SinkError, match="closed"):
        file.put(batches[0])


def test_a_folder_that_is_not_there_is_a_sink_error(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"nowhere.*choose another folder"):
        ArrowStreamFile(tmp_path / "nowhere" / "t.arrows")


def test_a_table_of_a_later_version_asks_for_an_update(
    tmp_path: Path, batches: list[Localizations]
) -> None:
    path = tmp_path / "later.arrows"
    with ArrowStreamFile(path, {"table_version": 99}) as file:
        file.put(batches[0])

    with pytest.raises(FileFormatError, match=r"version 99.*update"):
        read_arrow_table(path)


def test_a_column_of_another_type_is_refused(tmp_path: Path) -> None:
    record = pa.RecordBatch.from_pydict({"frame": [1], "x_nm": [1.0], "y_nm": [2.0]})
    path = tmp_path / "double.arrows"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, record.schema) as writer:
        writer.write_batch(record)

    with pytest.raises(FileFormatError, match=r"x_nm is double"):
        read_arrow_table(path)


def test_columns_of_a_later_program_are_left_out_and_missing_ones_are_neutral() -> None:
    record = pa.RecordBatch.from_pydict(
        {
            "frame": pa.array([7], pa.int64()),
            "x_nm": pa.array([1.0], pa.float32()),
            "y_nm": pa.array([2.0], pa.float32()),
            "dipole_deg": pa.array([30.0], pa.float32()),
        }
    )

    rows = from_batch(record)

    assert rows.frame[0] == 7
    assert rows.probability[0] == 1
    assert np.isnan(rows.photons[0])
    assert metadata_of(record.schema) == {}


def test_batches_come_one_by_one(path: Path, batches: list[Localizations]) -> None:
    for read, written in zip(iter_arrow_batches(path), batches, strict=True):
        assert_same(read, written)
        assert read.x_nm.flags.writeable


def test_metadata_that_are_known_later_take_their_room_and_no_row_moves(tmp_path: Path) -> None:
    path = tmp_path / "localizations.arrows"
    rows = Localizations.from_columns(
        {"frame": np.arange(5), "x_nm": np.ones(5), "y_nm": np.ones(5)}
    )
    stated = {"pixel_nm": 100.0, "run": "cell-3"}
    with ArrowStreamFile(path, stated, room=64) as file:
        file.put(rows)
        size = path.stat().st_size
        assert file.restate(stated | {"psf_sigma_nm": 141.03})
        assert path.stat().st_size == size
        file.put(rows)

    table, metadata = read_arrow_table(path)
    assert metadata == stated | {"psf_sigma_nm": 141.03}
    assert len(table) == 10

    with ArrowStreamFile.resume(path, 5) as file:  # after a crash
        assert file.restate(stated | {"psf_sigma_nm": 141.0})
        assert not file.restate(stated | {"remark": "x" * 100}), "there is no room for that"
    table, metadata = read_arrow_table(path)
    assert (metadata["psf_sigma_nm"], len(table)) == (141.0, 10)
