"""The camera thread: every frame is booked once, and nothing but a broken camera ends it early."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rtsmlm.errors import DeviceError, FrameMismatchError
from rtsmlm.frames import CameraFrame
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.session.acquisition import Acquisition

WAIT_S = 20.0
SHAPE = (4, 6)


class ListedCamera:
    """A camera that delivers the frames of a list, and notes when its stream is closed."""

    name = "listed"
    exposure_ms = 1.0
    shape = SHAPE

    def __init__(self, indices: list[int], *, fault: BaseException | None = None) -> None:
        self.indices = indices
        self.fault = fault
        self.shape_of: dict[int, tuple[int, int]] = {}
        self.stream_closed = False
        self.heeds_stop = True
        self.before: Callable[[int], object] = lambda index: None

    def stream(self, stop: threading.Event, n_frames: int | None = None) -> Iterator[CameraFrame]:
        try:
            for index in self.indices[:n_frames]:
                if stop.is_set() and self.heeds_stop:
                    return
                self.before(index)
                pixels = np.full(self.shape_of.get(index, SHAPE), index % 1000, np.uint16)
                yield CameraFrame(pixels, index, index % 1000 * 10)
            if self.fault is not None:
                raise self.fault
        finally:
            self.stream_closed = True


class Recorder:
    """Takes frames, or waits until it is given up."""

    def __init__(self) -> None:
        self.frames: list[CameraFrame] = []
        self.full = False

    def push(self, frame: CameraFrame, give_up: threading.Event) -> None:
        if self.full:
            give_up.wait(WAIT_S)
            return
        self.frames.append(frame)


class Run:
    """An acquisition and what is around it."""

    def __init__(self, camera: ListedCamera, *, capacity: int = 64, **options: Any) -> None:
        self.ring = FrameRing.create(SHAPE, capacity, shared=False)
        self.ledger = Ledger()
        self.ends: list[BaseException | None] = []
        self.analysis_is_gone = threading.Event()
        self.recorder = Recorder()
        self.warnings: list[str] = []
        settings: dict[str, Any] = {"n_frames": None, "wait_for_ring": False, **options}
        self.acquisition = Acquisition(
            camera,  # type: ignore[arg-type]
            self.ring,
            self.ledger,
            recorder=self.recorder,  # type: ignore[arg-type]
            analysis_is_gone=self.analysis_is_gone,
            on_end=self.ends.append,
            warn=self.warnings.append,
            **settings,
        )

    def to_the_end(self) -> None:
        self.acquisition.worker.start()
        self.acquisition.worker.join(WAIT_S)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_every_frame_reaches_ring_and_recorder_unchanged_and_in_order() -> None:
    run = Run(camera := ListedCamera(list(range(20))))

    run.to_the_end()

    batch = run.ring.peek(64)
    assert batch is not None
    assert batch.index.tolist() == list(range(20))
    assert batch.pixels[:, 0, 0].tolist() == list(range(20))
    assert batch.t_exposure_end_ns.tolist() == [10 * k for k in range(20)]
    assert [frame.index for frame in run.recorder.frames] == list(range(20))
    assert run.ends == [None]
    assert run.ring.input_closed
    assert camera.stream_closed


def test_a_gap_in_the_numbers_is_booked_as_lost() -> None:
    run = Run(ListedCamera([0, 1, 5, 6]))

    run.to_the_end()

    totals = run.ledger.totals()
    assert (totals.camera, totals.received, totals.lost) == (7, 4, 3)
    assert totals.balances


@pytest.mark.parametrize("numbers", [[0, 1, 1, 2], [5, 6, 7, 0, 1, 2], [0, 0, 0, 0]])
def test_frames_whose_numbers_repeat_or_fall_are_kept_and_numbered_on_and_named_once(
    numbers: list[int],
) -> None:
    run = Run(ListedCamera(numbers))

    run.to_the_end()

    indices = [frame.index for frame in run.recorder.frames]
    assert run.ends == [None]
    assert [int(frame.pixels[0, 0]) for frame in run.recorder.frames] == numbers
    assert indices == list(range(numbers[0], numbers[0] + len(numbers)))
    [warning] = run.warnings
    assert "repeat or fall" in warning
    assert run.ledger.totals().received == len(numbers)
    assert run.ledger.totals().balances


@pytest.mark.parametrize("glitch", [3_000_000_000, 2**31 - 1, 2**62])
def test_one_corrupt_frame_number_is_named_and_costs_neither_frames_nor_memory(glitch: int) -> None:
    run = Run(ListedCamera([0, 1, 2, glitch, 4, 5]))

    run.to_the_end()

    assert [frame.index for frame in run.recorder.frames] == [0, 1, 2, 3, 4, 5]
    totals = run.ledger.totals()
    assert (totals.camera, totals.received, totals.lost) == (6, 6, 0)
    assert run.ledger.as_dict()["renumbered"] == 1
    [warning] = run.warnings
    assert f"numbered a frame {glitch} after 2" in warning


def test_a_frame_of_another_shape_ends_the_run_and_it_and_all_later_ones_are_booked() -> None:
    camera = ListedCamera([0, 1, 2, 3])
    camera.shape_of = {1: (4, 5), 3: (2, 2)}
    camera.heeds_stop = False
    run = Run(camera)

    run.to_the_end()

    [error] = run.ends
    assert isinstance(error, FrameMismatchError)
    totals = run.ledger.totals()
    assert (totals.received, totals.other_size, totals.in_ring) == (4, 2, 2)
    assert totals.balances
    assert [frame.index for frame in run.recorder.frames] == [0, 2]
    assert "2 received but of another size" in run.ledger.verdict(recording=False)
    assert camera.stream_closed


def test_frames_that_a_driver_refuses_for_their_size_are_booked() -> None:
    fault = FrameMismatchError("frame 3 is 4 x 5", (3, 4, 6))
    run = Run(ListedCamera([0, 1, 2], fault=fault))

    run.to_the_end()

    assert run.ends == [fault]
    totals = run.ledger.totals()
    assert (totals.received, totals.other_size, totals.lost) == (6, 3, 1)
    assert totals.balances


def test_a_camera_that_never_ends_after_a_frame_of_another_size_is_left_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rtsmlm.session.acquisition._LAST_FRAMES_NS", 0)
    camera = ListedCamera(list(range(50)))
    camera.shape_of = dict.fromkeys(range(1, 50), (4, 5))
    camera.heeds_stop = False
    run = Run(camera)

    run.to_the_end()

    assert run.ledger.totals().received < 50
    assert camera.stream_closed


def test_the_error_of_a_camera_is_reported_once() -> None:
    fault = DeviceError("the cable is loose")
    run = Run(ListedCamera([0, 1, 2], fault=fault))

    run.to_the_end()  # does not raise: it has been reported

    assert run.ends == [fault]
    assert run.ring.input_closed
    assert run.ledger.totals().received == 3


def test_an_end_that_cannot_be_reported_is_reported_as_an_error() -> None:
    run = Run(ListedCamera([0]))
    ends: list[BaseException | None] = []

    def report(error: BaseException | None) -> None:
        ends.append(error)
        if error is None:
            raise RuntimeError("no report")

    run.acquisition._on_end = report
    run.acquisition.worker._on_death = report
    run.to_the_end()

    assert ends[0] is None
    assert str(ends[1]) == "no report"


def test_a_full_ring_costs_the_analysis_frames_and_the_recorder_none() -> None:
    run = Run(ListedCamera(list(range(10))), capacity=4)

    run.to_the_end()

    totals = run.ledger.totals()
    assert (totals.received, totals.in_ring, totals.skipped) == (10, 4, 6)
    assert run.ledger.skipped().as_list() == [[4, 9]]
    assert [frame.index for frame in run.recorder.frames] == list(range(10))


def test_a_source_that_can_wait_is_held_back_until_the_ring_has_room() -> None:
    run = Run(ListedCamera(list(range(10))), capacity=4, wait_for_ring=True)
    run.acquisition.worker.start()
    seen: list[int] = []

    def take() -> bool:
        batch = run.ring.peek(1)
        if batch is not None:
            seen.extend(batch.index.tolist())
            run.ring.release(1)
        return len(seen) == 10

    until(take)
    run.acquisition.worker.join(WAIT_S)

    assert seen == list(range(10))
    assert run.ledger.totals().skipped == 0


def test_a_dead_analysis_is_not_waited_for() -> None:
    run = Run(ListedCamera(list(range(10))), capacity=4, wait_for_ring=True)
    run.acquisition.worker.start()
    until(lambda: run.ring.full)
    assert run.acquisition.worker.alive

    run.analysis_is_gone.set()
    run.acquisition.worker.join(WAIT_S)

    assert run.ledger.skipped().as_list() == [[4, 9]]
    assert len(run.recorder.frames) == 10
    assert run.ends == [None]


def test_a_disk_that_takes_nothing_is_waited_for_until_the_owner_gives_it_up() -> None:
    run = Run(ListedCamera(list(range(3))))
    run.recorder.full = True
    run.acquisition.worker.start()
    until(lambda: run.ledger.totals().received == 1)
    assert not run.acquisition.worker.wait(0.02)

    run.acquisition.recorder_is_stuck.set()
    run.acquisition.worker.join(WAIT_S)

    assert run.ledger.totals().received == 3
    assert run.recorder.frames == []


def test_stop_ends_it_between_two_frames_and_after_so_many_it_ends_itself() -> None:
    camera = ListedCamera(list(range(100)))
    run = Run(camera)
    camera.before = lambda index: run.acquisition.worker.stop() if index == 6 else None
    run.to_the_end()
    assert run.ledger.totals().received == 7

    run = Run(ListedCamera(list(range(100))), n_frames=5)
    run.to_the_end()
    assert run.ledger.totals().received == 5
    assert run.ends == [None]


def test_every_frame_carries_the_power_that_was_in_force() -> None:
    powers = iter([0.0, 1.5, 2.5])
    run = Run(ListedCamera([0, 1, 2]), power=lambda: next(powers))

    run.to_the_end()

    batch = run.ring.peek(3)
    assert batch is not None
    assert batch.activation_power.tolist() == [0.0, 1.5, 2.5]
    assert [frame.activation_power for frame in run.recorder.frames] == [0.0, 1.5, 2.5]


def test_without_a_laser_the_power_is_not_known() -> None:
    run = Run(ListedCamera([0]))

    run.to_the_end()

    batch = run.ring.peek(1)
    assert batch is not None
    assert np.isnan(batch.activation_power).all()


@pytest.mark.parametrize("camera_error", [None, DeviceError("gone")])
def test_the_last_frames_are_in_the_ring_before_the_end_is_reported(
    camera_error: DeviceError | None,
) -> None:
    run = Run(ListedCamera([0, 1], fault=camera_error))
    seen: list[tuple[int, bool]] = []

    def report(error: BaseException | None) -> None:
        seen.append((run.ring.backlog, run.ring.input_closed))

    run.acquisition._on_end = run.acquisition.worker._on_death = report
    run.to_the_end()

    assert seen == [(2, True)]
