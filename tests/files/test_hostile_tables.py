"""Tables that state a false size or hold what cannot be: refused, or read in part."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from rtsmlm.errors import FileFormatError
from rtsmlm.files import limits
from rtsmlm.files.tables.arrow_decoder import ArrowDecoder
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, iter_arrow_batches
from rtsmlm.files.tables.arrow_messages import PREFIX, parse
from rtsmlm.files.tables.arrow_schema import schema, to_batch
from rtsmlm.files.tables.export import export
from rtsmlm.files.tables.read import Table, frames_of_run, read_table
from rtsmlm.localizations import Localizations

KB = 1 << 10
N = 30_000
"""Rows of a bomb: 1.5 MB in memory, where the tests grant 200 kB."""


@pytest.fixture
def small_grant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grant so little that small files are bombs."""
    monkeypatch.setattr(limits, "FREE_BYTES", 200 * KB)


def rows(n: int, **columns: float) -> Localizations:
    made = {"frame": np.arange(n) // 10, "x_nm": np.full(n, 500.0), "y_nm": np.full(n, 700.0)}
    return Localizations.from_columns({**made, **{k: np.full(n, v) for k, v in columns.items()}})


def arrow(path: Path, table: Localizations, compression: str | None = None) -> Path:
    options = pa.ipc.IpcWriteOptions(compression=compression)
    made = schema({"pixel_nm": 100.0})
    with (
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_stream(file, made, options=options) as writer,
    ):
        writer.write_batch(to_batch(table, made))
    return path


def picasso(path: Path, n: int, **options: object) -> Path:
    dtype = [("frame", "<u4"), ("x", "<f4"), ("y", "<f4"), ("photons", "<f4")]
    with h5py.File(path, "w") as file:
        file.create_dataset("locs", data=np.zeros(n, dtype), **options)
        file["metadata"] = json.dumps([{"Pixelsize": 100.0}])
    return path


def reason(path: Path) -> str:
    with pytest.raises(FileFormatError) as error:
        read_table(path, pixel_nm=100)
    text = str(error.value)
    assert path.name in text
    assert text.isprintable()
    assert len(text) < 700
    return text


# -- bombs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.usefixtures("small_grant")
def test_an_arrow_batch_that_becomes_large_is_refused_before_it_is_decompressed(
    tmp_path: Path, compression: str
) -> None:
    path = arrow(tmp_path / "t.arrows", rows(N), compression)
    before = pa.default_memory_pool().max_memory()

    assert "a batch of 30000 rows" in reason(path)
    with pytest.raises(FileFormatError, match="a batch of 30000 rows"):
        list(iter_arrow_batches(path))
    with pytest.raises(FileFormatError, match="a batch"):
        ArrowDecoder().feed(path.read_bytes())
    assert pa.default_memory_pool().max_memory() <= before + 200 * KB


@pytest.mark.parametrize("stated", [1 << 40, 1 << 62, -2])
def test_a_length_before_a_compressed_buffer_is_not_believed(tmp_path: Path, stated: int) -> None:
    path = arrow(tmp_path / "t.arrows", rows(100), "zstd")
    data = bytearray(path.read_bytes())
    _, n_schema = PREFIX.unpack_from(data)
    at = PREFIX.size + n_schema
    n_header = PREFIX.unpack_from(data, at)[1]
    body = at + PREFIX.size + n_header
    offset = next(o for o, n in parse(data[at + PREFIX.size : body]).buffers if n)
    data[body + offset : body + offset + 8] = stated.to_bytes(8, "little", signed=True)
    path.write_bytes(data)

    if stated > 0:
        assert "a batch of 100 rows" in reason(path)
    else:  # damage like any other: the batch is left out
        assert len(read_table(path).localizations) == 0


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0x7FFFFFF8, 9, 1, -5])
def test_a_message_of_any_stated_length_costs_no_memory(tmp_path: Path, length: int) -> None:
    path = arrow(tmp_path / "t.arrows", rows(100))
    data = path.read_bytes()
    path.write_bytes(data[:4] + (length & 0xFFFFFFFF).to_bytes(4, "little") + data[8:])

    assert "not a table of localizations" in reason(path)


