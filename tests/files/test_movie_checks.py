"""What every reader checks: values become ADU without loss, and movies that are cut say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import MAX_SIDE_PX
from rtsmlm.files.movies.account import StatedFrames
from rtsmlm.files.movies.checks import (
    ADU_MAX,
    check_frame_shape,
    complete_frames,
    one_line,
    to_adu,
)

PATH = Path("folder/movie.tif")
STORED = ("u1", "<u2", ">u2", "<i2", "<u4", "<i8", "<f4", ">f8")


@given(
    hnp.arrays(np.uint16, (2, 3, 4), elements=st.integers(0, 255) | st.integers(0, ADU_MAX)),
    st.sampled_from(STORED),
)
def test_values_of_any_type_that_fit_16_bits_are_kept_exactly(adu: np.ndarray, dtype: str) -> None:
    if not np.array_equal(adu.astype(dtype).astype(np.float64), adu):
        adu = adu % 128  # what the narrow types hold

    made = to_adu(adu.astype(dtype), PATH)

    assert made.dtype == np.dtype("=u2")
    assert made.flags.c_contiguous
    np.testing.assert_array_equal(made, adu)


@given(
    st.sampled_from([-1.0, -0.25, 0.5, 65535.5, 65536.0, 1e300, np.inf, -np.inf, np.nan]),
    st.integers(0, 1),
    st.integers(0, 2),
    st.integers(0, 3),
    st.integers(0, 10_000),
)
def test_a_value_that_is_no_adu_is_named_with_its_place(
    value: float, frame: int, row: int, column: int, first: int
) -> None:
    stored = np.full((2, 3, 4), 100.0)
    stored[frame, row, column] = value

    with pytest.raises(FileFormatError) as error:
        to_adu(stored, PATH, first)

    assert f"in frame {first + frame}, row {row}, column {column}" in str(error.value)
    assert "movie.tif" in str(error.value)


def test_the_first_bad_value_is_the_one_that_is_named() -> None:
    stored = np.full((2, 3, 4), 100, dtype=np.int32)
    stored[1, 2, 3] = stored[0, 1, 2] = -7

    with pytest.raises(FileFormatError, match=r"holds -7 in frame 0, row 1, column 2"):
        to_adu(stored, PATH)


@pytest.mark.parametrize("shape", [(1, 1), (MAX_SIDE_PX, 1), (512, MAX_SIDE_PX)])
def test_frames_of_any_camera_are_accepted(shape: tuple[int, int]) -> None:
    check_frame_shape(PATH, shape)


@pytest.mark.parametrize("shape", [(0, 10), (10, 0), (-4, 4), (MAX_SIDE_PX + 1, 4)])
def test_frames_of_no_camera_are_refused_with_their_size(shape: tuple[int, int]) -> None:
    with pytest.raises(FileFormatError, match=f"frames of {shape[0]} x {shape[1]} pixels"):
        check_frame_shape(PATH, shape)


@given(
    st.none() | st.integers(1, 200), st.integers(1, 100), st.integers(1, 200), st.integers(0, 99)
)
def test_all_whole_frames_are_read_and_a_number_that_differs_is_a_difference(
    stated: int | None, stride: int, there: int, rest: int
) -> None:
    rest %= stride
    by_header = [] if stated is None else [StatedFrames("the header", stated)]

    account = complete_frames(PATH, there * stride + rest, stride, *by_header)

    assert account.read == account.present == there
    assert bool(account.differences) == (rest > 0 or stated not in (None, there))


@pytest.mark.parametrize(("stated", "available"), [((), 99), ((5,), 99)])
@pytest.mark.parametrize("missing", [0, 500])
def test_a_movie_without_a_whole_frame_is_refused_with_the_bytes_there_are(
    stated: tuple[int, ...], available: int, missing: int
) -> None:
    by_header = [StatedFrames("the header", n) for n in stated]

    with pytest.raises(FileFormatError, match=r"holds no complete frame: a frame takes \d+ bytes"):
        complete_frames(PATH, available - missing, 600, *by_header)


@given(st.text("ab .\n\r\t\x0b\x1c\x85\u2028é", max_size=600))
def test_an_error_becomes_one_short_line(text: str) -> None:
    line = one_line(ValueError(text))

    assert line
    assert len(line) <= 200
    assert len(line.splitlines()) == 1
