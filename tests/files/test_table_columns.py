"""What all table formats share: no row is lost, nothing absurd is read, no file is half written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.errors import ConfigError, FileFormatError, SinkError
from rtsmlm.files.limits import LARGEST_FRAME, LARGEST_NM
from rtsmlm.files.tables.columns import (
    checked_metadata,
    in_blocks,
    known_columns,
    needed_pixel_nm,
    positive,
    replacing,
    table_from,
)
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.localizations import COLUMN_DTYPES, Localizations

PATH = Path("folder/table.csv")
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("1e.-x", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=2),
    max_leaves=5,
)


def rows(first: int, n: int, **columns: Any) -> Localizations:
    frame = np.arange(first, first + n)
    return Localizations.from_columns(
        {"frame": frame, "x_nm": 10.0 * frame, "y_nm": 20.0 * frame}
        | {name: np.full(n, value) for name, value in columns.items()}
    )


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 25))
def test_blocks_hold_every_row_in_order_and_only_the_last_may_be_small(
    sizes: list[int], n_rows: int
) -> None:
    starts = np.cumsum([0, *sizes])
    batches = [rows(int(start), n) for start, n in zip(starts, sizes, strict=False)]

    blocks = list(in_blocks(batches, n_rows))

    assert [f for block in blocks for f in block.frame.tolist()] == list(range(sum(sizes)))
    assert all(len(block) >= n_rows for block in blocks[:-1])
    assert all(len(block) > 0 for block in blocks)


def test_blocks_are_made_while_the_batches_come() -> None:
    taken = []

    def batches() -> Any:
        for k in range(1000):
            taken.append(k)
            yield rows(10 * k, 10)

    next(in_blocks(batches(), 25))

    assert len(taken) == 3, "memory must not grow with the table"


@pytest.mark.parametrize("name", [n for n in COLUMN_DTYPES if n not in ("frame", "x_nm", "y_nm")])
def test_a_column_is_known_when_one_row_says_something(name: str) -> None:
    silent = known_columns([rows(0, 5), rows(5, 5)])
    speaking = known_columns(
        [rows(0, 5), rows(5, 4), rows(9, 1, **{name: 0.5 + (name == "channel")})]
    )

    assert silent == {"frame", "x_nm", "y_nm"}
    assert name in speaking


def test_an_emitter_in_the_focal_plane_is_not_taken_for_one_without_height() -> None:
    assert "z_nm" in known_columns([rows(0, 5, z_nm=0.0, std_z_nm=40.0)])
    assert "z_nm" not in known_columns([rows(0, 5, z_nm=0.0)])


@settings(max_examples=60)
@given(anything)
def test_what_is_taken_from_foreign_metadata_is_a_positive_number_or_nothing(value: Any) -> None:
    number = positive(value)

    assert number is None or (math.isfinite(number) and number > 0)


@given(st.floats(min_value=1e-300, allow_infinity=False))
def test_a_positive_number_may_be_written_as_text(number: float) -> None:
    assert positive(repr(number)) == positive(number) == number


@settings(max_examples=60)
@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("pixel_nm", "psf_sigma_nm", "n_frames", "shape", "run"), anything),
    )
)
def test_checked_metadata_hold_only_values_that_make_sense(metadata: dict[str, Any]) -> None:
    before = dict(metadata)

    checked = checked_metadata(metadata)

    assert set(checked) <= set(metadata)
    for key in ("pixel_nm", "psf_sigma_nm", "n_frames"):
        assert key not in checked or checked[key] > 0
    if "shape" in checked:
        assert len(checked["shape"]) == 2
        assert all(isinstance(side, int) and side >= 1 for side in checked["shape"])
    if "run" in metadata:
        assert checked["run"] is metadata["run"]
    assert repr(metadata) == repr(before), "the metadata of the caller stay as they are"


@pytest.mark.parametrize("value", [None, 0, -100.0, "wide", math.nan, math.inf, [100]])
def test_a_pixel_size_that_is_none_is_asked_for(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"a Picasso table needs the camera pixel .*--pixel-nm"):
        needed_pixel_nm({"pixel_nm": value}, "a Picasso table")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("frame", -1.0),
        ("frame", 0.5),
        ("frame", math.nan),
        ("frame", math.inf),
        ("frame", 2.0 * LARGEST_FRAME),
        ("frame", -9.2e18),
        ("x_nm", math.nan),
        ("x_nm", math.inf),
        ("y_nm", -1.01 * LARGEST_NM),
        ("y_nm", 1e30),
    ],
)
def test_a_row_that_cannot_be_is_left_out_counted_and_named_by_its_number(
    column: str, value: float
) -> None:
    columns = {name: np.arange(10.0) for name in ("frame", "x_nm", "y_nm")}
    columns[column][6] = value
    check = RowCheck(PATH)

    table = table_from(columns, check)

    assert table.frame.tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    [note] = check.notes()
    assert note.startswith(
        f"1 of 10 rows of {PATH} can be no localizations and are left out: row 7"
    )


def test_a_table_of_which_most_rows_cannot_be_is_refused() -> None:
    columns = {name: np.arange(10.0) for name in ("frame", "x_nm", "y_nm")}
    columns["x_nm"][:6] = np.nan

    with pytest.raises(FileFormatError, match=r"table\.csv: row 1 has frame 0, .*6 of 10 rows"):
        table_from(columns, RowCheck(PATH))


@pytest.mark.parametrize(
    ("name", "value"),
    [("photons", -1.0), ("photons", np.inf), ("photons", 1e300), ("background", -np.inf),
     ("std_x_nm", -0.1), ("std_z_nm", -np.inf), ("z_nm", -np.inf), ("probability", 1.1),
     ("probability", -0.1), ("channel", 256.0), ("channel", 0.5), ("channel", np.nan)],
)  # fmt: skip
def test_no_column_takes_a_value_that_cannot_be(name: str, value: float) -> None:
    columns = {key: np.arange(10.0) for key in ("frame", "x_nm", "y_nm")}
    columns[name] = np.zeros(10)
    columns[name][3] = value
    check = RowCheck(PATH)

    assert len(table_from(columns, check)) == 9
    assert check.n_refused == 1


@pytest.mark.parametrize(
    "name",
    ["z_nm", "photons", "background", "std_x_nm", "std_y_nm", "std_z_nm", "std_photons",
     "probability"],
)  # fmt: skip
def test_what_is_not_known_stays_nan_and_its_row_stays(name: str) -> None:
    columns = {key: np.arange(10.0) for key in ("frame", "x_nm", "y_nm")}
    columns[name] = np.full(10, np.nan)
    check = RowCheck(PATH)

    table = table_from(columns, check)

    assert len(table) == 10
    assert np.isnan(getattr(table, name)).all()
    assert check.notes() == ()


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "table.csv"
    with replacing(path) as part:
        part.write_text("first")

    with replacing(path) as part:
        part.write_text("second, half")
        assert path.read_text() == "first"

    assert path.read_text() == "second, half"
    assert list(path.parent.iterdir()) == [path]


def write_half(path: Path, error: Exception) -> None:
    with replacing(path) as part:
        part.write_text("half of the n")
        raise error


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("h5")])
def test_a_write_that_fails_keeps_the_old_file_and_leaves_no_part(
    tmp_path: Path, error: Exception
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    with pytest.raises(SinkError, match=r"cannot write .*table\.csv.*free space"):
        write_half(path, error)

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_fault_of_the_program_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        write_half(tmp_path / "table.csv", KeyError("x_nm"))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [[0.5, 64], [64, 63.5], [64], [64, 64, 3], "64", [0, 64]])
def test_a_field_that_is_no_count_of_pixels_counts_as_unknown(shape: Any) -> None:
    assert checked_metadata({"shape": shape, "n_frames": 0.4}) == {}
    assert checked_metadata({"shape": [64.0, "48"], "n_frames": "250"}) == {
        "shape": [64, 48],
        "n_frames": 250,
    }