@pytest.mark.parametrize("compression", [None, "zstd"])
@pytest.mark.usefixtures("small_grant")
def test_a_table_that_is_as_large_on_disk_as_in_memory_is_read_whatever_its_size(
    tmp_path: Path, rng: np.random.Generator, compression: str | None
) -> None:
    table = Localizations.from_columns(
        {"frame": np.arange(N)} | {name: rng.uniform(0, 1e4, N) for name in ("x_nm", "y_nm")}
    )

    path = arrow(tmp_path / "t.arrows", table, compression)

    assert len(read_table(path).localizations) == N


@pytest.mark.usefixtures("small_grant")
def test_a_long_table_is_read_in_pieces_where_it_is_too_large_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.arrows"
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with (
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_stream(file, schema(), options=options) as writer,
    ):
        for _ in range(20):
            writer.write_batch(to_batch(rows(2000), schema()))

    assert sum(map(len, iter_arrow_batches(path))) == 40_000
    if path.stat().st_size * limits.MAX_EXPANSION < 40_000 * limits.ROW_BYTES:
        assert "rows of" in reason(path)


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.usefixtures("small_grant")
def test_a_parquet_table_of_few_bytes_and_many_rows_is_refused(
    tmp_path: Path, dictionary: bool
) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(
        pa.Table.from_batches([to_batch(rows(N), schema())]),
        path,
        compression="zstd",
        use_dictionary=dictionary,
    )

    assert f"{N} rows" in reason(path)


def test_a_parquet_page_that_states_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    export(Table(rows(2000), {"pixel_nm": 100.0}), ["parquet"], tmp_path)
    path = tmp_path / "localizations.parquet"
    data = path.read_bytes()
    column = pq.ParquetFile(path).metadata.row_group(0).column(1)
    at = min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset)
    # Fields 1 and 2 of the header: kind, and the length in memory as a number of several bytes.
    assert data[at] == data[at + 2] == 0x15
    end = at + 3
    while data[end] & 128:
        end += 1
    wider = bytes([0xFE, 0xFF, 0xFF, 0xFF, 0x0F])  # 2^31 - 1
    room = end + 1 - (at + 3)
    damaged = data[: at + 3] + wider[: room - 1] + b"\x7f" + data[end + 1 :]
    path.write_bytes(damaged if room >= 4 else data[: at + 3] + wider + data[end + 1 :])

    with pytest.raises(FileFormatError, match=r"localizations\.parquet"):
        read_table(path)


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
@pytest.mark.usefixtures("small_grant")
def test_rows_of_hdf5_that_compress_a_thousand_times_are_refused_by_their_true_size(
    tmp_path: Path, compression: str
) -> None:
    path = picasso(tmp_path / "t.hdf5", N, compression=compression, chunks=(N,))

    text = reason(path)

    assert f"states {N} rows of 1.56 MB" in text
    assert "damaged, or empty" in text


def test_rows_of_hdf5_that_compress_a_thousand_times_are_read_where_they_are_small(
    tmp_path: Path,
) -> None:
    path = picasso(
        tmp_path / "t.hdf5", 400_000, compression="gzip", chunks=(100_000,), shuffle=True
    )

    assert path.stat().st_size * 300 < 400_000 * 16
    assert len(read_table(path).localizations) == 400_000


