"""The way of the frames: started from its far end, drained from its near one, whatever fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from rtsmlm.errors import PipelineError, RecordingError, WorkerError
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.report import RunReport
from rtsmlm.frames import CameraFrame
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.progress import PipelineProgress
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.session import frame_path as frame_path_module
from rtsmlm.session.frame_path import FramePath
from rtsmlm.session.notices import Notices
from rtsmlm.settings.run import RunSettings

WAIT_S = 20.0


class FakeSupervisor:
    """Notes what is asked of it; the ring is emptied by `finish` alone."""

    def __init__(
        self,
        job: PipelineJob,
        ring: FrameRing,
        ledger: Ledger,
        warn: Callable[[str], None],
        **callbacks: Callable[..., None],
    ) -> None:
        self.job, self.ring, self.ledger, self.warn = job, ring, ledger, warn
        self.callbacks = callbacks
        self.gave_up = threading.Event()
        self.progress = PipelineProgress()
        self.pid = 4711
        self.published: list[Mapping[str, Any]] = []
        self.fault: Exception | None = None
        self.steps: list[str] = []

    def start(self) -> None:
        self.steps.append("start")

    def wait_ready(self, stop: threading.Event) -> None:
        self.steps.append("wait")
        if self.fault is not None:
            raise self.fault

    def publish(self, status: Mapping[str, Any]) -> None:
        self.published.append(status)

    def finish(self, timeout_s: float) -> None:
        self.steps.append("finish" if self.ring.input_closed else "finish with open input")
        if self.fault is not None:
            raise self.fault
        n = self.ring.backlog
        self.ledger.release(n)
        self.ring.release(n)


class FakeRecorder:
    """A recorder that keeps nothing."""

    def __init__(self, steps: list[str]) -> None:
        self.steps = steps
        self.n_written = self.backlog = 0
        self.stuck = False

    def push(self, frame: CameraFrame, give_up: threading.Event) -> None:
        if self.stuck:
            give_up.wait(WAIT_S)
        else:
            self.n_written += 1

    def close(self) -> None:
        self.steps.append("close recorder")


class Rig:
    """A frame path between a camera of the tests and an analysis that is none."""

    def __init__(self, camera: Any, settings: RunSettings, patch: pytest.MonkeyPatch) -> None:
        self.camera, self.settings = camera, settings
        self.ledger = Ledger()
        self.folder = RunFolder.create(settings.results.out, "run")
        self.report = RunReport(self.folder.path)
        self.ends: list[BaseException | None] = []
        self.supervisors: list[FakeSupervisor] = []
        self.fault: Exception | None = None
        self.steps: list[str] = []
        self.recorder = FakeRecorder(self.steps)

        def supervise(*arguments: Any, **callbacks: Any) -> FakeSupervisor:
            fake = FakeSupervisor(*arguments, **callbacks)
            fake.fault, fake.steps = self.fault, self.steps
            self.supervisors.append(fake)
            return fake

        patch.setattr(frame_path_module, "PipelineSupervisor", supervise)
        calibration = resolve_calibration(settings.camera, camera.stated)
        notices = Notices(self.report)
        self.path = FramePath(camera, calibration, settings, self.folder, self.ledger, notices)

    def start_analysis(self) -> FakeSupervisor:
        self.path.start_analysis(
            threading.Event(), on_density=lambda estimate, rows: None, on_lost=lambda why: None
        )
        return self.supervisors[-1]

    def start_recording(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(frame_path_module, "start_recording", lambda *a, **k: self.recorder)
        self.path.start_recording("mW")

    def start_camera(self) -> None:
        self.path.start_camera(power=None, on_end=self.ends.append)


Make = Callable[..., Rig]


@pytest.fixture
def make_rig(
    spot_camera: Callable[..., Any],
    quick_settings: Callable[..., RunSettings],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Make]:
    made: list[Rig] = []

    def make(*overrides: str, camera: Any = None) -> Rig:
        made.append(Rig(camera or spot_camera(), quick_settings(*overrides), monkeypatch))
        return made[-1]

    yield make
    for rig in made:
        rig.path.close()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_before_it_is_started_it_answers_and_can_be_ended(make_rig: Make) -> None:
    path = make_rig().path

    path.publish({"n": 1})
    path.stop()
    path.drain()
    path.close()

    assert path.progress == PipelineProgress()
    assert (path.analysis_pid, path.recording, path.n_recorded) == (None, False, 0)
    assert (path.backlog, path.recorder_backlog) == (0, 0)


def test_the_camera_cannot_be_started_before_what_takes_its_frames(make_rig: Make) -> None:
    with pytest.raises(RuntimeError, match="before the analysis"):
        make_rig().start_camera()


def test_all_frames_of_a_camera_pass_and_the_parts_end_in_the_order_of_the_frames(
    make_rig: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig("acquisition.frames=30")
    rig.start_analysis()
    rig.start_recording(monkeypatch)
    rig.start_camera()
    until(lambda: rig.ends)

    rig.path.drain()

    assert rig.steps == ["start", "wait", "finish", "close recorder"]
    assert rig.ends == [None]
    totals = rig.ledger.totals()
    assert (totals.received, totals.localized, totals.in_ring) == (30, 30, 0)
    assert (rig.path.recording, rig.path.n_recorded) == (True, 30)
    assert rig.report.failures == []


def test_draining_ends_a_camera_that_would_go_on(make_rig: Make) -> None:
    rig = make_rig("pipeline.when_behind=skip")
    rig.start_analysis()
    rig.start_camera()
    until(lambda: rig.ledger.totals().received)

    rig.path.drain()

    assert rig.ends == [None]
    assert rig.ledger.totals().balances


def test_an_analysis_that_does_not_come_up_is_the_error_of_the_start(make_rig: Make) -> None:
    rig = make_rig()
    rig.fault = PipelineError("the analysis does not start: no such network")

    with pytest.raises(PipelineError, match="no such network"):
        rig.start_analysis()


def test_a_step_that_fails_is_noted_and_the_next_is_done(
    make_rig: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig("acquisition.frames=3")
    supervisor = rig.start_analysis()
    rig.start_recording(monkeypatch)
    rig.start_camera()
    supervisor.fault = WorkerError("the supervise thread did not end within 10 s")

    rig.path.drain()

    assert rig.report.failures == ["the supervise thread did not end within 10 s"]
    assert rig.steps[-1] == "close recorder"


def test_an_analysis_that_was_given_up_is_a_failure_with_its_reason(make_rig: Make) -> None:
    rig = make_rig("acquisition.frames=3")
    supervisor = rig.start_analysis()
    rig.start_camera()
    supervisor.progress.death = "no space left on the disk"
    supervisor.gave_up.set()

    rig.path.drain()

    assert rig.report.failures == ["the analysis was given up: no space left on the disk"]


def test_frames_that_wait_for_a_full_ring_are_freed_when_the_analysis_is_given_up(
    make_rig: Make,
) -> None:
    rig = make_rig("acquisition.frames=300", "pipeline.ring_mb=0.1", "pipeline.when_behind=wait")
    supervisor = rig.start_analysis()
    rig.start_camera()
    until(lambda: supervisor.ring.full)
    assert rig.ends == []

    supervisor.gave_up.set()
    until(lambda: rig.ends)

    rig.path.drain()
    totals = rig.ledger.totals()
    assert totals.received == 300
    assert totals.skipped == 300 - supervisor.ring.capacity


def test_a_disk_that_hangs_holds_up_the_end_for_a_limited_time(
    make_rig: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_path_module, "_CAMERA_STOP_S", 0.2)
    rig = make_rig()
    rig.start_analysis()
    rig.recorder.stuck = True
    rig.start_recording(monkeypatch)
    rig.start_camera()
    until(lambda: rig.ledger.totals().received)

    rig.path.drain()

    assert rig.ends == [None]
    assert rig.report.failures == []
    assert rig.steps[-1] == "close recorder"


def test_a_camera_that_hangs_is_named_and_the_frames_before_are_drained(
    make_rig: Make, monkeypatch: pytest.MonkeyPatch, spot_camera: Callable[..., Any]
) -> None:
    monkeypatch.setattr(frame_path_module, "_CAMERA_STOP_S", 0.05)
    release = threading.Event()

    class HangingCamera(spot_camera):  # type: ignore[misc]
        def stream(self, stop: threading.Event, n_frames: int | None = None) -> Any:
            yield from super().stream(threading.Event(), 5)
            release.wait(WAIT_S)

    rig = make_rig(camera=HangingCamera())
    rig.start_analysis()
    rig.start_camera()
    until(lambda: rig.ledger.totals().received == 5)

    rig.path.drain()
    release.set()
    until(lambda: rig.ends)

    [failure] = rig.report.failures
    assert "the acquire thread did not end within 0.05 s" in failure
    assert rig.ledger.totals().localized == 5


def test_a_broken_camera_is_reported_by_its_own_error_alone(
    make_rig: Make, spot_camera: Callable[..., Any]
) -> None:
    fault = OSError("the cable is loose")
    rig = make_rig(camera=spot_camera(fault_at=4, fault=fault))
    rig.start_analysis()
    rig.start_camera()
    until(lambda: rig.ends)

    rig.path.drain()

    assert rig.ends == [fault]
    assert rig.report.failures == []  # `on_end` is the one who states it
    assert rig.ledger.totals().localized == 4


def test_the_state_of_the_run_goes_out_through_the_analysis(make_rig: Make) -> None:
    rig = make_rig()
    supervisor = rig.start_analysis()
    supervisor.progress.localizations = 12

    rig.path.publish({"n": 1})

    assert supervisor.published == [{"n": 1}]
    assert rig.path.progress is supervisor.progress
    assert rig.path.analysis_pid == 4711


@pytest.mark.parametrize("shared", [False, True])
def test_the_ring_has_a_name_where_another_process_reads_it(make_rig: Make, shared: bool) -> None:
    rig = make_rig(f"pipeline.process={str(shared).lower()}")

    job = rig.start_analysis().job

    assert bool(job.ring) is shared
    assert job.folder == rig.folder.path


def test_a_disk_that_has_only_the_reserve_left_is_refused_for_an_endless_run_too(
    make_rig: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig("record.reserve_mb=50")
    monkeypatch.setattr("rtsmlm.session.recording.free_mb", lambda path: 50.0)

    with pytest.raises(RecordingError, match=r"50 MB are kept free .*\(record.reserve_mb\)"):
        rig.path.start_recording("mW")


def test_a_disk_that_is_too_small_is_said_before_the_first_frame(
    make_rig: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig("acquisition.frames=1000000")
    monkeypatch.setattr("rtsmlm.session.recording.free_mb", lambda path: 10.0)

    with pytest.raises(RecordingError, match=r"1000000 frames need \d+ MB .* has 10 MB free"):
        rig.path.start_recording("mW")

    assert not rig.path.recording
