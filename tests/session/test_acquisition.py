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
        self.before: Callable[[int], object] = lambda index: None

    def stream(self, stop: threading.Event, n_frames: int | None = None) -> Iterator[CameraFrame]:
        try:
            for index in self.indices[:n_frames]:
                if stop.is_set():
                    return
                self.before(index)
                pixels = np.full(self.shape_of.get(index, SHAPE), index, np.uint16)
                yield CameraFrame(pixels, index, index * 10)
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
        settings: dict[str, Any] = {"n_frames": None, "wait_for_ring": False, **options}
        self.acquisition = Acquisition(
            camera,  # type: ignore[arg-type]
            self.ring,
            self.ledger,
            recorder=self.recorder,  # type: ignore[arg-type]
            analysis_is_gone=self.analysis_is_gone,
            on_end=self.ends.append,
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


def test_a_number_that_does_not_rise_ends_the_run_with_a_sentence() -> None:
    run = Run(ListedCamera([0, 1, 1, 2]))

    run.to_the_end()

    [error] = run.ends
    assert isinstance(error, DeviceError)
    assert "listed numbered a frame 1 after 1" in str(error)
    assert run.ledger.totals().received == 2


def test_a_frame_of_another_shape_ends_the_run_and_is_not_booked() -> None:
    camera = ListedCamera([0, 1, 2])
    camera.shape_of[1] = (4, 5)
    run = Run(camera)

    run.to_the_end()

    assert isinstance(run.ends[0], FrameMismatchError)
    assert run.ledger.totals().received == 1
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
