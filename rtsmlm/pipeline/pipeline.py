"""The analysis: ring in, localizations out to file and stream.

A batch leaves the ring only after its rows are in the file, so that an analysis that is restarted
after a crash loses nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from rtsmlm.analysis.validity_monitor import ValidityMonitor
from rtsmlm.calibration import StatedCalibration
from rtsmlm.channels.first_view import FirstView
from rtsmlm.feedback.density.meter import DensityMeter
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.files.run.disk_sync import DiskSync
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.files.tables.arrow_schema import schema as arrow_schema
from rtsmlm.fitting.first_frames import FirstFrames, remarks_on_pixels
from rtsmlm.fitting.frame_counts import FrameCounter
from rtsmlm.fitting.psf_meter import ASSUMED_SIGMA_PX, PSF_FRAMES, PsfMeter
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline.events import (
    DensityMeasured,
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
from rtsmlm.pipeline.image_feed import ImageFeed
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.localizer import localize_each, localizer_note, open_localizer
from rtsmlm.pipeline.opening import metadata_of, open_broadcast, open_density_meter
from rtsmlm.pipeline.sinks import Sinks
from rtsmlm.plugins import RunFacts
from rtsmlm.protocols import ALL, Localizer
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.latency import LatencyStages
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.stream.broadcast import Broadcast

Emit: TypeAlias = Callable[[Event], None]

_IDLE_S = 0.001
_PROMPT_FRAMES = 4
"""Most frames at once while there is next to no backlog."""
_BACKLOG_BATCHES = 4
"""A short stall is worked off frame by frame; behind by so many batches, throughput matters."""
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
    """

    def __init__(self, job: PipelineJob, ring: FrameRing, emit: Emit) -> None:
        self._job = job
        self._ring = ring
        self._emit = emit
        self._settings = job.settings
        self._calibration = resolve_calibration(job.settings.camera, StatedCalibration())
        self._calibration.check_frame_shape(ring.shape)
        self._field = FirstView.of(job.settings.channels, ring.shape)
        self._localizer: Localizer | None = None
        self._watch: ValidityMonitor | None = None
        self._density: DensityMeter | None = None
        self._latency = LatencyStages()
        # One slot less than there are: a batch ends at the end of the ring's memory.
        self._psf = PsfMeter(self._calibration, most_frames=ring.capacity - 1)
        self._counter = FrameCounter(ring.shape)
        self._first = FirstFrames() if job.resume_before is None else None
        self._n_frames = 0
        self._n_rows = 0
        self._last_status_ns = 0
        self._broadcast: Broadcast | None = None
        self._file: ArrowStreamFile | None = None
        self._sync = DiskSync("table-sync", self._warn)  # off this thread: a disk may take its time
        self._sinks: Sinks | None = None
        self._images: ImageFeed | None = None
        self._schema = arrow_schema(self._metadata(None))

    def _metadata(self, sigma_nm: float | None) -> dict[str, object]:
        return metadata_of(self._job, self._ring.shape, self._calibration.pixel_nm, sigma_nm)

    def run(self, stop: threading.Event) -> None:
        """Localize until the ring is closed and empty, or `stop` is set and it is empty.

        Raises
        ------
        SinkError
            If the localizations cannot be written; their frames stay in the ring.
        """
        with self._sync:
            self._run(stop)

    def _run(self, stop: threading.Event) -> None:
        try:
            self._open_stream()
            sigma_nm = self._settings.psf.known_sigma_nm
            if sigma_nm is None:
                # Compile now, with any width, so that the first frames need not wait for it.
                guess_nm = ASSUMED_SIGMA_PX * self._calibration.pixel_nm
                open_localizer(self._settings, self._calibration, guess_nm).warm_up(
                    self._ring.shape
                )
            else:
                self._prepare(sigma_nm)
            self._emit(Ready())
            self._loop(stop)
            if self._file is not None:
                self._file.close()  # whole, before its end is published
            if self._sinks is not None:
                self._sinks.close()
            if self._images is not None:
                self._close_images(self._images)
                self._images.publish(self._broadcast)
            if self._broadcast is not None:
                self._broadcast.end(self._summary())
            self._counter.look()
            if self._first is not None:
                self._check_first(self._first.pixels)
            self._report(now_ns(), final=True)
        finally:
            if self._file is not None:
                self._file.close()
            if self._sinks is not None:
                self._sinks.close()
            if self._images is not None:
                self._close_images(self._images)
            if self._broadcast is not None:
                self._broadcast.close()

    def _close_images(self, images: ImageFeed) -> None:
        images.close(self._ring.beat, lambda: self._ring.is_given_up)

    def _loop(self, stop: threading.Event) -> None:
        while True:
            self._ring.beat()
            if self._broadcast is not None:
                self._broadcast.refresh()
            if self._images is not None:
                self._images.publish(self._broadcast)
            closing = self._ring.input_closed or stop.is_set()  # before peek: nothing is missed
            if closing and self._ring.is_given_up:
                return
            if self._localizer is None or self._file is None:
                if closing and not self._ring.backlog:
                    return
                self._measure_psf(stop, closing=closing)
            elif (taken := self._take(self._localizer, closing=closing)) is not None:
                self._deliver(*taken, self._localizer, self._file)
            elif closing:
                return
            else:
                stop.wait(_IDLE_S)

    def _take(self, localizer: Localizer, *, closing: bool) -> tuple[FrameBatch, slice] | None:
        """Return the next frames and which of them are to be localized, or None."""
        most = self._settings.pipeline.batch_frames
        # What waits for a batch waits for its slowest frame: a large one must be worth it.
        n = most if self._ring.backlog >= _BACKLOG_BATCHES * most else min(most, _PROMPT_FRAMES)
        if localizer.neighbours:
            return self._ring.window(n, localizer.neighbours, final=closing)
        batch = self._ring.peek(n)
        return None if batch is None else (batch, ALL)

    def _open_stream(self) -> None:
        self._broadcast = open_broadcast(
            self._job, self._ring.shape, self._calibration.pixel_nm, self._schema, self._warn
        )
        if self._broadcast.address is not None:
            self._emit(StreamOpened(self._broadcast.address))

    def publish(self, status: PublishStatus) -> None:
        """Take the state of the run, to be published; from any thread."""
        if self._broadcast is not None:
            self._broadcast.hand_over(status.status)

    def _measure_psf(self, stop: threading.Event, *, closing: bool) -> None:
        """Wait for the first frames, measure the PSF width on them, and get ready."""
        wanted = self._psf.n_wanted
        if self._ring.backlog < wanted and not closing:
            stop.wait(_IDLE_S)
            return
        frames = self._ring.peek(wanted)
        if frames is None:
            return
        are_all = closing and self._ring.backlog <= wanted
        width = self._psf.measure(frames.pixels, are_all=are_all)
        if width is None:
            return
        if width.note:
            self._warn(width.note)
        first = frames.pixels[: PSF_FRAMES[0]]
        self._check_first(first, None if width.note else width.sigma_nm)
        self._emit(PsfMeasured(width.sigma_nm))
        self._prepare(width.sigma_nm)

    def _check_first(self, frames: Pixels | None, sigma_nm: float | None = None) -> None:
        """Compare the first frames, and the width measured on them, with the calibration, once."""
        if self._first is None or frames is None:
            return
        self._first, assumed = None, self._job.assumed
        for remark in remarks_on_pixels(frames, self._calibration, assumed, sigma_nm):
            self._warn(remark)

    def _prepare(self, sigma_nm: float) -> None:
        path = RunFolder(self._job.folder).localizations
        if self._job.resume_before is None or not path.exists():
            self._file = ArrowStreamFile(path, self._metadata(sigma_nm))
        else:
            self._file = ArrowStreamFile.resume(path, self._job.resume_before)
        self._sync.created(path, path.parent)
        if note := localizer_note(self._settings, self._calibration, sigma_nm):
            self._warn(note)
        self._localizer = open_localizer(self._settings, self._calibration, sigma_nm)
        self._localizer.warm_up(self._ring.shape)
        folder, shape, pixel_nm = self._job.folder, self._ring.shape, self._calibration.pixel_nm
        facts = RunFacts(folder=folder, shape=shape, pixel_nm=pixel_nm, sigma_nm=sigma_nm)
        self._sinks = Sinks(self._settings, facts, self._warn)
        self._watch = ValidityMonitor(self._settings, self._calibration, sigma_nm, self._warn)
        self._density = open_density_meter(
            self._settings, self._field, self._calibration, sigma_nm, self._localizer
        )
        self._images = ImageFeed(self._job, self._ring.shape, self._warn)
        self._emit(Localizing())

    def _warn(self, text: str) -> None:
        self._emit(Warned(text))

    def _deliver(
        self, batch: FrameBatch, targets: slice, localizer: Localizer, file: ArrowStreamFile
    ) -> None:
        t_taken = now_ns()
        localizations = localize_each(localizer, batch, self._failed, targets)
        t_localized = now_ns()
        batch = batch.frames(*targets.indices(len(batch))[:2])
        file.put(localizations)
        if len(localizations):
            self._sync.changed(file.path)
        if self._sinks is not None:
            self._sinks.put(localizations)
        if self._broadcast is not None:
            self._broadcast.rows(localizations, batch)
        t_published = now_ns()
        self._latency.add(
            batch.t_exposure_end_ns, batch.t_ring_ns, t_taken, t_localized, t_published
        )
        self._n_frames += len(batch)
        self._n_rows += len(localizations)
        self._measure_density(localizations, batch)
        if self._broadcast is not None:
            self._broadcast.frame(batch, t_published)
        if self._first is not None and self._first.add(batch.pixels):
            self._check_first(self._first.pixels)
        self._counter.add(batch.pixels)
        # Before the frames are given back.
        behind = self._ring.backlog > len(batch) + localizer.neighbours
        if self._watch is not None:
            self._watch.maybe_sample(localizations, batch, t_published, behind=behind)
        if self._images is not None:
            self._images.put(batch, behind=behind)
        self._ring.release(len(batch))
        if t_published - self._last_status_ns > _STATUS_NS:
            self._report(t_published)

    def _measure_density(self, localizations: Localizations, batch: FrameBatch) -> None:
        if self._density is None:
            return
        estimate = self._density.add(localizations, self._field.frames(batch))
        if estimate is not None:
            # The laser is steered by it: it goes out before anything else is done.
            self._emit(DensityMeasured(estimate, self._n_rows))
            if self._broadcast is not None:
                self._broadcast.density(estimate.as_dict())

    def _summary(self) -> dict[str, object]:
        validity = {} if self._watch is None else self._watch.judge(final=True)
        return {"frames": self._n_frames, "localizations": self._n_rows, "validity": validity}

    def _failed(self, frame: int, why: str) -> None:
        self._emit(FramesFailed(frame, frame + 1, why))
        self._ring.beat()

    def _report(self, t_ns: int, *, final: bool = False) -> None:
        self._last_status_ns = t_ns
        validity = {} if self._watch is None else self._watch.judge(final=final)
        self._emit(
            Progress(
                self._n_frames,
                self._n_rows,
                self._latency.summary(),
                validity,
                self._counter.counts(),
                recent=self._latency.recent.latency(t_ns),
                is_watched=self._broadcast is not None and self._broadcast.is_watched,
            )
        )
