"""Outputs: where rows and frames of the analysis go: table, sinks, stream, networks of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from rtsmlm.channels.first_view import field_shape
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.files.run.disk_sync import DiskSync
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.files.tables.arrow_schema import schema as arrow_schema
from rtsmlm.fitting.psf_meter import is_measured
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline.events import Event, StreamOpened, Warned
from rtsmlm.pipeline.image_feed import ImageFeed
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.live_rows import LiveRows
from rtsmlm.pipeline.opening import metadata_of, open_broadcast
from rtsmlm.pipeline.sinks import Sinks
from rtsmlm.plugins import RunFacts
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.settings.resolve import NOTHING, resolve
from rtsmlm.stream.broadcast import Broadcast

Emit: TypeAlias = Callable[[Event], None]

_ROOM = 256
"""Bytes in the head of the table for a PSF that is not known yet."""


class Outputs:
    """All that rows go to; opened in the order stream, table, sinks, and closed after the last.

    Parameters
    ----------
    job
        What the analysis is to do.
    ring
        Whose frames they are of.
    pixel_nm
        Camera pixel in the sample plane.
    emit
        Called with every event, from any thread.
    """

    def __init__(self, job: PipelineJob, ring: FrameRing, pixel_nm: float, emit: Emit) -> None:
        self._job, self._ring, self._pixel_nm, self._emit = job, ring, pixel_nm, emit
        self._broadcast: Broadcast | None = None
        self._file: ArrowStreamFile | None = None
        self._sync = DiskSync("table-sync", self._warn)  # off this thread: a disk may take its time
        self._sinks: Sinks | None = None
        self._images: ImageFeed | None = None
        self.rows = LiveRows(
            job, field_shape(job.settings.channels, ring.shape), pixel_nm, self._warn
        )
        """Drift and blinking, as far as rows are there."""

    def _warn(self, text: str) -> None:
        self._emit(Warned(text))

    def _metadata(
        self, sigma_nm: float | None, refined: Mapping[str, float] = NOTHING
    ) -> dict[str, object]:
        job = replace(self._job, settings=resolve(self._job.settings, refined=refined))
        return metadata_of(job, self._ring.shape, self._pixel_nm, sigma_nm)

    # -- opening -------------------------------------------------------------------------

    def open_stream(self) -> None:
        """Publish from now on."""
        schema = arrow_schema(self._metadata(None))
        broadcast = self._broadcast = open_broadcast(
            self._job, self._ring.shape, self._pixel_nm, schema, self._warn
        )
        if broadcast.address is not None:
            self._emit(StreamOpened(broadcast.address))

    def open_table(self, sigma_nm: float | None) -> None:
        """Open the table, or go on with that of an analysis that was cut.

        Parameters
        ----------
        sigma_nm
            PSF width that the table states; None leaves room for it, see `state_psf`.

        Raises
        ------
        SinkError
            If it cannot be written.
        """
        path, before = RunFolder(self._job.folder).localizations, self._job.resume_before
        if before is None or not path.exists():
            room = _ROOM if is_measured(self._job.settings) else 0
            self._file = ArrowStreamFile(path, self._metadata(sigma_nm), room=room)
        else:
            self._file = ArrowStreamFile.resume(path, before)
            self.rows.resume()
        self._sync.created(path, path.parent)

    def open_sinks(self, sigma_nm: float) -> None:
        """Open the sinks of a lab, and the process of networks of images."""
        facts = RunFacts(
            folder=self._job.folder,
            shape=self._ring.shape,
            pixel_nm=self._pixel_nm,
            sigma_nm=sigma_nm,
        )
        self._sinks = Sinks(self._job.settings, facts, self._warn)
        self._images = ImageFeed(self._job, self._ring.shape, self._warn)

    def state_psf(self, sigma_nm: float, refined: Mapping[str, float]) -> None:
        """Let the table state the PSF that was measured.

        Parameters
        ----------
        sigma_nm
            Its width.
        refined
            What else was measured, as `PsfSettings.with_measured` takes it.

        Raises
        ------
        SinkError
            If it cannot be written.
        """
        if self._file is not None:
            self._file.restate(self._metadata(sigma_nm, refined))
            self._sync.changed(self._file.path)

    # -- rows ----------------------------------------------------------------------------

    def put(self, localizations: Localizations, batch: FrameBatch) -> None:
        """Write and publish the rows of a batch; they are in the file when this returns.

        Where the settings ask for it they are at their places without drift.

        Raises
        ------
        SinkError
            If they cannot be written.
        """
        if self._file is None:
            raise AssertionError("the table is opened before the first rows")
        localizations = self.rows.corrected(localizations)
        self._file.put(localizations)
        if len(localizations):
            self._sync.changed(self._file.path)
        if self._sinks is not None:
            self._sinks.put(localizations)
        if self._broadcast is not None:
            self._broadcast.rows(localizations, batch)

    def density(self, estimate: DensityEstimate) -> None:
        """Publish an estimate of the density."""
        if self._broadcast is not None:
            self._broadcast.density(estimate.as_dict())

    def frame(self, batch: FrameBatch, t_ns: int) -> None:
        """Publish the newest frame, where someone looks at it."""
        if self._broadcast is not None:
            self._broadcast.frame(batch, t_ns)

    def image(self, batch: FrameBatch, *, behind: bool) -> None:
        """Give frames to networks of images, where they have room."""
        if self._images is not None:
            self._images.put(batch, behind=behind)

    def hand_over(self, status: dict[str, object]) -> None:
        """Leave a status to be published by `refresh`; from any thread."""
        if self._broadcast is not None:
            self._broadcast.hand_over(status)

    def refresh(self) -> None:
        """Publish the newest status, and the layers that have grown."""
        if self._broadcast is not None:
            self._broadcast.refresh()
        if self._images is not None:
            self._images.publish(self._broadcast)

    @property
    def is_watched(self) -> bool:
        """True while the stream has a subscriber."""
        return self._broadcast is not None and self._broadcast.is_watched

    # -- the end -------------------------------------------------------------------------

    def finish(self, summary: Callable[[], dict[str, object]]) -> None:
        """Complete the table and publish the end, in this order.

        Parameters
        ----------
        summary
            Returns what subscribers are sent last.

        Raises
        ------
        SinkError
            If the table cannot be completed.
        """
        if self._file is not None:
            self._file.close()  # whole, before its end is published
            self.rows.finish()
        if self._sinks is not None:
            self._sinks.close()
        if self._images is not None:
            self._close_images(self._images)
            self._images.publish(self._broadcast)
        if self._broadcast is not None:
            self._broadcast.end(summary())

    def close(self) -> None:
        """Close all that is open. Safe to call more than once."""
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

    def __enter__(self) -> Outputs:
        self._sync.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.close()
        finally:
            self._sync.__exit__(None, None, None)
