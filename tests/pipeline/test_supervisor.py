"""The supervisor: events arrive, a dead analysis is restarted, and no failure passes in silence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, get_args

import numpy as np
import pytest

from rtsmlm.errors import PipelineError, WorkerError
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.fitting.frame_counts import FrameCounts
from rtsmlm.frames import CameraFrame
from rtsmlm.pipeline import supervisor as supervisor_module
from rtsmlm.pipeline.events import (
    DensityMeasured,
    Died,
    Event,
    FramesFailed,
    Localizing,
    Progress,
    PsfMeasured,
    PublishStatus,
    Ready,
    StreamOpened,
    Warned,
)
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.start_events import (
    CameraMeasured,
    Informed,
    LocalizerInForce,
    Preparing,
)
from rtsmlm.pipeline.supervisor import PipelineSupervisor
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.settings.run import RunSettings

WAIT_S = 20.0
ESTIMATE = DensityEstimate(
    first_frame=0,
    last_frame=9,
    n_frames=10,
    t_exposure_end_ns=1,
    mean_per_um2=0.2,
    std_per_um2=0.01,
    local_per_um2=1.0,
    new_per_um2=0.1,
    unexplained=0.0,
    crowded=False,
    area_um2=50.0,
)


class FakeAnalysis:
    """An analysis that does what the test says, in place of a thread."""

    def __init__(self, job: PipelineJob, ring: FrameRing, handle: Callable[[Event], None]) -> None:
        self.job = job
        self.report = handle
        self.code: int | None = None
        self.published: list[PublishStatus] = []
        self.killed = self.closed = False
        self.fault: WorkerError | None = None

    def publish(self, status: PublishStatus) -> None:
        self.published.append(status)

    def exit_code(self) -> int | None:
        return self.code

    def kill(self) -> None:
        self.killed = True
        self.code = -9

    def close(self) -> None:
        self.closed = True
        if self.fault is not None:
            raise self.fault


class Rig:
    """A supervisor with ring and ledger, and every analysis that it has started."""

    def __init__(self, settings: RunSettings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.children: list[FakeAnalysis] = []
        self.warnings: list[str] = []
        self.lost: list[str] = []
        self.on_lost: Callable[[str], None] = self.lost.append
        self.densities: list[tuple[DensityEstimate, int]] = []
        self.on_density: Callable[[DensityEstimate, int], None] = lambda estimate, rows: (
            self.densities.append((estimate, rows))
        )
        self.ring = FrameRing.create((8, 8), 16, shared=False)
        self.ledger = Ledger()

        def make(*arguments: Any) -> FakeAnalysis:
            self.children.append(FakeAnalysis(*arguments))
            return self.children[-1]

        monkeypatch.setattr(supervisor_module, "PipelineThread", make)
        self.supervisor = PipelineSupervisor(
            PipelineJob("", settings.results.out, settings),
            self.ring,
            self.ledger,
            self.warnings.append,
            on_density=lambda estimate, rows: self.on_density(estimate, rows),
            on_lost=lambda reason: self.on_lost(reason),
        )
        self.supervisor.start()

    @property
    def child(self) -> FakeAnalysis:
        return self.children[-1]

    def put(self, first: int, n: int) -> None:
        for index in range(first, first + n):
            self.ledger.receive(index, queued=True)
            assert self.ring.push(CameraFrame(np.zeros((8, 8), np.uint16), index, index))

    def end(self) -> None:
        """End in order, as an analysis does that has drained the ring."""
        self.ring.close_input()
        if self.child.code is None:
            self.child.code = 0
        self.supervisor.finish(WAIT_S)


@pytest.fixture
def make_rig(
    quick_settings: Callable[..., RunSettings], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(*overrides: str) -> Rig:
        made.append(Rig(quick_settings(*overrides), monkeypatch))
        return made[-1]

    yield make
    for rig in made:
        rig.supervisor.gave_up.set()
        rig.supervisor.finish(WAIT_S)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


Make = Callable[..., Rig]


def test_what_the_analysis_reports_is_kept(make_rig: Make) -> None:
    rig = make_rig("psf.sigma_nm=auto")
    progress = rig.supervisor.progress
    assert progress.sigma_nm is None

    rig.child.report(StreamOpened("tcp://127.0.0.1:5757"))
    rig.child.report(PsfMeasured(141.0))
    rig.child.report(Progress(5, 60, {"total": {"p50": 4.0}}, {"verdict": "fits"}))
    rig.child.report(DensityMeasured(ESTIMATE, 70))
    rig.child.report(Warned("the PSF of the frames is wider than that of the network"))

    assert progress.stream_address == "tcp://127.0.0.1:5757"
    assert progress.sigma_nm == 141.0
    assert (progress.localizations, progress.validity) == (60, {"verdict": "fits"})
    assert progress.latency_ms["total"]["p50"] == 4.0
    assert rig.densities == [(ESTIMATE, 70)]
    assert rig.warnings == ["the PSF of the frames is wider than that of the network"]
    rig.end()
    assert rig.lost == []


def test_there_is_a_case_for_every_event(make_rig: Make) -> None:
    rig = make_rig()
    examples: dict[type, Event] = {
        Ready: Ready(), StreamOpened: StreamOpened(""), PsfMeasured: PsfMeasured(1.0),
        Localizing: Localizing(), Progress: Progress(0, 0, {}, {}),
        DensityMeasured: DensityMeasured(ESTIMATE, 0), FramesFailed: FramesFailed(0, 1, ""),
        Warned: Warned(""), Died: Died(""), Informed: Informed(""),
        CameraMeasured: CameraMeasured(7, True, 0.5),
        Preparing: Preparing("", 0, 1), LocalizerInForce: LocalizerInForce(0, "a", "b", 1.0),
    }  # fmt: skip

    assert set(examples) == set(get_args(Event))
    for event in examples.values():
        rig.child.report(event)

    assert not rig.supervisor.gave_up.is_set()
    rig.end()


def test_an_event_without_a_case_ends_the_analysis_for_good(make_rig: Make) -> None:
    rig = make_rig()

    rig.child.report("a text in place of a record")  # type: ignore[arg-type]

    until(lambda: rig.child.closed)
    assert rig.child.killed
    assert len(rig.children) == 1  # restarting would bring the same again
    assert len(rig.lost) == 1  # the steered laser goes dark
    [warning] = rig.warnings
    assert warning.startswith("the analysis is ended: ")
    assert "a text in place of a record" in warning
    with pytest.raises(PipelineError, match="a text in place of a record"):
        rig.supervisor.wait_ready(threading.Event())


def test_a_handler_that_fails_is_warned_of_once_and_the_next_event_is_handled(
    make_rig: Make,
) -> None:
    rig = make_rig()

    def fail(estimate: DensityEstimate, rows: int) -> None:
        raise ZeroDivisionError("no area")

    rig.on_density = fail
    for rows in range(3):
        rig.child.report(DensityMeasured(ESTIMATE, rows))
    rig.child.report(Progress(1, 2, {}, {}))

    assert rig.warnings == [
        "the event DensityMeasured of the analysis is not handled: ZeroDivisionError: no area"
    ]
    assert rig.supervisor.progress.localizations == 2
    assert not rig.supervisor.gave_up.is_set()
    rig.end()


def test_frames_that_left_the_ring_are_booked(make_rig: Make) -> None:
    rig = make_rig()
    rig.put(0, 6)
    rig.ring.release(4)

    until(lambda: rig.ledger.totals().localized == 4)
    rig.ring.release(2)
    rig.end()

    totals = rig.ledger.totals()
    assert (totals.localized, totals.in_ring) == (6, 0)


def test_failed_frames_are_booked_as_skipped_and_warned_of_once(make_rig: Make) -> None:
    rig = make_rig()
    rig.put(0, 6)

    rig.child.report(FramesFailed(2, 3, "it holds NaN"))
    rig.child.report(FramesFailed(4, 5, "it holds NaN"))
    rig.ring.release(6)
    rig.end()

    assert rig.warnings == ["the localizer failed on frame 2: it holds NaN"]
    assert rig.supervisor.progress.failed_frames == 2
    assert rig.ledger.skipped().as_list() == [[2, 2], [4, 4]]
    assert rig.ledger.totals().localized == 4


def test_a_dead_analysis_is_restarted_where_it_was_and_with_the_psf_it_had(make_rig: Make) -> None:
    rig = make_rig("psf.sigma_nm=auto")
    rig.put(0, 8)
    first = rig.child
    first.report(PsfMeasured(141.0))
    first.report(LocalizerInForce(0, "flagship-2d", "flagship-2d, bf16", 130.0))
    first.report(LocalizerInForce(2, "gaussian-mle", "Gaussian MLE", 141.0, "the backlog grew"))
    first.report(Progress(3, 30, {}, {}, FrameCounts(7, 2, 4095)))
    rig.ring.release(3)
    first.report(Died("cannot write localizations.arrows"))
    first.code = 1

    until(lambda: len(rig.children) == 2)
    rig.child.report(Ready())
    rig.child.report(Progress(5, 50, {}, {}, FrameCounts(4, 1, 4095)))

    assert first.closed
    assert rig.child.job.resume_before == 3
    assert rig.child.job.settings.psf.sigma_nm == 141.0
    assert rig.child.job.localizer == "gaussian-mle", "it does not go back to what was too slow"
    noted = rig.ledger.localizers()
    assert [n["from_frame"] for n in noted] == [0, 2]
    assert noted[1]["reason"] == "the backlog grew"
    assert "frames_per_s" not in noted[1], "what was not measured is not stated"
    assert rig.lost == ["the analysis died with exit code 1"]
    assert rig.warnings == [
        "the analysis died (cannot write localizations.arrows) and is restarted; "
        "the recording goes on"
    ]
    progress = rig.supervisor.progress
    assert (progress.restarts, progress.death) == (1, None)
    assert progress.localizations == 80
    assert progress.counts == FrameCounts(11, 3, 4095)
    rig.ring.release(5)
    rig.end()
    assert rig.ledger.totals().localized == 8


def test_one_that_ends_while_frames_may_still_come_has_died(make_rig: Make) -> None:
    rig = make_rig()
    rig.child.code = 0

    until(lambda: len(rig.children) == 2)

    assert "(it ended with exit code 0)" in rig.warnings[0]
    rig.end()


def test_after_the_last_restart_it_is_given_up_and_the_rest_is_skipped(make_rig: Make) -> None:
    rig = make_rig("pipeline.max_restarts=1")
    rig.put(0, 5)
    rig.child.code = 1
    until(lambda: len(rig.children) == 2)
    rig.child.code = 1

    assert rig.supervisor.gave_up.wait(WAIT_S)
    rig.ring.close_input()
    rig.supervisor.finish(WAIT_S)

    assert len(rig.children) == 2
    assert rig.warnings[-1].startswith("the analysis died 2 times and is given up: ")
    assert rig.ledger.skipped().as_list() == [[0, 4]]
    assert rig.ledger.totals().balances


def test_one_without_a_heartbeat_is_killed_and_the_laser_is_told_before(make_rig: Make) -> None:
    rig = make_rig("pipeline.heartbeat_timeout_s=0.1", "pipeline.max_restarts=0")
    first = rig.child
    killed_when_lost: list[bool] = []
    rig.on_lost = lambda reason: killed_when_lost.append(first.killed)

    first.report(Localizing())

    assert rig.supervisor.gave_up.wait(WAIT_S)
    assert killed_when_lost[0] is False
    assert first.killed
    assert "no heartbeat for 0.1 s (pipeline.heartbeat_timeout_s)" in rig.warnings[-1]


def test_loading_may_take_longer_than_a_heartbeat(make_rig: Make) -> None:
    rig = make_rig("pipeline.heartbeat_timeout_s=0.1")
    polls: list[int] = []
    exit_code = rig.child.exit_code
    rig.child.exit_code = lambda: (polls.append(1), exit_code())[1]  # type: ignore[method-assign]

    until(lambda: len(polls) > 6)  # more than 0.3 s

    assert not rig.child.killed
    rig.end()


def test_a_status_is_published_once_the_analysis_is_ready(make_rig: Make) -> None:
    rig = make_rig()

    rig.supervisor.publish({"n": 1})
    rig.child.report(Ready())
    rig.supervisor.publish({"n": 2})

    assert rig.child.published == [PublishStatus({"n": 2})]
    rig.end()
    rig.supervisor.publish({"n": 3})  # after the end it is lost


def test_the_wait_for_a_start_ends_with_ready_with_stop_or_with_a_sentence(make_rig: Make) -> None:
    rig = make_rig("pipeline.start_timeout_s=0.05", "pipeline.max_restarts=0")
    with pytest.raises(PipelineError, match=r"not ready after 0\.05 s \(pipeline\.start_timeout_s"):
        rig.supervisor.wait_ready(threading.Event())
    stop = threading.Event()
    stop.set()
    rig.supervisor.wait_ready(stop)
    rig.child.report(Died("no such network"))
    rig.child.code = 1
    assert rig.supervisor.gave_up.wait(WAIT_S)
    with pytest.raises(PipelineError, match="does not start: no such network"):
        rig.supervisor.wait_ready(threading.Event())
    rig.child.report(Ready())
    rig.supervisor.wait_ready(threading.Event())


def test_one_that_does_not_drain_the_ring_is_ended_and_its_frames_are_skipped(
    make_rig: Make,
) -> None:
    rig = make_rig()
    rig.put(0, 4)
    rig.ring.close_input()

    rig.supervisor.finish(0.05)

    assert rig.child.killed
    assert "did not finish within 0.05 s and was ended" in rig.warnings[0]
    assert rig.ledger.skipped().as_list() == [[0, 3]]


def test_pipes_that_cannot_be_closed_are_warned_of(make_rig: Make) -> None:
    rig = make_rig()
    rig.child.fault = WorkerError("the analysis process reader thread died: OSError: no pipe")

    rig.end()

    assert rig.warnings == ["the analysis process reader thread died: OSError: no pipe"]


def test_the_death_of_the_supervisor_itself_is_warned_of_and_ends_the_analysis(
    make_rig: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rig = make_rig()

    def fail(n_frames: int) -> None:
        raise ValueError("a negative number of frames")

    with monkeypatch.context() as patch:
        patch.setattr(rig.ledger, "release", fail)
        assert rig.supervisor.gave_up.wait(WAIT_S)

    until(lambda: rig.warnings)
    assert rig.child.killed
    assert rig.warnings == [
        "the supervisor of the analysis died: ValueError: a negative number of frames"
    ]
    assert any(record.exc_info for record in caplog.records if record.levelname == "ERROR")
