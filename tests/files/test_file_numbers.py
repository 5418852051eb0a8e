"""Frame numbers of image files: which number in a name counts, and where files are missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.file_numbers import NumberedFiles, numbered

HERE = Path("cell_1")


def of(names: list[str]) -> NumberedFiles:
    return numbered(HERE, [HERE / name for name in names])


def test_files_that_are_missing_leave_a_gap_and_are_named() -> None:
    found = of([f"img_channel000_time{t:09d}_z000.tif" for t in range(30) if t not in (10, 11)])

    assert found.numbers.tolist() == [t for t in range(30) if t not in (10, 11)]
    assert found.difference.startswith("2 image files are missing: 10 to 11, of cell_1")


def test_the_first_files_are_missed_where_micro_manager_counts_from_zero() -> None:
    found = of([f"img_channel000_position000_time{t:09d}_z000.tif" for t in range(3, 9)])

    assert found.numbers.tolist() == list(range(3, 9))
    assert found.difference.startswith("3 image files are missing: 0 to 2")


@pytest.mark.parametrize("first", [0, 1])
def test_a_count_from_zero_or_one_begins_with_frame_0_and_nothing_is_said(first: int) -> None:
    found = of([f"cell2_647nm_t{t}.tif" for t in range(first, first + 12)])

    assert found.numbers.tolist() == list(range(12))
    assert found.difference == ""
    assert [f.name for f in found.files[:2]] == [f"cell2_647nm_t{first + k}.tif" for k in (0, 1)]


def test_a_count_from_elsewhere_begins_with_frame_0_and_is_said() -> None:
    found = of([f"x{t:04d}.tif" for t in (1000, 1001, 1003)])

    assert found.numbers.tolist() == [0, 1, 3]
    assert "begin with number 1000" in found.difference
    assert "1002" in found.difference


def test_the_time_of_day_beside_the_count_is_not_the_count() -> None:
    names = [
        f"img_{t:03d}_2026-03-01_12-{t * 37 // 60:02d}-{t * 37 % 60:02d}.tif" for t in range(40)
    ]

    found = of(names)

    assert found.numbers.tolist() == list(range(40))


def test_a_count_behind_the_letter_of_an_axis_is_a_count() -> None:
    found = of([f"s{t:04d}_12-00-{t * 7 % 60:02d}.tif" for t in range(1, 9)])

    assert found.numbers.tolist() == list(range(8))


def test_names_of_hours_minutes_and_seconds_are_read_in_their_order_and_said() -> None:
    names = [f"12-{m:02d}-{s:02d}.tif" for m, s in [(5, 58), (5, 59), (6, 0), (7, 59), (8, 0)]]

    found = of(names[::-1])

    assert [file.name for file in found.files] == names
    assert "order of all numbers" in found.difference


@pytest.mark.parametrize(
    "names",
    [
        [f"img_channel{c:03d}_time{t:09d}.tif" for c in range(2) for t in range(5)],
        [f"img_channel{c:03d}_time{t:09d}.tif" for c in range(2) for t in range(5)][:-1],
        [f"t{t}_z{z}.tif" for t in range(4) for z in range(3)],
        [f"{k:04d}_ch{k % 2}.tif" for k in range(8)],
        [f"a_{x}_{y}.tif" for x in range(3) for y in range(3)],
    ],
)
def test_channels_slices_and_positions_are_not_taken_for_frames(names: list[str]) -> None:
    with pytest.raises(FileFormatError, match="put one channel, slice and position into a folder"):
        of(names)


@given(st.sets(st.integers(0, 10**6), min_size=2, max_size=30))
def test_differences_of_the_numbers_are_those_of_the_frames(numbers: set[int]) -> None:
    found = of([f"img_{n}.tif" for n in numbers])

    ordered = sorted(numbers)
    assert np.diff(ordered).tolist() == np.diff(found.numbers).tolist()
    assert found.numbers[0] in (0, ordered[0])
