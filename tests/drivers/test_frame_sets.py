"""Frames of several cameras: those of the same number belong together, whatever is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rtsmlm.drivers.micromanager.frame_sets import FrameSets, TimesApart
from rtsmlm.drivers.micromanager.side_by_side_reader import SideBySideReader
from rtsmlm.errors import DeviceError, FrameMismatchError
from rtsmlm.frames import CameraFrame

SHAPE = (4, 6)
LABELS = ("Left", "Right")


class Source:
    """A buffer that holds what a test puts there."""

    def __init__(self) -> None:
        self.frames: deque[Any] = deque()

    def put(self, camera: str, number: int, shape: tuple[int, int] = SHAPE, **tags: str) -> None:
        value = number + 1000 * (LABELS.index(camera) + 1)
        tags = {"Camera": camera, "ImageNumber": str(number), **tags}
        self.frames.append((np.full(shape, value, np.uint16), tags.get))

    def waiting(self) -> int:
        return len(self.frames)

    def pop(self) -> Any:
        return self.frames.popleft()

    def leave(self) -> None:
        pass

    def overflowed(self) -> bool:
        return False


@pytest.fixture
def source() -> Source:
    return Source()


def reader_of(source: Source, *, from_start: bool = True, most_waiting: int = 50) -> Any:
    cameras: Any = SimpleNamespace(label="Both", labels=LABELS, part_shape=SHAPE)
    return SideBySideReader(cameras, source, None, from_start=from_start, most_waiting=most_waiting)


def taken(reader: SideBySideReader, source: Source) -> list[tuple[int, int, int]]:
    """Return the number of each frame, and the numbers in its left and its right part."""
    found = []
    while source.waiting():
        frame: CameraFrame | None = reader.take()
        if frame is not None:
            left, right = frame.pixels[:, :6], frame.pixels[:, 6:]
            assert np.all(left == left[0, 0])
            assert np.all(right == right[0, 0])
            found.append((frame.index, int(left[0, 0]) - 1000, int(right[0, 0]) - 2000))
    return found


def same(numbers: Iterable[int]) -> list[tuple[int, int, int]]:
    return [(k, k, k) for k in numbers]


@pytest.mark.parametrize(
    "order",
    [
        "L0 R0 L1 R1 L2 R2 L3 R3",
        "R0 L0 L1 R1 R2 L2 R3 L3",
        "R0 R1 R2 R3 L0 L1 L2 L3",
        "L0 L1 R0 L2 R1 R2 R3 L3",
    ],
)
def test_frames_of_one_number_are_one_frame_in_whatever_order_they_come(
    source: Source, order: str
) -> None:
    for word in order.split():
        source.put({"L": "Left", "R": "Right"}[word[0]], int(word[1:]))

    assert taken(reader_of(source), source) == same(range(4))


@pytest.mark.parametrize("seed", range(5))
def test_a_frame_that_one_camera_lost_shows_as_a_gap_and_shifts_nothing(
    source: Source, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    there = {label: np.flatnonzero(rng.random(200) > 0.1).tolist() for label in LABELS}
    queues = {label: list(numbers) for label, numbers in there.items()}
    while any(queues.values()):
        label = str(rng.choice([name for name, queue in queues.items() if queue]))
        source.put(label, queues[label].pop(0))
    reader = reader_of(source)

    frames = taken(reader, source)

    whole = sorted(set(there["Left"]) & set(there["Right"]))
    first = min(there["Left"][0], there["Right"][0])
    assert [left for _, left, _ in frames] == [right for _, _, right in frames] == whole
    assert [index for index, _, _ in frames] == [number - first for number in whole]
    assert reader.last == frames[-1][0]


def test_the_first_frame_that_one_camera_lost_is_a_loss(source: Source) -> None:
    for number in range(3):
        source.put("Right", number)
    for number in (1, 2):
        source.put("Left", number)

    assert taken(reader_of(source), source) == same([1, 2])


def test_a_sequence_of_a_host_counts_from_the_first_whole_frame(source: Source) -> None:
    for number in (57, 58, 60):
        source.put("Right", number)
    for number in (58, 59, 60):
        source.put("Left", number)

    assert taken(reader_of(source, from_start=False), source) == [(0, 58, 58), (2, 60, 60)]


def test_cameras_of_different_makers_count_from_the_same_start(source: Source) -> None:
    for number in range(3):
        source.put("Left", number, **{"PVCAM-FrameNr": str(number + 1)})
        source.put("Right", number)

    assert taken(reader_of(source), source) == same(range(3))


def test_a_frame_whose_number_falls_is_left_out_and_shifts_nothing(source: Source) -> None:
    for left, right in ((0, 0), (1, 1), (2, 1), (3, 2), (4, 3), (4, 4), (5, 5)):
        source.put("Left", left)
        source.put("Right", right)

    assert taken(reader_of(source), source) == same(range(6))


def test_eight_bit_pixels_become_sixteen_with_the_same_values() -> None:
    sets = FrameSets(2, SHAPE)
    sets.put(0, 0, np.full(SHAPE, 200, np.uint8))

    whole = sets.put(1, 0, np.full(SHAPE, 7, np.uint8))

    assert whole is not None
    assert whole.pixels.dtype == np.uint16
    assert whole.pixels[0].tolist() == [200] * 6 + [7] * 6


def test_memory_of_frames_is_used_again() -> None:
    sets = FrameSets(2, SHAPE)
    part, seen = np.zeros(SHAPE, np.uint16), set()
    for number in range(50):
        sets.put(0, number, part)
        if number % 7:
            whole = sets.put(1, number, part)
            seen.add(id(whole.pixels) if whole else 0)

    assert len(seen) <= 3


def test_a_camera_that_is_silent_is_named_with_the_numbers_of_both(source: Source) -> None:
    source.put("Right", 0)
    for number in range(60):
        source.put("Left", number)
    reader = reader_of(source, most_waiting=50)

    assert taken(reader, source) == same([0])

    assert reader.is_full
    assert "Left gave frames 0 to 59, Right gave frames 0 to 0" in reader.why_silent(2.0)


def test_a_part_of_another_size_ends_the_run_and_what_waits_is_booked(source: Source) -> None:
    for number in range(4):
        source.put("Left", number)
        source.put("Right", number, shape=SHAPE if number < 2 else (4, 5))
    reader = reader_of(source)

    with pytest.raises(FrameMismatchError, match="frame 2 of camera Right") as error:
        taken(reader, source)

    assert error.value.numbers == (2,)
    assert reader.waiting_numbers() == [3]


def test_a_frame_of_a_camera_that_is_not_named_is_an_error_that_says_so(source: Source) -> None:
    source.frames.append((np.zeros(SHAPE, np.uint16), {"Camera": "Third"}.get))

    with pytest.raises(DeviceError, match=r"from camera 'Third', not from Left or Right"):
        reader_of(source).take()


@pytest.mark.parametrize(("apart_ms", "n_warnings"), [(3.0, 0), (6.0, 1), (200.0, 1)])
def test_parts_more_than_half_a_frame_apart_are_warned_of_once(
    caplog: pytest.LogCaptureFixture, apart_ms: float, n_warnings: int
) -> None:
    apart = TimesApart(LABELS)
    for number in range(300):
        apart.add((int(number * 10e6), int((number * 10 + apart_ms) * 1e6)))

    assert len(caplog.records) == n_warnings
