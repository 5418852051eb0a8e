"""Frames from a buffer are checked one by one; silence is counted only while it is waited for."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest

from rtsmlm.drivers.micromanager import reader
from rtsmlm.drivers.micromanager.reader import FrameReader, Silence
from rtsmlm.errors import DeviceError, FrameMismatchError

SHAPE = (4, 6)


class Source:
    """A buffer that holds what a test puts there."""

    def __init__(self) -> None:
        self.frames: deque[Any] = deque()

    def put(self, pixels: np.ndarray, **tags: str) -> None:
        self.frames.append((pixels, tags.get))

    def waiting(self) -> int:
        return len(self.frames)

    def pop(self) -> Any:
        popped = self.frames.popleft()
        if isinstance(popped, Exception):
            raise popped
        return popped

    def leave(self) -> None:
        pass

    def overflowed(self) -> bool:
        return False


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def frames(source: Source) -> FrameReader:
    return FrameReader("Camera", source, SHAPE, "Number")


def gray(value: int = 7, dtype: type = np.uint16, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.full(shape, value, dtype)


def test_an_empty_buffer_is_no_frame_yet(frames: FrameReader) -> None:
    assert frames.take() is None
    assert frames.taken == 0


def test_a_frame_keeps_the_number_of_the_camera(source: Source, frames: FrameReader) -> None:
    for number in ("10", "11", "14"):
        source.put(gray(int(number)), Number=number)

    taken = [frames.take() for _ in range(3)]

    numbers = [frame.index for frame in taken if frame is not None]
    assert np.diff(numbers).tolist() == [1, 3], "a gap is a lost frame"
    assert [int(frame.pixels[0, 0]) for frame in taken if frame is not None] == [10, 11, 14]
    assert frames.taken == 3


def test_the_exposure_ends_in_order(source: Source, frames: FrameReader) -> None:
    for number in range(5):
        source.put(gray(), Number=str(number))

    ends = [frame.t_exposure_end_ns for _ in range(5) if (frame := frames.take()) is not None]

    assert ends == sorted(ends)
    assert len(ends) == 5


def test_eight_bit_pixels_become_sixteen_with_the_same_values(
    source: Source, frames: FrameReader
) -> None:
    source.put(gray(200, np.uint8), Number="0")

    frame = frames.take()

    assert frame is not None
    assert frame.pixels.dtype == np.uint16
    assert int(frame.pixels.max()) == 200


def test_sixteen_bit_pixels_are_handed_on_without_a_copy(
    source: Source, frames: FrameReader
) -> None:
    pixels = gray()
    source.put(pixels, Number="0")

    frame = frames.take()

    assert frame is not None
    assert np.shares_memory(frame.pixels, pixels)


@pytest.mark.parametrize("dtype", [np.float32, np.uint32, np.int16])
def test_pixels_that_cannot_be_localized_end_the_run_at_the_first_frame(
    source: Source, frames: FrameReader, dtype: type
) -> None:
    source.put(gray(7, dtype), Number="0")

    with pytest.raises(DeviceError, match=r"only uint8 and uint16 .*micromanager\.properties"):
        frames.take()


@pytest.mark.parametrize(
    ("pixels", "found"),
    [
        (gray(shape=(4, 5)), r"\(4, 5\) uint16"),
        (gray(shape=(2, 3)), r"\(2, 3\) uint16"),
        (gray(dtype=np.uint8), r"\(4, 6\) uint8"),
    ],
)
def test_a_frame_unlike_the_first_is_an_error_with_both_shapes(
    source: Source, frames: FrameReader, pixels: np.ndarray, found: str
) -> None:
    source.put(gray(), Number="0")
    source.put(pixels, Number="1")
    frames.take()

    with pytest.raises(FrameMismatchError, match=rf"frame 1 .* is {found}, the run has \(4, 6\)"):
        frames.take()


def test_what_the_buffer_raises_becomes_an_error_that_names_camera_and_frame(
    source: Source, frames: FrameReader
) -> None:
    source.put(gray(), Number="0")
    source.frames.append(RuntimeError("buffer corrupt"))
    frames.take()

    with pytest.raises(DeviceError, match="from camera Camera after frame 0: buffer corrupt"):
        frames.take()


def test_a_buffer_that_was_emptied_meanwhile_is_no_frame_yet(
    source: Source, frames: FrameReader
) -> None:
    source.frames.append(None)

    assert frames.take() is None
    assert frames.taken == 0


@pytest.fixture
def time_ns(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    now = [0]
    monkeypatch.setattr(reader, "now_ns", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("timeout_s", "exposure_ms", "limit_s"), [(10.0, 30.0, 10.0), (10.0, 2000.0, 20.0)]
)
def test_a_long_exposure_is_no_silence(
    timeout_s: float, exposure_ms: float, limit_s: float
) -> None:
    assert Silence(timeout_s, exposure_ms).limit_s == limit_s


@pytest.mark.parametrize("exposure_ms", [0.01, 1.0, 10.0, 1000.0])
def test_polling_is_prompt_and_leaves_the_core_time(exposure_ms: float) -> None:
    assert 1e-4 <= Silence(10.0, exposure_ms).poll_s <= 1e-3


def test_silence_is_counted_from_the_first_wait_and_a_frame_ends_it(time_ns: list[int]) -> None:
    silence = Silence(2.0, 10.0)
    time_ns[0] = 60_000_000_000  # the camera was slow to start: that was not waited for
    assert not silence.too_long()
    time_ns[0] += 1_900_000_000
    assert not silence.too_long()

    silence.broken()
    time_ns[0] += 1_900_000_000
    assert not silence.too_long()
    time_ns[0] += 2_100_000_000

    assert silence.too_long()