@pytest.mark.parametrize("checksum", [False, True])
def test_a_chunk_of_hdf5_that_holds_more_than_its_dataset_states_is_refused(
    tmp_path: Path, checksum: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtsmlm.files.tables import hdf5_rows

    monkeypatch.setattr(hdf5_rows, "FREE_BYTES", 1000)
    path = tmp_path / "t.hdf5"
    dtype = [("frame", "<u4"), ("x", "<f4"), ("y", "<f4")]
    bomb = zlib.compress(bytes(32 << 20), 9)
    with h5py.File(path, "w") as file:
        made = file.create_dataset(
            "locs", (100,), dtype, chunks=(100,), compression="gzip", fletcher32=checksum
        )
        made.id.write_direct_chunk((0,), bomb + bytes(4 * checksum))

    assert "holds more than the 1200 bytes" in reason(path)


def test_hdf5_reads_no_other_file(tmp_path: Path) -> None:
    picasso(tmp_path / "other.hdf5", 10)
    path = tmp_path / "t.hdf5"

    with h5py.File(path, "w") as file:
        file["locs"] = h5py.ExternalLink("other.hdf5", "locs")
    assert "link to elsewhere" in reason(path)

    with h5py.File(path, "w") as file:
        dtype = h5py.File(tmp_path / "other.hdf5")["locs"].dtype
        layout = h5py.VirtualLayout((10,), dtype)
        layout[:] = h5py.VirtualSource(tmp_path / "other.hdf5", "locs", (10,), dtype)
        file.create_virtual_dataset("locs", layout)
    assert "other files" in reason(path)

    with h5py.File(path, "w") as file:
        file.create_dataset("locs", (3,), dtype, external=[(str(tmp_path / "x.bin"), 0, 48)])
    assert "other files" in reason(path)

    with h5py.File(path, "w") as file:
        file["inner"] = np.zeros(3, dtype)
        file["locs"] = h5py.SoftLink("/inner")
    assert "link to elsewhere" in reason(path)


def test_rows_of_hdf5_that_were_never_written_are_not_made(tmp_path: Path) -> None:
    path = tmp_path / "t.hdf5"
    dtype = [("frame", "<u4"), ("x", "<f4"), ("y", "<f4")]
    with h5py.File(path, "w") as file:
        file.create_dataset("locs", (1 << 33,), dtype, chunks=(1 << 16,))

    assert "8589934592 rows" in reason(path)


def test_text_that_was_never_written_is_not_made(tmp_path: Path) -> None:
    path = picasso(tmp_path / "t.hdf5", 10)
    with h5py.File(path, "a") as file:
        del file["metadata"]
        file.create_dataset("metadata", (), "S2000000000")

    assert "/metadata" in reason(path)


def test_an_unusual_compression_of_hdf5_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.hdf5"
    dtype = [("frame", "<u4"), ("x", "<f4"), ("y", "<f4")]
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk((10,))
    settings.set_deflate(9)
    settings.set_deflate(9)
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((10,))
        kind = h5py.h5t.py_create(np.dtype(dtype), logical=True)
        h5py.h5d.create(file.id, b"locs", kind, space, settings).close()

    assert "gzip, gzip" in reason(path)


def test_metadata_in_yaml_of_megabytes_are_refused_before_they_are_parsed(tmp_path: Path) -> None:
    path = picasso(tmp_path / "t.hdf5", 10)
    path.with_suffix(".yaml").write_text("a: 1\n" * 100_000)

    with pytest.raises(FileFormatError, match=r"t\.yaml: it has 500000 bytes"):
        read_table(path)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".zst"])
def test_a_text_table_is_not_decompressed_for_its_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.csv{suffix}"
    path.write_text("frame,x [nm],y [nm]\n1,50,50\n")

    assert len(read_table(path, pixel_nm=100).localizations) == 1


# -- rows ----------------------------------------------------------------------------------


def spoilt(n: int = 40) -> Localizations:
    table = rows(n, photons=1000.0)
    table.frame[3] = -9_200_000_000_000_000_000
    table.x_nm[5] = np.nan
    table.y_nm[7] = np.inf
    table.photons[9] = -50
    return table


def as_arrow(folder: Path, table: Localizations) -> Path:
    with ArrowStreamFile(folder / "t.arrows", {"pixel_nm": 100.0}) as file:
        file.put(table)
    return folder / "t.arrows"


def as_parquet(folder: Path, table: Localizations) -> Path:
    pq.write_table(pa.Table.from_batches([to_batch(table, schema())]), folder / "t.parquet")
    return folder / "t.parquet"


def as_csv(folder: Path, table: Localizations) -> Path:
    lines = ["frame,x [nm],y [nm],intensity [photon]"]
    for frame, x, y, n in zip(
        table.frame.tolist(), table.x_nm + 50, table.y_nm + 50, table.photons, strict=True
    ):
        lines.append(f"{frame + 1},{x},{y},{n}")
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return folder / "t.csv"


