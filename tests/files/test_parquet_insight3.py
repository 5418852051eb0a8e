"""Parquet and Insight3: round trips, foreign files, and files that lie about themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq

from rtsmlm.errors import FileFormatError, SinkError
from rtsmlm.files.tables.insight3 import HEADER_BYTES, MAGIC, RECORD, read_insight3
from rtsmlm.files.tables.parquet import read_parquet, write_parquet
from rtsmlm.localizations import COLUMN_DTYPES, Localizations


@pytest.fixture
def rows(rng: np.random.Generator) -> Localizations:
    columns = {name: rng.uniform(size=40) for name in COLUMN_DTYPES}
    columns["photons"][3] = np.nan
    columns["std_z_nm"][:] = np.inf
    columns |= {"frame": np.arange(40.0) // 3, "channel": np.arange(40.0) % 4}
    return Localizations.from_columns(columns)


def assert_same(a: Localizations, b: Localizations) -> None:
    for name, column in a.columns().items():
        np.testing.assert_array_equal(getattr(b, name), column, err_msg=name)


@pytest.mark.parametrize("size", [1, 7, 40, 100])
def test_parquet_gives_back_every_bit_whatever_the_batches(
    rows: Localizations, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "t.parquet"

    write_parquet(path, [rows.take(slice(k, k + size)) for k in range(0, 40, size)], {"run": "a"})

    back, metadata = read_parquet(path)
    assert_same(rows, back)
    assert metadata == {"run": "a"}
    assert pq.ParquetFile(path).num_row_groups == -(-40 // size)


def test_other_programs_find_our_columns_and_their_units_in_parquet(
    rows: Localizations, tmp_path: Path
) -> None:
    write_parquet(tmp_path / "t.parquet", [rows], {})

    table = pq.read_table(tmp_path / "t.parquet")

    assert table.column_names == list(COLUMN_DTYPES)
    assert table.schema.field("x_nm").metadata[b"unit"] == b"nm"


def test_columns_in_another_order_beside_foreign_ones_are_found_by_name(tmp_path: Path) -> None:
    made = pa.table(
        {
            "comment": ["a", "b"],
            "y_nm": pa.array([1.0, 2.0], pa.float32()),
            "frame": pa.array([5, 6], pa.int64()),
            "x_nm": pa.array([3.0, 4.0], pa.float32()),
        }
    )
    pq.write_table(made, tmp_path / "t.parquet")

    back, metadata = read_parquet(tmp_path / "t.parquet")

    assert (back.frame.tolist(), back.x_nm.tolist(), back.y_nm.tolist()) == ([5, 6], [3, 4], [1, 2])
    assert (back.probability == 1).all()
    assert np.isnan(back.photons).all()
    assert metadata == {}


@pytest.mark.parametrize(
    "columns",
    [
        {"frame": pa.array([1], pa.int64()), "x_nm": pa.array([1.0], pa.float32())},
        {"x": [1.0], "y": [2.0]},
        {
            "frame": pa.array([1], pa.int64()),
            "x_nm": pa.array([1.0], pa.float64()),
            "y_nm": pa.array([1.0], pa.float32()),
        },
        {
            "frame": pa.array([None], pa.int64()),
            "x_nm": pa.array([1.0], pa.float32()),
            "y_nm": pa.array([1.0], pa.float32()),
        },
    ],
    ids=["no y", "other names", "another type", "a null"],
)
def test_parquet_of_another_kind_is_refused_by_name(
    columns: dict[str, object], tmp_path: Path
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")

    with pytest.raises(FileFormatError, match=r"t\.parquet is no Parquet table of localizations"):
        read_parquet(tmp_path / "t.parquet")


def test_parquet_that_cannot_be_written_is_a_sink_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")

    with pytest.raises(SinkError, match=r"cannot write .*t\.parquet"):
        write_parquet(tmp_path / "out" / "t.parquet", [Localizations.empty()], {})


def insight3_of(path: Path, n: int, *, stated: int | None = None, magic: bytes = MAGIC) -> Path:
    molecules = np.zeros(n, RECORD)
    molecules["x"], molecules["y"] = np.arange(n) + 1.0, 2.0 * np.arange(n) + 1.0
    molecules["frame"] = np.arange(n) + 1
    molecules["area"], molecules["background"], molecules["z"] = 900.0, 30.0, -150.0
    header = magic + np.array([1, 6, n if stated is None else stated], "<i4").tobytes()
    path.write_bytes(header + molecules.tobytes())
    return path


@given(n=st.integers(0, 30), pixel_nm=st.floats(50.0, 300.0))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_insight3_counts_pixels_and_frames_from_one(
    tmp_path: Path, n: int, pixel_nm: float
) -> None:
    back, metadata = read_insight3(insight3_of(tmp_path / "list.bin", n), pixel_nm)

    assert back.frame.tolist() == list(range(n))
    np.testing.assert_allclose(back.x_nm, np.arange(n) * pixel_nm, rtol=1e-6)
    np.testing.assert_allclose(back.y_nm, 2 * np.arange(n) * pixel_nm, rtol=1e-6)
    assert (back.photons == 900).all()
    assert (back.background == 30).all()
    assert (back.z_nm == -150).all()
    assert metadata == {"pixel_nm": pixel_nm}


def test_insight3_asks_for_the_pixel_before_it_reads(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"list\.bin is in pixels .*--pixel-nm"):
        read_insight3(tmp_path / "list.bin")


@pytest.mark.parametrize("stated", [6, 2**31 - 1, -1, -(2**31)])
def test_insight3_with_more_molecules_stated_than_there_is_refused(
    tmp_path: Path, stated: int
) -> None:
    with pytest.raises(FileFormatError, match=f"its header states {stated} molecules"):
        read_insight3(insight3_of(tmp_path / "list.bin", 5, stated=stated), 100.0)


@pytest.mark.parametrize("length", [0, 3, HEADER_BYTES - 1, HEADER_BYTES + 10])
def test_insight3_cut_in_its_first_molecule_is_refused(tmp_path: Path, length: int) -> None:
    path = insight3_of(tmp_path / "list.bin", 1)
    path.write_bytes(path.read_bytes()[:length])

    with pytest.raises(FileFormatError, match="no whole Insight3 list"):
        read_insight3(path, 100.0)


def test_insight3_of_another_program_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no whole Insight3 list"):
        read_insight3(insight3_of(tmp_path / "list.bin", 2, magic=b"M400"), 100.0)


def test_insight3_keeps_what_lies_behind_the_molecules_out(tmp_path: Path) -> None:
    path = insight3_of(tmp_path / "list.bin", 4)
    path.write_bytes(path.read_bytes() + b"<settings>" * 50)

    assert len(read_insight3(path, 100.0)[0]) == 4
