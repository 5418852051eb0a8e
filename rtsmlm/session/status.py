"""The state of a run, for the status line, the window and the stream."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rtsmlm.feedback.records import HoldStatus, LoopStatus, Resolution
from rtsmlm.files.run.folder import RunFolder, free_mb
from rtsmlm.files.run.report import Notice
from rtsmlm.pipeline.progress import PipelineProgress
from rtsmlm.protocols import Camera
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.latency import RateMeter
from rtsmlm.realtime.ledger import Ledger, LedgerTotals
from rtsmlm.realtime.worker import Worker, one_line
from rtsmlm.session.frame_path import FramePath
from rtsmlm.stream.folders import without_folders
from rtsmlm.stream.messages import (
    HoldMessage,
    LoopMessage,
    NoticeMessage,
    ResolutionMessage,
    StatusMessage,
    ValidityMessage,
)

_PERIOD_S = 0.25
_END_S = 15.0
_SILENT_S = 1.0
"""An analysis that works reports more often."""
_BYTES_PER_PIXEL = 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run at one moment, for a status line or a window."""

    totals: LedgerTotals
    frames_per_s: float
    localizations: int
    emitters_per_frame: float
    p50_ms: float
    p99_ms: float
    backlog: int
    """Frames in the ring."""
    recorder_backlog: int
    model: str = ""
    """Verdict of the validity meter in two or three words; empty where it is off."""
    loop: LoopStatus | None = None
    """Laser and density; None where no laser is steered."""
    resolution: Resolution | None = None
    """The newest resolution; None where the run does not measure it."""
    recent_p50_ms: float = math.nan
    """Latency of the last ten seconds; `p50_ms` and `p99_ms` are of the run."""
    recent_p99_ms: float = math.nan
    newest_age_s: float = math.nan
    """Age of the newest localized frame, from the end of its exposure; NaN before the first."""
    hold: HoldStatus | None = None
    """Set point of stages that hold the sample; None where there is none."""


class StatusMeter:
    """Measures the state of a run on its parts; keeps what the rates need.

    Parameters
    ----------
    path
        The way of the frames, with the progress of the analysis.
    ledger
        Where every frame is booked.
    """

    def __init__(self, path: FramePath, ledger: Ledger) -> None:
        self._path, self._ledger = path, ledger
        self._rate = RateMeter()
        self._emitters = RateMeter(window=100)  # rows per frame, over the last hundred frames

    def measure(
        self,
        loop: LoopStatus | None,
        resolution: Resolution | None,
        hold: HoldStatus | None = None,
    ) -> RunStatus:
        """Return the state now, with that of loop and stages and the newest resolution."""
        totals, progress = self._ledger.totals(), self._path.progress
        total = progress.latency_ms.get("total", {})
        return RunStatus(
            totals=totals,
            frames_per_s=self._rate.update(totals.received, now_ns()) * 1e9,
            localizations=progress.localizations,
            emitters_per_frame=self._emitters.update(progress.localizations, totals.localized),
            p50_ms=total.get("p50", math.nan),
            p99_ms=total.get("p99", math.nan),
            backlog=self._path.backlog,
            recorder_backlog=self._path.recorder_backlog,
            model=progress.validity.get("verdict", ""),
            loop=loop,
            resolution=resolution,
            recent_p50_ms=progress.recent.p50_ms,
            recent_p99_ms=progress.recent.p99_ms,
            newest_age_s=self._newest_age_s(),
            hold=hold,
        )

    def _newest_age_s(self) -> float:
        """Return the age that was reported, and what an analysis that is silent adds to it."""
        progress = self._path.progress
        age_s, reported_ns = progress.recent.newest_ms / 1e3, progress.reported_ns
        if reported_ns is None or not self._path.backlog:
            return age_s
        return age_s + max(0.0, (now_ns() - reported_ns) / 1e9 - _SILENT_S)


