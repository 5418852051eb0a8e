"""Measures the resolution of a run while it goes on, for its stop criterion and its status.

It reads the table, as a viewer does. The window shows these figures and measures none of its own,
so that a run which stops at 25 nm shows 25 nm.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from pathlib import Path

from rtsmlm.analysis.resolution import ResolutionMeter
from rtsmlm.errors import FileFormatError
from rtsmlm.feedback.records import Resolution
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_decoder import ArrowDecoder
from rtsmlm.realtime.worker import Worker

_PAUSE_S = 5.0
_SHARE = 0.05
"""Most part of one core that measuring may take."""
_CHUNK_BYTES = 1 << 22
_END_S = 10.0

_log = logging.getLogger(__name__)


class ResolutionMonitor:
    """Measure the resolution every few seconds, in a thread of its own.

    Parameters
    ----------
    table
        `localizations.arrows` of the run; it need not be there yet.
    shape_px
        Height and width of a frame in camera pixels.
    pixel_nm
        Camera pixel in the sample plane.
    pause_s
        Time between two measurements.
    """

    def __init__(
        self, table: Path, shape_px: tuple[int, int], pixel_nm: float, *, pause_s: float = _PAUSE_S
    ) -> None:
        self._table = table
        self._shape_px, self._pixel_nm, self._pause_s = shape_px, pixel_nm, pause_s
        self._history: list[tuple[int, float]] = []
        self._newest = Resolution()
        self._worker = Worker("resolution", self._measure_repeatedly)
        self._start()

    def _start(self) -> None:
        self._meter = ResolutionMeter(self._shape_px, self._pixel_nm, repeats=True)
        self._feed = ArrowDecoder()
        self._frame = -1
        self._n_measured = 0

    @property
    def newest(self) -> Resolution:
        """The newest measurement; NaN before the first one."""
        return self._newest

    @property
    def history(self) -> list[tuple[int, float]]:
        """Newest frame and resolution in nm of each measurement so far, in their order."""
        return list(self._history)

    def start(self) -> None:
        """Start measuring."""
        self._worker.start()

    def stop(self) -> None:
        """Measure no more: the figure that ended the run stays the newest."""
        self._worker.stop()

    def close(self) -> None:
        """Stop, and wait for the end of what goes on.

        Raises
        ------
        WorkerError
            If it does not end.
        """
        self.stop()
        self._worker.join(_END_S)

    def _measure_repeatedly(self, stop: threading.Event) -> None:
        pause_s = self._pause_s
        while not stop.wait(pause_s):
            # Its own time on a core: waiting for others, on a busy machine, costs them nothing.
            begun_s = time.thread_time()
            try:
                self.measure()
            except FileFormatError as error:  # cut after a crash, and longer again by now
                _log.warning("the resolution could not be measured and starts anew: %s", error)
                self._start()
            except Exception:  # a missing figure ends no run
                _log.exception("the resolution could not be measured")
            pause_s = max(self._pause_s, (time.thread_time() - begun_s) / _SHARE)

    def measure(self) -> None:
        """Read what is new in the table, and measure."""
        if not self._table.exists():
            return
        if self._table.stat().st_size < self._feed.n_bytes:  # cut after a crash of the analysis
            self._start()
        with self._table.open("rb") as file:
            file.seek(self._feed.n_bytes)
            while data := file.read(_CHUNK_BYTES):
                for rows in self._feed.feed(data):
                    self._meter.add(rows)
                    self._frame = max(self._frame, int(rows.frame.max()))
        if self._meter.n_inside == self._n_measured:
            return
        self._n_measured = self._meter.n_inside
        found = self._meter.figures()
        if not self._worker.stop_event.is_set():
            if math.isfinite(found.frc_nm):
                self._history.append((self._frame, found.frc_nm))
            self._newest = Resolution(
                self._frame,
                found.frc_nm,
                found.decorrelation_nm,
                found.nyquist_nm,
                found.nena_nm,
            )


def resolution_monitor(
    folder: RunFolder, shape_px: tuple[int, int], pixel_nm: float
) -> ResolutionMonitor:
    """Return the monitor of a run."""
    return ResolutionMonitor(folder.localizations, shape_px, pixel_nm, pause_s=_PAUSE_S)