def as_picasso(folder: Path, table: Localizations) -> Path:
    made = np.zeros(len(table), [("frame", "<i8"), ("x", "f4"), ("y", "f4"), ("photons", "f4")])
    made["frame"], made["photons"] = table.frame, table.photons
    made["x"], made["y"] = table.x_nm / 100, table.y_nm / 100
    with h5py.File(folder / "t.hdf5", "w") as file:
        file["locs"] = made
    return folder / "t.hdf5"


def as_insight3(folder: Path, table: Localizations) -> Path:
    from rtsmlm.files.tables.insight3 import MAGIC, RECORD

    made = np.zeros(len(table), RECORD)
    made["frame"] = np.clip(table.frame + 1, -(2**31), 2**31 - 1)
    made["x"], made["y"] = table.x_nm / 100 + 1, table.y_nm / 100 + 1
    made["area"] = table.photons
    head = MAGIC + np.array([1, 6, len(table)], "<i4").tobytes()
    (folder / "t.bin").write_bytes(head + made.tobytes())
    return folder / "t.bin"


@pytest.mark.parametrize("write", [as_arrow, as_parquet, as_csv, as_picasso, as_insight3])
def test_rows_that_cannot_be_are_left_out_of_every_format_and_counted(
    tmp_path: Path, write: Callable[[Path, Localizations], Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, spoilt())

    table = read_table(path, pixel_nm=100)

    kept = table.localizations
    assert len(kept) == 36
    assert np.isfinite(kept.x_nm).all()
    assert kept.frame.min() >= 0
    assert kept.photons.min() >= 0
    [note] = table.notes
    first = "line 5" if write is as_csv else "row 4"
    assert note.startswith(
        f"4 of 40 rows of {path} can be no localizations and are left out: {first} has frame"
    )
    assert [record.message for record in caplog.records] == [note]


def test_rows_that_cannot_be_reach_no_reader_of_a_growing_table(tmp_path: Path) -> None:
    path = as_arrow(tmp_path, spoilt())
    decoder = ArrowDecoder()

    [batch] = decoder.feed(path.read_bytes())

    assert len(batch) == 36
    assert decoder.check.n_refused == 4
    assert [len(batch) for batch in iter_arrow_batches(path)] == [36]


def test_a_table_of_our_own_that_was_cut_keeps_all_its_rows_when_it_goes_on(tmp_path: Path) -> None:
    path = as_arrow(tmp_path, spoilt())

    with ArrowStreamFile.resume(path, 1 << 40) as file:
        assert file.n_rows == 40


@pytest.mark.parametrize(
    "text", ['{"received": 1e999, "lost": 0}', "[" * 100_000, '{"received": -5, "lost": 0}', "5"]
)
def test_a_ledger_that_cannot_be_states_no_number_of_frames(tmp_path: Path, text: str) -> None:
    (tmp_path / "ledger.json").write_text(text)

    assert frames_of_run(tmp_path) is None


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 5000, 300_000])
def test_the_metadata_within_a_file_are_found_whatever_their_length(tmp_path: Path, n: int) -> None:
    path = picasso(tmp_path / "t.hdf5", 3)
    with h5py.File(path, "a") as file:
        del file["metadata"]
        file["before"] = "x" * 700
        file["metadata"] = json.dumps([{"Pixelsize": 130.0, "Camera": "é" * n}])

    assert read_table(path).metadata["pixel_nm"] == 130


@pytest.mark.timeout(20)
@pytest.mark.parametrize("value", [0, 1, 7, 255])
def test_damage_of_the_heap_of_texts_ends_in_a_sentence_and_in_time(
    tmp_path: Path, value: int
) -> None:
    path = picasso(tmp_path / "t.hdf5", 3)
    whole = path.read_bytes()
    heap = whole.index(b"GCOL")
    for at in range(heap, heap + 40):
        data = bytearray(whole)
        data[at] = value
        path.write_bytes(data)
        message = ""
        try:
            read_table(path, pixel_nm=100)
        except FileFormatError as error:
            message = str(error)
        assert not message or "/metadata" in message or "the metadata in" in message