class StatusPublisher:
    """Publishes the state of the run four times a second, in a thread of its own.

    A thread, because publishing blocks while the analysis is frozen. A status that cannot be had or
    published is left out and warned of once; the next one is tried all the same.

    Parameters
    ----------
    message
        Returns the state of the run.
    publish
        Called with it.
    warn
        Called with one sentence.
    """

    def __init__(
        self,
        message: Callable[[], Mapping[str, object]],
        publish: Callable[[Mapping[str, object]], None],
        warn: Callable[[str], None],
    ) -> None:
        self._message, self._publish, self._warn = message, publish, warn
        self._failed: set[str] = set()
        self._turn = threading.Condition()
        self._n_wanted = self._n_published = 0  # of `publish_now`
        self._worker = Worker("status", self._run, on_death=self._die)

    def start(self) -> None:
        """Start publishing."""
        self._worker.start()

    def publish_now(self, timeout_s: float) -> bool:
        """Publish out of turn; False if that is not done within the time-out."""
        with self._turn:
            self._n_wanted += 1
            number = self._n_wanted
            self._turn.notify_all()
            return self._turn.wait_for(lambda: self._n_published >= number, timeout_s)

    def stop(self) -> None:
        """Ask it to end; returns at once."""
        self._worker.stop()
        with self._turn:
            self._turn.notify_all()

    def join(self) -> None:
        """Wait for its end.

        Raises
        ------
        WorkerError
            If publishing blocks.
        """
        self._worker.join(_END_S)

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            with self._turn:
                self._turn.wait_for(
                    lambda: stop.is_set() or self._n_wanted > self._n_published, _PERIOD_S
                )
                number = self._n_wanted
            if stop.is_set():
                return
            try:
                self._publish(self._message())
            except Exception as error:
                self._note(error)
            with self._turn:
                self._n_published = number
                self._turn.notify_all()

    def _note(self, error: Exception) -> None:
        kind = type(error).__name__
        if kind in self._failed:
            return
        self._failed.add(kind)
        _log.error("the state of the run could not be published", exc_info=error)
        self._warn(f"the window missed a status of the run: {one_line(error)}")

    def _die(self, error: BaseException) -> None:
        self._warn(f"the window gets no status any more, the run goes on: {one_line(error)}")


def run_message(
    status: RunStatus,
    progress: PipelineProgress,
    *,
    camera: Camera,
    folder: RunFolder,
    recording: bool,
    warnings: Sequence[str],
    notices: Sequence[Notice] = (),
) -> dict[str, object]:
    """Return the state of a run as `stream.messages.StatusMessage`, in plain JSON data.

    Parameters
    ----------
    status
        The run at this moment.
    progress
        What the analysis has reported.
    camera
        Where the frames come from.
    folder
        The run folder, for the free space of its disk.
    recording
        Whether raw frames are written.
    warnings
        All warnings and failures so far.
    notices
        The newest of them, and what went as it was wanted.
    """
    height, width = camera.shape
    message = StatusMessage(
        totals=status.totals,
        frames_per_s=status.frames_per_s,
        localizations=status.localizations,
        emitters_per_frame=status.emitters_per_frame,
        p50_ms=status.p50_ms,
        p99_ms=status.p99_ms,
        recent_p50_ms=status.recent_p50_ms,
        recent_p99_ms=status.recent_p99_ms,
        newest_age_s=status.newest_age_s,
        backlog=status.backlog,
        recorder_backlog=status.recorder_backlog,
        model=status.model,
        loop=None if status.loop is None else LoopMessage.model_validate(status.loop),
        resolution=_resolution_message(status),
        drift=progress.drift_nm,
        hold=None if status.hold is None else HoldMessage.model_validate(status.hold),
        blinking=progress.blinking,
        latency_ms=progress.latency_ms,
        validity=ValidityMessage.model_validate(progress.validity),
        restarts=progress.restarts,
        saturated_pixels=progress.counts.saturated_pixels,
        recording=recording,
        disk_free_mb=_free_mb(folder),
        disk_mb_per_s=status.frames_per_s * height * width * _BYTES_PER_PIXEL / 2**20,
        exposure_ms=camera.exposure_ms,
        warnings=tuple(map(without_folders, warnings)),
        notices=tuple(
            NoticeMessage(time_s=n.time_s, level=n.level, text=without_folders(n.text))
            for n in notices
        ),
    )
    return message.model_dump(mode="json")


def _resolution_message(status: RunStatus) -> ResolutionMessage | None:
    found = status.resolution
    return None if found is None else ResolutionMessage.model_validate(found)


def _free_mb(folder: RunFolder) -> float:
    """Return the free space of the disk, NaN where it does not answer, as a share now and then."""
    try:
        return free_mb(folder.path)
    except OSError as error:
        _log.debug("the free space of %s is not known", folder.path, exc_info=error)
        return math.nan
