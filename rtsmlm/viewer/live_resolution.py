"""Resolution in the window process, where there is no run that measures it: of a folder.

A run measures it itself (`feedback.resolution_monitor`), and the window shows those figures.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence

from rtsmlm.analysis.resolution import ResolutionMeter
from rtsmlm.localizations import Localizations
from rtsmlm.realtime.worker import Worker
from rtsmlm.stream.messages import ResolutionMessage

EVERY_S = 4.0
_LEAVE_S = 5.0

_log = logging.getLogger(__name__)


class LiveResolution:
    """Resolution by Fourier ring correlation, in a thread of its own: it takes tenths of a second.

    Parameters
    ----------
    shape_px
        Height and width of a frame in camera pixels.
    pixel_nm
        Camera pixel in the sample plane.
    """

    def __init__(self, shape_px: tuple[int, int], pixel_nm: float) -> None:
        self.every_s = EVERY_S
        """From one measurement to the next; more while the run needs the cores."""
        self._meter = ResolutionMeter(shape_px, pixel_nm, repeats=True)
        self._lock = threading.Lock()
        self._frame = -1
        self._newest: ResolutionMessage | None = None
        self._n_measured = 0
        self._worker = Worker("resolution", self._work, on_death=self._report, has_time=True)
        self._worker.start()

    def add(self, batches: Sequence[Localizations]) -> None:
        """Add rows."""
        for rows in batches:
            self._meter.add(rows)
            if len(rows):
                self._frame = max(self._frame, int(rows.frame.max()))

    def take(self) -> ResolutionMessage | None:
        """Return a resolution that is new, else None."""
        with self._lock:
            newest, self._newest = self._newest, None
        return newest

    def _work(self, stop: threading.Event) -> None:
        while not stop.wait(self.every_s):
            if self._meter.n_inside == self._n_measured:
                continue
            self._n_measured, frame = self._meter.n_inside, self._frame
            found = self._meter.figures()
            if math.isfinite(found.frc_nm):
                with self._lock:
                    self._newest = ResolutionMessage(
                        frame=frame,
                        resolution_nm=found.frc_nm,
                        decorrelation_nm=found.decorrelation_nm,
                        nyquist_nm=found.nyquist_nm,
                        nena_nm=found.nena_nm,
                    )

    def _report(self, error: BaseException) -> None:
        _log.error("the resolution is no longer measured", exc_info=error)

    def close(self) -> None:
        """End the thread. Safe to call more than once."""
        self._worker.end(_LEAVE_S)
