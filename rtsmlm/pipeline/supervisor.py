"""PipelineSupervisor: starts the analysis, handles its events, restarts it, gives up in the end.

The recording never waits for any of this.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import assert_never

from rtsmlm.errors import PipelineError, WorkerError
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.fitting.frame_counts import FrameCounts
from rtsmlm.pipeline.child import PipelineChild, PipelineProcess, PipelineThread
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
from rtsmlm.pipeline.progress import PipelineProgress
from rtsmlm.pipeline.start_events import CameraMeasured, Informed, LocalizerInForce, Preparing
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.realtime.worker import Worker, one_line

_POLL_S = 0.05
_LAST_BATCH_S = 6.0
"""For the frames that are being localized, and the files, where the rest was given up."""

_log = logging.getLogger(__name__)


class PipelineSupervisor:
    """Keep the analysis alive for the length of a run.

    Parameters
    ----------
    job
        What the analysis is to do.
    ring
        The ring that it reads; this side stays its owner.
    ledger
        Where released and failed frames are booked.
    warn
        Called with one sentence for everything that the user should read.
    on_density
        Called with every estimate of the density and the number of localizations so far.
    on_lost
        Called with the reason as soon as the analysis is dead or frozen.
    inform
        Called with one sentence for what went as it was wanted.
    on_preparing
        Called with every step before the first frame.
    """

    def __init__(
        self,
        job: PipelineJob,
        ring: FrameRing,
        ledger: Ledger,
        warn: Callable[[str], None],
        *,
        on_density: Callable[[DensityEstimate, int], None] = lambda estimate, rows: None,
        on_lost: Callable[[str], None] = lambda reason: None,
        inform: Callable[[str], None] = lambda text: None,
        on_preparing: Callable[[Preparing], None] = lambda step: None,
    ) -> None:
        self._job = job
        self._ring = ring
        self._ledger = ledger
        self._warn = warn
        self._on_density, self._on_lost = on_density, on_lost
        self._inform, self._on_preparing = inform, on_preparing
        self._booked = 0
        self._earlier_rows = 0
        self._earlier_counts = FrameCounts()
        self._child: PipelineChild | None = None
        self._ready = threading.Event()
        self._localizing = threading.Event()
        self._tick = threading.Event()  # never set: paces the loop
        self.gave_up = threading.Event()
        self.progress = PipelineProgress()
        self._unhandled: set[str] = set()
        self._worker = Worker("supervise", self._supervise, on_death=self._die)

    @property
    def pid(self) -> int | None:
        """Number of the analysis process; None while there is none, or where it is a thread."""
        child = self._child
        return child.pid if isinstance(child, PipelineProcess) else None

    def start(self) -> None:
        """Start the analysis; returns at once."""
        self._launch(self._job)
        self._worker.start()

    def wait_ready(self, stop: threading.Event) -> None:
        """Wait until the analysis can take frames.

        Raises
        ------
        PipelineError
            If it does not come up.
        """
        deadline_ns = now_ns() + int(self._job.settings.pipeline.start_timeout_s * 1e9)
        while not self._ready.wait(_POLL_S) and not stop.is_set():
            if self.gave_up.is_set():
                raise PipelineError(f"the analysis does not start: {self.progress.death}")
            if now_ns() > deadline_ns:
                raise PipelineError(
                    "the analysis was not ready after "
                    f"{self._job.settings.pipeline.start_timeout_s:g} s "
                    "(pipeline.start_timeout_s); see analysis.log in the run folder"
                )

    def publish(self, status: Mapping[str, object]) -> None:
        """Publish the state of the run through the analysis; may block while that is frozen."""
        child = self._child
        if child is not None and self._ready.is_set():
            child.publish(PublishStatus(dict(status)))

    def finish(self, timeout_s: float) -> None:
        """Wait until the ring is drained or given up, and the analysis has closed its files.

        The ring must have been closed by the producer. Frames that are left after the time-out, or
        after the last restart has failed, are booked as skipped; files may take longer.
        """
        end_ns, is_given_up = now_ns() + int(timeout_s * 1e9), False
        while not self._worker.wait(_POLL_S):
            lives = self._localizing.is_set() and not self._is_frozen()
            if now_ns() > end_ns and (is_given_up or self._ring.backlog or not lives):
                break
            if self._ring.is_given_up and not is_given_up:
                is_given_up, timeout_s = True, _LAST_BATCH_S
                end_ns = now_ns() + int(timeout_s * 1e9)
        if not self._worker.wait(0.0):
            rest = "" if is_given_up else "; its frames are caught up from the recording"
            self._warn(f"the analysis did not finish within {timeout_s:g} s and was ended{rest}")
            self.gave_up.set()
            self._worker.join(10.0)
        self._book()
        self._ledger.give_up_queued()

    # -- in the supervisor thread --------------------------------------------------------

    def _supervise(self, stop: threading.Event) -> None:
        while not self.gave_up.is_set() and (child := self._child) is not None:
            self._book()
            code = child.exit_code()
            if code is None:
                if self._is_frozen():
                    self.progress.death = (
                        "no heartbeat for "
                        f"{self._job.settings.pipeline.heartbeat_timeout_s:g} s "
                        "(pipeline.heartbeat_timeout_s)"
                    )
                    self._on_lost(f"the analysis is frozen: {self.progress.death}")
                    child.kill()
                self._tick.wait(_POLL_S)
                continue
            if code != 0:
                self._on_lost(f"the analysis died with exit code {code}")
            self._close(child)
            self._book()
            self._child = None
            if code != 0 or not self._ring.input_closed:
                self._restart(code)
        if self._child is not None:
            self._child.kill()
            self._close(self._child)
            self._child = None

    def _close(self, child: PipelineChild) -> None:
        try:
            child.close()
        except WorkerError as error:
            self._warn(str(error))

    def _is_frozen(self) -> bool:
        if not self._localizing.is_set():
            return False  # loading and compiling have their own, longer time-out
        silent_ns = now_ns() - self._ring.heartbeat_ns
        return silent_ns > self._job.settings.pipeline.heartbeat_timeout_s * 1e9

    def _restart(self, code: int) -> None:
        why = self.progress.death or f"it ended with exit code {code}"
        self.progress.death = why
        if self.progress.restarts >= self._job.settings.pipeline.max_restarts:
            self.gave_up.set()
            self._warn(
                f"the analysis died {self.progress.restarts + 1} times and is given up: {why}; "
                "the recording goes on, the rest is caught up afterwards"
            )
            return
        self.progress.restarts += 1
        self._warn(f"the analysis died ({why}) and is restarted; the recording goes on")
        settings = self.progress.known(self._job.settings, self._job.folder)
        self._earlier_rows = self.progress.localizations
        self._earlier_counts = self.progress.counts
        self._localizing.clear()
        self._launch(
            replace(
                self._job,
                settings=settings,
                resume_before=self._ledger.next_undelivered(),
                localizer=self.progress.localizers[-1].name if self.progress.localizers else None,
            )
        )

    def _launch(self, job: PipelineJob) -> None:
        self.progress.generation = job.resume_before or 0
        known_nm = job.settings.psf.known_sigma_nm
        if known_nm is not None:
            self.progress.sigma_nm = known_nm
        if job.settings.pipeline.process:
            self._child = PipelineProcess(job, self._handle, self._end_for_good)
        else:
            self._child = PipelineThread(job, self._ring, self._handle)

    def _book(self) -> None:
        released = self._ring.released
        self._ledger.release(released - self._booked)
        self._booked = released

    # -- in the thread that reads the events ---------------------------------------------

    def _handle(self, event: Event) -> None:
        """Handle an event; what fails is warned of once, and the next event is read all the same.

        A reader that stopped would fill the pipe, and the analysis would block.
        """
        try:
            self._apply(event)
        except AssertionError as error:  # no case for it
            self._end_for_good(one_line(error))
        except Exception as error:
            name = type(event).__name__
            _log.exception("the event %s could not be handled", name)
            if name not in self._unhandled:
                self._unhandled.add(name)
                self._warn(f"the event {name} of the analysis is not handled: {one_line(error)}")

    def _apply(self, event: Event) -> None:
        progress = self.progress
        match event:
            case Progress():
                progress.localizations = self._earlier_rows + event.localizations
                progress.latency_ms = event.latency_ms
                progress.validity = event.validity
                progress.counts = self._earlier_counts.plus(event.counts)
                progress.recent, progress.is_watched = event.recent, event.is_watched
                progress.drift_nm, progress.blinking = event.drift_nm, event.blinking
                progress.drift_block, progress.reported_ns = event.drift_block, now_ns()
            case DensityMeasured():
                self._on_density(event.estimate, self._earlier_rows + event.localizations)
            case Ready():
                progress.death = None
                self._ready.set()
            case Localizing():
                self._ring.beat()
                self._localizing.set()
            case PsfMeasured():
                progress.take_width(event)
            case CameraMeasured():
                progress.take_camera(event)
            case LocalizerInForce():
                progress.localizers.append(event)
                self._ledger.note_localizer(event.as_dict())
            case Preparing():
                self._on_preparing(event)
            case Informed():
                self._inform(event.text)
            case StreamOpened():
                progress.stream_address = event.address
            case FramesFailed():
                self._ledger.fail(event.start, event.stop)
                if progress.failed_frames == 0:
                    self._warn(f"the localizer failed on frame {event.start}: {event.reason}")
                progress.failed_frames += event.stop - event.start
            case Died():
                progress.death = event.reason
            case Warned():
                self._warn(event.text)
            case _:
                assert_never(event)

    def _end_for_good(self, reason: str) -> None:
        """End an analysis that speaks another language than we do: restarting would not help."""
        if self.gave_up.is_set():
            return
        self.progress.death = reason
        self.gave_up.set()
        self._on_lost(f"the analysis is ended: {reason}")
        self._warn(
            f"the analysis is ended: {reason}; the recording goes on, the rest is caught up "
            "afterwards"
        )

    def _die(self, error: BaseException) -> None:
        _log.error("the supervisor died", exc_info=error)
        self.progress.death = f"the supervisor of the analysis died: {one_line(error)}"
        self.gave_up.set()
        if self._child is not None:
            self._child.kill()
        self._warn(self.progress.death)
