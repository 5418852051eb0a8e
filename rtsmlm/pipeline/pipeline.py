"""The analysis: ring in, localizations out to file and stream.

A batch leaves the ring only after its rows are in the file, so that an analysis that is restarted
after a crash loses nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from rtsmlm.calibration import StatedCalibration
from rtsmlm.channels.first_view import FirstView
from rtsmlm.engines.ladder import assumed_sigma_px
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.files.wrong_pixels import with_wrong_pixels
from rtsmlm.fitting.frame_counts import FrameCounter
from rtsmlm.fitting.psf_meter import ASSUMED_SIGMA_PX, PsfMeter, is_measured
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline.backlog_watch import BacklogWatch
from rtsmlm.pipeline.camera_look import CameraLook
from rtsmlm.pipeline.events import (
    DensityMeasured,
    FramesFailed,
    Localizing,
    Progress,
    PublishStatus,
    Ready,
    Warned,
)
from rtsmlm.pipeline.first_look import FirstLook
from rtsmlm.pipeline.in_force import InForce, LocalizerMaker
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.live_rows import rehearse
from rtsmlm.pipeline.localizer import localize_each
from rtsmlm.pipeline.localizer_changes import LocalizerChanges
from rtsmlm.pipeline.outputs import Emit, Outputs
from rtsmlm.pipeline.start import Start
from rtsmlm.protocols import ALL, Localizer
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.latency import LatencyStages
from rtsmlm.realtime.ring import FrameRing

_IDLE_S = 0.001
_PROMPT_FRAMES = 4
"""Most frames at once while there is next to no backlog."""
_BACKLOG_BATCHES = 4
"""A batch is at most the n-th part of what waits: a short stall is worked off by few frames, and
far behind, where throughput matters, by many."""
_STATUS_NS = 250_000_000


class Pipeline:
    """The loop from ring to sinks.

    Parameters
    ----------
    job
        What to do.
    ring
        Where the frames come from.
    emit
        Called with every event, from any thread.
    clock
        Time in ns by which a backlog is judged.
    """

    def __init__(
        self, job: PipelineJob, ring: FrameRing, emit: Emit, *, clock: Callable[[], int] = now_ns
    ) -> None:
        self._job, self._ring, self._emit, self._clock = job, ring, emit, clock
        self._settings = job.settings
        self._calibration = resolve_calibration(job.settings.camera, StatedCalibration())
        self._calibration.check_frame_shape(ring.shape)
        camera = job.settings.camera
        self._calibration = with_wrong_pixels(self._calibration, camera, ring.shape)
        self._field = FirstView.of(job.settings.channels, ring.shape)
        self._latency = LatencyStages(from_start=job.resume_before is None)
        self._counter = FrameCounter(ring.shape)
        self._maker = LocalizerMaker(job.settings, self._calibration, ring.shape, self._warn)
        self._outputs = Outputs(job, ring, self._calibration.pixel_nm, emit)
        self._next_frame = job.resume_before or 0
        self._n_frames = self._n_rows = self._last_status_ns = 0

    def run(self, stop: threading.Event) -> None:
        """Localize until the ring is closed and empty, or `stop` is set and it is empty.

        Raises
        ------
        SinkError
            If the localizations cannot be written; their frames stay in the ring.
        """
        with self._outputs:
            changes = self._get_ready()
            look = self._open_look()
            try:
                # A source that can wait is not hurried: its frames wait for an unknown PSF.
                waits = self._settings.pipeline.when_behind == "wait"
                holds = waits and self._settings.psf.known_sigma_nm is None
                if not holds:
                    changes.begin(self._next_frame)
                    self._emit(Localizing())
                self._emit(Ready())
                if not holds or self._measure_first(stop, changes, look):
                    self._loop(stop, changes, look)
                self._finish(changes, look)
            finally:
                look.close()
                changes.close()

    # -- before the first frame ------------------------------------------------------------

    def _get_ready(self) -> LocalizerChanges:
        """Open and compile all that follows a frame."""
        self._outputs.open_stream()
        known_nm, pixel_nm = self._settings.psf.known_sigma_nm, self._calibration.pixel_nm
        sigma_nm = known_nm or assumed_sigma_px(self._settings, ASSUMED_SIGMA_PX) * pixel_nm
        start = Start(self._job, self._calibration, self._ring.shape, self._maker, self._emit)
        first = start.run(sigma_nm, is_known=known_nm is not None)
        start.begin("drift and blinking")
        rehearse(self._job)
        start.begin("table and sinks")
        self._outputs.open_table(known_nm)
        self._outputs.open_sinks(sigma_nm)
        return LocalizerChanges(
            self._job,
            self._maker,
            self._emit,
            first=first,
            rates=start.rates,
            watch=BacklogWatch(self._ring.capacity),
            on_width=self._outputs.state_psf,
        )

    @property
    def _measures(self) -> bool:
        """Whether the first frames are asked for the PSF; after a crash those of then were."""
        if self._job.resume_before is not None:
            return self._settings.psf.known_sigma_nm is None
        return is_measured(self._settings)

    def _open_look(self) -> FirstLook:
        meter = None
        if self._measures:
            # One slot less than there are: a batch ends at the end of the ring's memory.
            meter = PsfMeter(
                self._calibration, most_frames=self._ring.capacity - 1, psf=self._settings.psf
            )
        is_first = self._job.resume_before is None
        camera = CameraLook(
            self._calibration,
            self._settings.camera,
            self._job.assumed,
            self._ring.shape,
            most_frames=self._ring.capacity - 1,
        )
        return FirstLook(
            self._calibration,
            self._warn,
            assumed=self._job.assumed,
            compares=is_first,
            meter=meter,
            camera=camera if is_first else None,
        )

    # -- frames ------------------------------------------------------------------------------

    def _measure_first(
        self, stop: threading.Event, changes: LocalizerChanges, look: FirstLook
    ) -> bool:
        """Measure the PSF on frames that wait in the ring; False if there were none."""
        while (width := look.take_width()) is None:
            closing = self._see_to_others(stop)
            n_wanted, backlog = look.n_wanted, self._ring.backlog
            if closing and (self._ring.is_given_up or not backlog):
                return False
            if (frames := self._ring.peek(max(n_wanted, 1))) is not None:
                look.add(frames.pixels, 0)
                # At the end of the ring's memory fewer come at once than there are.
                if (closing and backlog <= n_wanted) or len(frames) < min(n_wanted, backlog):
                    look.finish()
            stop.wait(_IDLE_S)
        if (camera := look.take_camera()) is not None:
            changes.camera_found(camera, before_first=True)
        changes.begin_with(width, self._next_frame)
        self._emit(Localizing())
        return True

    def _loop(self, stop: threading.Event, changes: LocalizerChanges, look: FirstLook) -> None:
        while True:
            closing = self._see_to_others(stop)
            if closing and self._ring.is_given_up:
                return
            if (camera := look.take_camera()) is not None:
                changes.camera_found(camera)
            if (width := look.take_width()) is not None:
                changes.width_found(width)
            changes.watch_backlog(self._ring.backlog, self._clock())
            changes.change(self._next_frame)
            if (taken := self._take(changes.now.localizer, closing=closing)) is not None:
                self._deliver(*taken, changes.now, look)
            elif closing:
                return
            else:
                stop.wait(_IDLE_S)

    def _see_to_others(self, stop: threading.Event) -> bool:
        """Beat, publish what waits, and return whether no more frames will come."""
        self._ring.beat()
        self._outputs.refresh()
        return self._ring.input_closed or stop.is_set()  # before peek: nothing is missed

    def _take(self, localizer: Localizer, *, closing: bool) -> tuple[FrameBatch, slice] | None:
        """Return the next frames and which of them are to be localized, or None."""
        most = self._settings.pipeline.batch_frames
        # What waits for a batch waits for its slowest frame: a large one must be worth it.
        n = min(most, max(self._ring.backlog // _BACKLOG_BATCHES, _PROMPT_FRAMES))
        if localizer.neighbours:
            return self._ring.window(n, localizer.neighbours, final=closing)
        batch = self._ring.peek(n)
        return None if batch is None else (batch, ALL)

    def publish(self, status: PublishStatus) -> None:
        """Take the state of the run, to be published; from any thread."""
        self._outputs.hand_over(status.status)

    def _warn(self, text: str) -> None:
        self._emit(Warned(text))

    def _deliver(
        self, batch: FrameBatch, targets: slice, in_force: InForce, look: FirstLook
    ) -> None:
        t_taken = now_ns()
        if (mended := in_force.mend(batch.pixels)) is not batch.pixels:
            batch = replace(batch, pixels=mended)
        localizations = localize_each(in_force.localizer, batch, self._failed, targets)
        t_localized = now_ns()
        batch = batch.frames(*targets.indices(len(batch))[:2])
        self._outputs.put(localizations, batch)
        t_published = now_ns()
        self._latency.add(
            batch.t_exposure_end_ns, batch.t_ring_ns, t_taken, t_localized, t_published
        )
        self._outputs.rows.learn(localizations, int(batch.t_exposure_end_ns[0]))
        self._outputs.rows.look(self._field.frames(batch))
        look.add(batch.pixels, self._n_frames)
        self._n_frames += len(batch)
        self._n_rows += len(localizations)
        self._next_frame = int(batch.index[-1]) + 1
        self._measure_density(in_force, localizations, batch)
        self._outputs.frame(batch, t_published)
        self._counter.add(batch.pixels)
        # Before the frames are given back.
        behind = self._ring.backlog > len(batch) + in_force.localizer.neighbours
        if in_force.watch is not None:
            in_force.watch.maybe_sample(localizations, batch, t_published, behind=behind)
        self._outputs.image(batch, behind=behind)
        self._ring.release(len(batch))
        if t_published - self._last_status_ns > _STATUS_NS:
            self._report(in_force, t_published)

    def _measure_density(
        self, in_force: InForce, localizations: Localizations, batch: FrameBatch
    ) -> None:
        estimate = in_force.density.add(localizations, self._field.frames(batch))
        if estimate is not None:
            # The laser is steered by it: it goes out before anything else is done.
            self._emit(DensityMeasured(estimate, self._n_rows))
            self._outputs.density(estimate)

    # -- the end -----------------------------------------------------------------------------

    def _finish(self, changes: LocalizerChanges, look: FirstLook) -> None:
        """Complete files and accounts after the last frame."""
        look.finish()
        if (camera := look.take_camera()) is not None:
            changes.camera_found(camera)
        if (width := look.take_width()) is not None:
            changes.width_found(width)
        changes.finish(self._next_frame)
        watch = changes.now.watch

        def summary() -> dict[str, object]:
            validity = {} if watch is None else watch.judge(final=True)
            return {"frames": self._n_frames, "localizations": self._n_rows, "validity": validity}

        self._outputs.finish(summary)
        self._counter.look()
        self._report(changes.now, now_ns(), final=True)

    def _failed(self, frame: int, why: str) -> None:
        self._emit(FramesFailed(frame, frame + 1, why))
        self._ring.beat()

    def _report(self, in_force: InForce, t_ns: int, *, final: bool = False) -> None:
        self._last_status_ns = t_ns
        validity = {} if in_force.watch is None else in_force.watch.judge(final=final)
        self._emit(
            Progress(
                self._n_frames,
                self._n_rows,
                self._latency.summary(),
                validity,
                self._counter.counts(),
                recent=self._latency.recent.latency(t_ns),
                is_watched=self._outputs.is_watched,
                drift_nm=self._outputs.rows.drift_nm,
                drift_block=self._outputs.rows.drift_block,
                blinking=self._outputs.rows.blinking,
            )
        )
