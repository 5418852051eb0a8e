"""Frames out of the sequence buffer: none torn, none mislabelled; their numbers and times."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import numpy as np
import pytest
from pymmcore_plus.experimental.unicore import CameraDevice, UniMMCore

from rtsmlm.drivers.micromanager.camera import MicroManagerCamera
from rtsmlm.drivers.micromanager.core import release_core
from rtsmlm.drivers.micromanager.frame_sources import CoreFrames
from rtsmlm.drivers.micromanager.frame_tags import ExposureClock, FrameNumbers
from rtsmlm.errors import CameraOverflowError, DeviceError
from rtsmlm.settings.camera import MicroManagerSettings

SHAPE = (97, 101)
FRAME_BYTES = 97 * 101 * 2
START = datetime(2026, 3, 29, 1, 59, 59)  # noqa: DTZ001 - the core writes no zone either


class RestlessCamera(CameraDevice):
    """As fast as it can; each row holds the frame number, so that a torn frame shows."""

    pause_s = 0.0

    def get_exposure(self) -> float:
        return 1.0

    def set_exposure(self, exposure: float) -> None: ...

    def shape(self) -> tuple[int, int]:
        return SHAPE

    def dtype(self) -> Any:
        return np.uint16

    def start_sequence(self, n: int | None, get_buffer: Any) -> Iterator[Mapping[str, Any]]:
        for number in range(n or 2**31):
            if self.pause_s:
                time.sleep(self.pause_s)
            frame = get_buffer(SHAPE, np.uint16)
            for row in frame:
                row[:] = number % 65536
            yield {}


@pytest.fixture
def restless() -> RestlessCamera:
    return RestlessCamera()


@pytest.fixture
def core(restless: RestlessCamera) -> Iterator[UniMMCore]:
    core = UniMMCore()
    core.loadPyDevice("Cam", restless)
    core.initializeDevice("Cam")
    core.setCameraDevice("Cam")
    yield core
    core.stopSequenceAcquisition("Cam")
    release_core(core)


def small(core: UniMMCore) -> MicroManagerCamera:
    return MicroManagerCamera(core, settings=MicroManagerSettings(circular_buffer_mb=1))


@pytest.mark.parametrize("seed", range(4))
def test_a_slow_reader_gets_whole_frames_in_order_and_then_the_overflow(
    core: UniMMCore, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    index: list[int] = []
    error = None

    try:
        for frame in small(core).stream(Event()):
            assert np.all(frame.pixels == frame.index)
            index.append(frame.index)
            time.sleep(rng.choice([0.0, 0.001, 0.003]))
    except CameraOverflowError as raised:
        error = raised

    assert error is not None
    assert index == list(range(len(index)))
    assert len(index) >= 2 * 2**20 // FRAME_BYTES  # no frame that had room was refused


def test_many_rounds_of_the_pool_lose_and_tear_nothing(
    core: UniMMCore, restless: RestlessCamera
) -> None:
    restless.pause_s = 1e-4
    rounds, in_pool = 20, 2 * 2**20 // FRAME_BYTES

    index = []
    for frame in small(core).stream(Event(), rounds * in_pool):
        assert np.all(frame.pixels == frame.index)
        index.append(frame.index)
        # Always some frames behind, so that the pool ends while frames wait in it.
        while core.getRemainingImageCount() < 5 and core.isSequenceRunning("Cam"):
            time.sleep(1e-4)

    assert index == list(range(rounds * in_pool))


def test_the_pool_holds_whole_frames_only(core: UniMMCore) -> None:
    list(small(core).stream(Event(), 1))

    assert core.getBufferFreeCapacity() <= core.getBufferTotalCapacity()
    assert core._seq_buffer.size_bytes % FRAME_BYTES == 0


@pytest.mark.parametrize("seed", range(4))
def test_where_the_host_overwrites_frames_are_whole_and_the_gap_shows(
    core: UniMMCore, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    core.setCircularBufferMemoryFootprint(1)  # not a whole number of frames
    core.startContinuousSequenceAcquisition(0)

    numbers = []
    for frame in small(core).stream(Event(), 300):
        pixels = frame.pixels
        assert np.all(pixels == pixels[0, 0])
        numbers.append((frame.index, int(pixels[0, 0])))
        time.sleep(rng.choice([0.0, 0.002]))

    index, written = np.array(numbers).T
    # None carries another's number; a fast camera counts beyond what 16 bits of a pixel hold.
    assert np.all((written - written[0]) % 65536 == index % 65536)
    assert index[-1] > 300  # some were overwritten, and that shows


def test_the_public_way_reads_the_same_frames(core: UniMMCore, restless: RestlessCamera) -> None:
    restless.pause_s = 1e-3
    source = CoreFrames(core, python_camera=True, keep_newest=False)
    core.startSequenceAcquisition("Cam", 40, 0, True)

    for number in range(40):
        while not source.waiting():
            time.sleep(1e-3)
        popped = source.pop()
        assert popped is not None
        pixels, tags = popped
        assert np.all(pixels == number)
        assert tags("ImageNumber") == str(number)
        assert tags("Nothing") is None
    assert source.pop() is None


def test_numbers_are_found_behind_the_label_of_the_camera() -> None:
    numbers = FrameNumbers("Zyla", "Stamp")

    assert numbers.next({"Zyla-Stamp": "7"}.get) == 0
    assert numbers.next({"Zyla-Stamp": "9"}.get) == 2


def test_the_camera_counts_before_the_core_does() -> None:
    numbers = FrameNumbers("Cam")

    assert numbers.next({"ImageNumber": "0", "PVCAM-FrameNr": "1"}.get) == 0
    assert numbers.next({"ImageNumber": "1", "PVCAM-FrameNr": "3"}.get) == 2


@pytest.mark.parametrize(
    "stated",
    [
        [65533, 65534, 65535, 0, 1, 3],
        [32765, 32766, 32767, -32768, -32767, -32765],
        [2**32 - 3, 2**32 - 2, 2**32 - 1, 0, 1, 3],
        [2**31 - 3, 2**31 - 2, 2**31 - 1, -(2**31), 1 - 2**31, 3 - 2**31],
    ],
)
def test_a_counter_of_16_or_32_bits_that_wraps_is_continued_with_its_losses(
    stated: list[int],
) -> None:
    numbers = FrameNumbers("Cam")

    assert [numbers.next({"ImageNumber": str(n)}.get) for n in stated] == [0, 1, 2, 3, 4, 6]


def test_a_counter_wraps_as_often_as_it_likes() -> None:
    numbers = FrameNumbers("Cam")

    given = [numbers.next({"ImageNumber": str(n % 65536)}.get) for n in range(7, 200_000, 3)]

    assert given == list(range(0, 200_000 - 7, 3))


def test_numbers_that_fall_are_passed_on_to_be_accounted_for() -> None:
    numbers = FrameNumbers("Cam")

    assert [numbers.next({"ImageNumber": n}.get) for n in ("5", "6", "6", "4")] == [0, 1, 1, -1]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"ImageNumber": "x"}, "'x' as frame number after 0"),
        ({}, "None as frame number after 0"),
    ],
)
def test_numbers_that_are_none_are_errors(second: dict[str, str], message: str) -> None:
    numbers = FrameNumbers("Cam")
    numbers.next({"ImageNumber": "5"}.get)

    with pytest.raises(DeviceError, match=message):
        numbers.next(second.get)


def test_a_missing_tag_is_named() -> None:
    with pytest.raises(DeviceError, match=r"carry no tag Stamp; .*frame_number_tag"):
        FrameNumbers("Cam", "Stamp").next({"ImageNumber": "0"}.get)


class Clocks:
    """A monotonic clock and a wall clock that can be set; `lag` is what the latter is behind."""

    def __init__(self) -> None:
        self.ns = 5_000_000_000
        self.wall = START
        self.lag = timedelta(0)

    def advance(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)
        self.wall += timedelta(seconds=seconds)

    def monotonic(self) -> int:
        return self.ns

    def local(self) -> datetime:
        return self.wall - self.lag

    def received(self) -> Any:
        return {"TimeReceivedByCore": self.wall.isoformat(sep=" ")}.get


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def test_local_times_become_times_of_the_monotonic_clock(clocks: Clocks) -> None:
    exposure = ExposureClock(clocks.monotonic, clocks.local)
    ends = []
    for _ in range(100):
        clocks.advance(0.05)
        tags, at = clocks.received(), clocks.ns
        clocks.advance(0.003)
        ends.append(exposure.end_ns(tags) - at)

    assert max(map(abs, ends)) <= 1000  # the text ends with the microsecond


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 0.5, -0.5])
def test_setting_the_system_clock_turns_no_time_back_and_is_forgotten(
    clocks: Clocks, jump_s: float
) -> None:
    exposure = ExposureClock(clocks.monotonic, clocks.local)
    last, errors = 0, []
    for number in range(200):
        clocks.advance(0.01)
        if number == 100:
            clocks.wall += timedelta(seconds=jump_s)
        tags, at = clocks.received(), clocks.ns
        clocks.advance(0.001)
        end = exposure.end_ns(tags)
        assert last <= end <= clocks.ns
        last = end
        errors.append(abs(end - at))

    assert max(errors[:100]) <= 1000
    assert max(errors[110:]) <= 1000


def test_a_coarse_system_clock_averages_out(clocks: Clocks, rng: np.random.Generator) -> None:
    exposure = ExposureClock(clocks.monotonic, clocks.local)
    errors = []
    for _ in range(4000):
        clocks.advance(0.02)
        clocks.lag = timedelta(seconds=rng.uniform(0, 0.016))
        tags, at = clocks.received(), clocks.ns
        clocks.advance(0.0005)
        errors.append(exposure.end_ns(tags) - at)

    assert max(map(abs, errors)) < 16e6
    assert np.median(np.abs(errors[2000:])) < 1.5e6


def test_an_unreadable_time_is_now(clocks: Clocks) -> None:
    exposure = ExposureClock(clocks.monotonic, clocks.local)

    assert exposure.end_ns({"TimeReceivedByCore": "noon"}.get) == clocks.ns
    assert exposure.end_ns(lambda _: None) == clocks.ns


def test_a_stated_end_in_the_future_is_now(clocks: Clocks) -> None:
    exposure = ExposureClock(clocks.monotonic, clocks.local)

    assert exposure.end_ns({"rtsmlm-ExposureEnd-ns": str(clocks.ns + 10**9)}.get) == clocks.ns
