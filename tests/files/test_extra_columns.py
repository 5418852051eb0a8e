"""Columns that a localizer adds: kept wherever rows go, absent where there are none."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest

from rtsmlm.files.tables.arrow_decoder import ArrowDecoder
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, read_arrow_table
from rtsmlm.files.tables.arrow_schema import (
    KEY,
    TABLE_VERSION,
    extra_columns_of,
    schema,
    table_metadata,
    to_batch,
)
from rtsmlm.files.tables.export import export
from rtsmlm.files.tables.parquet import read_parquet
from rtsmlm.localizations import COLUMN_DTYPES, F32, Localizations
from rtsmlm.localizations import UNITS as BASE
from rtsmlm.offline.catch_up import merge_by_frame
from rtsmlm.stream.batch_message import read_batch, read_schema

UNITS = {"zernike_2_2_nm": "nm", "dipole_xx": "1", "std_background": "photon/px"}
STATED = {"extra_columns": UNITS, "extra_columns_of": "smnet 1"}
METADATA = table_metadata("run", (64, 64), 100.0, 130.0, extras=STATED)


def rows(frames: list[int], *, with_extras: bool = True) -> Localizations:
    """Rows whose extras are their frame, plus 0.25 for each column after the first."""
    x = np.array(frames, np.float32)
    extras: dict[str, F32] = {name: x + np.float32(0.25 * k) for k, name in enumerate(UNITS)}
    return Localizations.from_columns(
        {"frame": np.array(frames, np.int64), "x_nm": 100 * x, "y_nm": x, "photons": x + 1},
        extras if with_extras else {},
    )


def check(found: Localizations) -> None:
    assert list(found.extras) == list(UNITS)
    for k, column in enumerate(found.extras.values()):
        assert column.dtype == np.float32
        np.testing.assert_array_equal(column, found.frame + 0.25 * k)


def test_extras_follow_their_rows_when_rows_are_chosen_sorted_and_joined() -> None:
    table = Localizations.concatenate([rows([5, 3]), rows([4])]).sorted_by_frame()

    check(table)
    check(table.take(table.frame > 3))
    merged = list(merge_by_frame(iter([rows([1, 2]), rows([6])]), iter([rows([3, 4])])))
    check(Localizations.concatenate(merged))
    with pytest.raises(ValueError, match="column dipole_xx has shape"):
        Localizations.from_columns(
            {k: np.zeros(3) for k in ("frame", "x_nm", "y_nm")}, {"dipole_xx": np.zeros(2, "<f4")}
        )


def test_rows_without_an_extra_column_have_nan_in_it() -> None:
    both = Localizations.concatenate([rows([1]), rows([2], with_extras=False), rows([3])])

    assert np.isnan(both.extras["dipole_xx"]).tolist() == [False, True, False]


def test_a_table_states_name_unit_and_model_of_extras_and_gives_them_back(tmp_path: Path) -> None:
    path = tmp_path / "localizations.arrows"
    with ArrowStreamFile(path, METADATA) as file:
        file.put(rows([0, 1]))
        file.put(rows([7]))
    with ArrowStreamFile.resume(path, before_frame=5) as file:
        file.put(rows([5, 6]))

    found, metadata = read_arrow_table(path)

    check(found)
    assert found.frame.tolist() == [0, 1, 5, 6]
    assert metadata["extra_columns_of"] == "smnet 1"
    fields = pa.ipc.open_stream(path.read_bytes()).schema
    assert {n: fields.field(n).metadata[b"unit"].decode() for n in UNITS} == UNITS
    decoder = ArrowDecoder()
    data = path.read_bytes()
    for batch in [*decoder.feed(data[:1000]), *decoder.feed(data[1000:])]:
        check(batch)


def test_a_stream_carries_extras_also_where_a_batch_has_no_rows() -> None:
    table_schema = schema(METADATA)
    text = base64.b64encode(table_schema.serialize().to_pybytes()).decode()
    for sent in (rows([3, 4]), Localizations.empty()):
        message = to_batch(sent, table_schema).serialize().to_pybytes()

        check(read_batch(message, read_schema(text), len(sent)))


def test_a_table_without_extras_is_the_same_to_the_byte_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "localizations.arrows"
    with ArrowStreamFile(path, {"pixel_nm": 100.0}) as file:
        file.put(rows([0, 1, 2]))  # of a localizer that adds columns, into a table that has none

    stated = json.dumps({"table_version": TABLE_VERSION, "pixel_nm": 100.0})
    plain = pa.schema(
        [
            pa.field(
                name, pa.from_numpy_dtype(dtype), nullable=False, metadata={"unit": BASE[name]}
            )
            for name, dtype in COLUMN_DTYPES.items()
        ],
        metadata={KEY: stated},
    )
    expected = io.BytesIO()
    with pa.ipc.new_stream(expected, plain) as writer:
        columns = rows([0, 1, 2], with_extras=False).columns().values()
        writer.write_batch(pa.RecordBatch.from_arrays([pa.array(c) for c in columns], schema=plain))
    assert path.read_bytes() == expected.getvalue()
    assert not read_arrow_table(path)[0].extras


def test_exports_have_the_extra_columns_behind_all_others(tmp_path: Path) -> None:
    with ArrowStreamFile(tmp_path / "localizations.arrows", METADATA) as file:
        file.put(rows([0, 1, 2]))

    export(tmp_path, ["csv", "picasso", "parquet"], tmp_path)

    with (tmp_path / "localizations.csv").open(encoding="utf-8") as text:
        lines = list(csv.DictReader(text))
    assert list(lines[0])[-3:] == ["zernike_2_2 [nm]", "dipole_xx", "std_background [photon/px]"]
    assert [float(line["dipole_xx"]) for line in lines] == [0.25, 1.25, 2.25]
    with h5py.File(tmp_path / "localizations.hdf5") as picasso:
        assert picasso["locs"]["std_background"].tolist() == [0.5, 1.5, 2.5]
    found, metadata = read_parquet(tmp_path / "localizations.parquet")
    check(found)
    assert extra_columns_of(metadata) == UNITS


def test_what_a_foreign_table_states_of_extras_is_taken_only_where_it_can_be() -> None:
    stated = {"good_nm": "nm", "x_nm": "nm", "two words": "1", "": "1", "odd": 3, 4: "nm"}

    assert extra_columns_of({"extra_columns": stated}) == {"good_nm": "nm"}
    assert extra_columns_of({"extra_columns": ["good_nm"]}) == {}
    assert len(extra_columns_of({"extra_columns": {f"c{k}": "1" for k in range(1000)}})) == 100
