"""Python cameras of a UniMMCore: good ones, and those that stall, change, fail or miscount."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Event
from typing import Any

import numpy as np
import pytest
from pymmcore_plus.experimental.unicore import CameraDevice, UniMMCore

from rtsmlm.drivers.micromanager.camera import MicroManagerCamera
from rtsmlm.drivers.micromanager.core import release_core
from rtsmlm.errors import CameraStalledError, DeviceError, FrameMismatchError, RtsmlmError
from rtsmlm.frames import CameraFrame
from rtsmlm.realtime.clock import now_ns
from rtsmlm.settings.camera import AcquisitionSettings, MicroManagerSettings

GetBuffer = Callable[[Sequence[int], Any], np.ndarray]


class NumberedCamera(CameraDevice):
    """Writes the number of a frame into each of its rows; `before` may change or break it."""

    def __init__(self, shape: tuple[int, int] = (32, 48), period_s: float = 0.001) -> None:
        super().__init__()
        self.size = shape
        self.period_s = period_s
        self.kind: Any = np.uint16
        self.tags: Callable[[int], dict[str, Any]] = lambda _: {}
        self.before: Callable[[int], None] = lambda _: None

    def get_exposure(self) -> float:
        return self.period_s * 1000

    def set_exposure(self, exposure: float) -> None:
        self.period_s = exposure / 1000

    def shape(self) -> tuple[int, int]:
        return self.size

    def dtype(self) -> Any:
        return self.kind

    def start_sequence(self, n: int | None, get_buffer: GetBuffer) -> Iterator[Mapping[str, Any]]:
        for number in range(n or 2**31):
            time.sleep(self.period_s)
            self.before(number)
            frame = get_buffer(self.size, self.kind)
            for row in frame:
                row[:] = number
            yield self.tags(number)


@pytest.fixture
def numbered() -> NumberedCamera:
    return NumberedCamera()


@pytest.fixture
def python_core(numbered: NumberedCamera) -> Iterator[UniMMCore]:
    core = UniMMCore()
    core.loadPyDevice("Cam", numbered)
    core.initializeDevice("Cam")
    core.setCameraDevice("Cam")
    yield core
    core.stopSequenceAcquisition("Cam")
    release_core(core)


def opened(core: UniMMCore, stall_timeout_s: float = 10.0, **settings: Any) -> MicroManagerCamera:
    settings.setdefault("circular_buffer_mb", 16)
    return MicroManagerCamera(
        core,
        settings=MicroManagerSettings(**settings),
        acquisition=AcquisitionSettings(stall_timeout_s=stall_timeout_s),
    )


def run_out(
    stream: Iterator[CameraFrame], each: Callable[[CameraFrame], Any] = lambda _: None
) -> tuple[list[int], RtsmlmError | None]:
    """Return the numbers of all frames, and the error in which the stream ended."""
    index: list[int] = []
    try:
        for frame in stream:
            index.append(frame.index)
            each(frame)
    except RtsmlmError as error:
        return index, error
    return index, None


def test_a_python_camera_streams_what_it_wrote(python_core: UniMMCore) -> None:
    camera = opened(python_core)

    for frame in camera.stream(Event(), 200):
        assert frame.pixels.shape == (32, 48)
        assert np.all(frame.pixels == frame.index)

    assert not python_core.isSequenceRunning("Cam")


def test_a_camera_that_falls_silent_is_reported(
    python_core: UniMMCore, numbered: NumberedCamera
) -> None:
    resume = Event()

    def hang(number: int) -> None:
        if number == 7:
            resume.wait(10)

    numbered.before = hang
    stream = iter(opened(python_core, stall_timeout_s=0.3).stream(Event()))
    assert [next(stream).index for _ in range(7)] == list(range(7))
    silent_from = time.monotonic()

    with pytest.raises(CameraStalledError, match=r"no frame for 0.3 s after frame 6"):
        next(stream)
    resume.set()

    # Two seconds more: the core waits so long for a Python camera to end its sequence.
    assert 0.25 < time.monotonic() - silent_from < 5.0


def test_silence_shorter_than_ten_exposures_is_no_stall(
    python_core: UniMMCore, numbered: NumberedCamera
) -> None:
    numbered.period_s = 0.1
    camera = opened(python_core, stall_timeout_s=0.05)

    assert [frame.index for frame in camera.stream(Event(), 3)] == [0, 1, 2]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_camera_that_fails_ends_the_stream_after_its_last_frame(
    python_core: UniMMCore, numbered: NumberedCamera
) -> None:
    def fail(number: int) -> None:
        if number == 4:
            raise OSError("cable")

    numbered.before = fail

    index, error = run_out(opened(python_core).stream(Event()))

    assert index == [0, 1, 2, 3]
    assert isinstance(error, CameraStalledError)
    assert "ended by itself after frame 3" in str(error)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"size": (32, 40)}, r"frame 5 .*\(32, 40\)"), ({"kind": np.uint8}, "frame 5 .*uint8")],
)
def test_a_frame_of_another_shape_or_type_is_an_error_with_its_number(
    python_core: UniMMCore, numbered: NumberedCamera, change: dict[str, Any], message: str
) -> None:
    def turn(number: int) -> None:
        if number == 5:
            vars(numbered).update(change)

    numbered.before = turn

    taken: list[int] = []

    with pytest.raises(FrameMismatchError, match=message) as raised:
        taken.extend(frame.index for frame in opened(python_core).stream(Event(), 50))

    assert not python_core.isSequenceRunning("Cam")
    numbers = [*taken, *raised.value.numbers]
    assert len(raised.value.numbers) >= 1
    assert numbers == list(range(len(numbers))), "every frame that was delivered is in the books"


def test_signed_pixels_are_refused(python_core: UniMMCore, numbered: NumberedCamera) -> None:
    numbered.kind = np.int16

    with pytest.raises(DeviceError, match="int16 pixels; only uint8 and uint16"):
        list(opened(python_core).stream(Event(), 5))


def test_gaps_in_the_numbers_of_the_camera_are_kept(
    python_core: UniMMCore, numbered: NumberedCamera
) -> None:
    numbered.tags = lambda number: {"PVCAM-FrameNr": 101 + number + (number > 3) * 10}

    index = [frame.index for frame in opened(python_core).stream(Event(), 6)]

    assert index == [0, 1, 2, 3, 14, 15]


def test_numbers_that_repeat_are_passed_on_to_be_accounted_for(
    python_core: UniMMCore, numbered: NumberedCamera
) -> None:
    numbered.tags = lambda number: {"Stamp": min(number, 2)}

    camera = opened(python_core, frame_number_tag="Stamp")

    assert [frame.index for frame in camera.stream(Event(), 6)] == [0, 1, 2, 2, 2, 2]


def test_the_exposure_end_that_a_camera_states_is_taken(
    python_core: UniMMCore, numbered: NumberedCamera
) -> None:
    stated: list[int] = []

    def tags(_: int) -> dict[str, Any]:
        stated.append(now_ns())
        return {"rtsmlm-ExposureEnd-ns": stated[-1]}

    numbered.tags = tags

    ends = [frame.t_exposure_end_ns for frame in opened(python_core).stream(Event(), 20)]

    assert ends == stated[:20]


def test_a_host_with_a_python_camera_keeps_its_sequence(python_core: UniMMCore) -> None:
    python_core.startContinuousSequenceAcquisition(0)
    camera = opened(python_core)

    index = [frame.index for frame in camera.stream(Event(), 20)]
    camera.close()

    assert index == list(range(20))
    assert python_core.isSequenceRunning("Cam")
    assert "Cam" in python_core.getLoadedDevices()
