"""What is known of rows while they come: the drift of the sample, and how emitters blink.

A row leaves with the drift that was known before it; what it adds to that knowledge is worked out
after it has been written and published, so that no frame waits for it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from rtsmlm.analysis.drift import DriftTracker
from rtsmlm.analysis.drift_trace import DriftEstimate, DriftTrace, without_drift
from rtsmlm.analysis.image_drift import ImageDrift
from rtsmlm.analysis.linking import Linker
from rtsmlm.errors import RtsmlmError
from rtsmlm.files.run.drift_file import DRIFT_FILE, HEADING, drift_lines, read_drift
from rtsmlm.files.run.statistics import state_statistics
from rtsmlm.files.tables.arrow_file import iter_arrow_batches
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.realtime.worker import one_line

_AXES = ("x_nm", "y_nm", "z_nm")

_log = logging.getLogger(__name__)


class LiveRows:
    """Drift and blinking of a run, as far as its rows are there.

    What fails here costs these figures, and never a row.

    Parameters
    ----------
    job
        What the analysis is to do.
    shape, pixel_nm
        Height and width of the field in pixels, and their side in the sample plane.
    warn
        Called with one sentence for what the user should know.
    """

    def __init__(
        self,
        job: PipelineJob,
        shape: tuple[int, int],
        pixel_nm: float,
        warn: Callable[[str], None],
    ) -> None:
        self._folder, self._warn = job.folder, warn
        self._corrects = job.settings.drift.correct
        self._tracker: DriftTracker | None = DriftTracker(max(shape) * pixel_nm)
        self._image: ImageDrift | None = None
        self._t_image_ns: int | None = None
        if job.settings.drift.image:
            self._image = ImageDrift(shape, pixel_nm)
        self._linker: Linker | None = Linker(job.settings.linking.gap_frames)
        self._n_written = 0
        self._t_block_ns: int | None = None
        self._block = DriftEstimate()
        self.drift_block = self._block
        """What the newest block of frames states of the drift by itself."""

    def resume(self) -> None:
        """Go on where an analysis that was cut has ended: with its table and its drift."""
        try:
            frame, drift_nm = read_drift(self._folder / DRIFT_FILE)
            if self._tracker is not None and len(frame):
                self._tracker.resume(self._rows_before(), DriftTrace(frame, drift_nm))
                self._n_written = len(frame)
        except RtsmlmError as error:
            _log.info("the drift is measured anew: %s", error)

    def _rows_before(self) -> Iterator[Localizations]:
        return iter_arrow_batches(self._folder / "localizations.arrows")

    def corrected(self, rows: Localizations) -> Localizations:
        """Return rows without the drift that is known by now, where the settings ask for it."""
        if not self._corrects:
            return rows
        drift_nm = np.zeros((len(rows), 3))
        if self._tracker is not None:
            drift_nm = self._tracker.at(rows.frame)
        return without_drift(rows, drift_nm)

    def learn(self, rows: Localizations, t_first_ns: int = 0) -> None:
        """Take rows as they were localized; those of one frame in one call, in order of frames.

        Parameters
        ----------
        rows
            Of some frames.
        t_first_ns
            When the exposure of the first of these frames ended.
        """
        if not len(rows):
            return
        if self._t_block_ns is None:
            self._t_block_ns = t_first_ns
        if self._tracker is not None:
            try:
                self._tracker.add(rows)
                self._take_block(self._tracker)
                self._write_drift(self._tracker)
            except Exception as error:  # the run has its rows whatever becomes of this
                self._tracker = None
                self._give_up("drift", error)
        if self._linker is not None:
            try:
                self._linker.add(rows)
            except Exception as error:
                self._linker = None
                self._give_up("time that emitters are on", error)

    def look(self, batch: FrameBatch) -> None:
        """Take the frames of some rows, whose image shows the drift where rows are few."""
        tracker = self._tracker
        if self._image is None or tracker is None:
            return
        if self._t_image_ns is None:
            self._t_image_ns = int(batch.t_exposure_end_ns[0])
        try:
            expected_nm = tracker.at(batch.index[-1:])[0, :2]
            shift = self._image.add(batch.pixels, batch.index, expected_nm)
            if shift is None:
                return
            if tracker.add_image(shift):
                self._block = tracker.newest
                self.drift_block = replace(self._block, t_first_ns=self._t_image_ns)
                self._write_drift(tracker)
            self._t_image_ns = None
        except Exception as error:  # the run has its rows whatever becomes of this
            self._image = None
            self._give_up("drift by the image", error)

    def _take_block(self, tracker: DriftTracker) -> None:
        if tracker.newest is not self._block:
            self._block = tracker.newest
            self.drift_block = replace(self._block, t_first_ns=self._t_block_ns or 0)
        if not tracker.is_within_block:
            self._t_block_ns = None

    def _give_up(self, what: str, error: Exception) -> None:
        _log.error("the %s is no longer measured", what, exc_info=error)
        self._warn(f"the {what} is no longer measured: {one_line(error)}; the run goes on")

    def _write_drift(self, tracker: DriftTracker) -> None:
        """Append what is new to `drift.csv`, so that it is there whatever happens."""
        if tracker.n_knots == self._n_written:
            return
        trace = tracker.trace
        n = self._n_written
        new = drift_lines(trace.frame[n:], trace.drift_nm[n:], tracker.sources[n:])
        path = self._folder / DRIFT_FILE
        is_new = not self._n_written
        with path.open("w" if is_new else "a", encoding="utf-8", newline="\n") as file:
            file.write(f"{HEADING}\n{new}" if is_new else new)
        self._n_written = tracker.n_knots

    @property
    def drift_nm(self) -> dict[str, float]:
        """The newest drift by axis, as `x_nm`; empty while it is not known."""
        if self._tracker is None or self._tracker.n_knots < 2:
            return {}
        newest = self._tracker.trace.drift_nm[-1]
        return {axis: round(float(v), 2) for axis, v in zip(_AXES, newest, strict=True)}

    @property
    def blinking(self) -> dict[str, float]:
        """How emitters blink, as in `statistics.json`; without what is not known."""
        if self._linker is None:
            return {}
        figures = self._linker.statistics.as_dict()
        return {name: float(v) for name, v in figures.items() if np.isfinite(v)}

    def finish(self) -> None:
        """Write how emitters blink, and what the drift rests on."""
        if self._tracker is not None and self._tracker.n_knots > 1:
            self._state("drift", self._drift_statistics(self._tracker))
        if self._linker is None or not self._linker.statistics.n_emitters:
            return
        self._linker.finish()
        self._state("linking", self._linker.statistics.as_dict())

    def _drift_statistics(self, tracker: DriftTracker) -> dict[str, object]:
        count = Counter(tracker.sources)
        image = " and the camera's image" if count["image"] else ""
        return {
            "method": f"the likelihood of each block under all before it{image}",
            "taken_off": self._corrects,
            "blocks_by_localizations": count["localizations"],
            "blocks_by_image": count["image"],
        }

    def _state(self, kind: str, figures: Mapping[str, object]) -> None:
        try:
            state_statistics(self._folder, kind, figures)
        except RtsmlmError as error:
            self._warn(f"statistics.json is not written: {one_line(error)}")


def rehearse(job: PipelineJob) -> None:
    """Use all of this once, on made-up rows in memory, so that nothing is compiled later."""
    rng = np.random.default_rng(0)
    n_frames, n = 120, 40
    places = np.vstack([rng.uniform(0, 5000, (n, 3)) * [1, 1, 0.1], [[900, 900, 0]]])
    tracker, linker = DriftTracker(5000.0), Linker(job.settings.linking.gap_frames)
    for frame in range(n_frames):
        x, y, z = (places + rng.normal(0, 5, places.shape)).T
        std = np.full(n + 1, 5.0)
        rows = Localizations.from_columns(
            {"frame": np.full(n + 1, frame), "x_nm": x, "y_nm": y, "z_nm": z, "photons": std,
             "std_x_nm": std, "std_y_nm": std, "std_z_nm": 3 * std}
        )  # fmt: skip
        without_drift(rows, tracker.at(rows.frame))
        tracker.add(rows)
        linker.add(rows)
    linker.finish()
