"""Works out the resolution beside the window: some tenths of a second, now and then."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence

from rtsmlm.analysis.resolution import ResolutionMeter
from rtsmlm.errors import WorkerError
from rtsmlm.localizations import Localizations
from rtsmlm.realtime.worker import Worker

EVERY_S = 4.0
_LEAVE_S = 5.0

_log = logging.getLogger(__name__)


class LiveResolution:
    """Resolution by Fourier ring correlation, in a thread of its own.

    Parameters
    ----------
    shape_px
        Height and width of a frame in camera pixels.
    pixel_nm
        Camera pixel in the sample plane.
    """

    def __init__(self, shape_px: tuple[int, int], pixel_nm: float) -> None:
        self._meter = ResolutionMeter(shape_px, pixel_nm)
        self._lock = threading.Lock()
        self._found: float | None = None
        self._n_seen = 0
        self._worker = Worker("resolution", self._work)
        self._worker.start()

    def add(self, batches: Sequence[Localizations]) -> None:
        """Add rows."""
        for rows in batches:
            self._meter.add(rows)

    def take(self) -> float | None:
        """Return a resolution in nm that is new, else None."""
        with self._lock:
            found, self._found = self._found, None
        return found

    def _work(self, stop: threading.Event) -> None:
        while not stop.wait(EVERY_S):
            if self._meter.n_inside == self._n_seen:
                continue
            self._n_seen = self._meter.n_inside
            resolution_nm = self._meter.resolution_nm()
            if math.isfinite(resolution_nm):
                with self._lock:
                    self._found = resolution_nm

    def close(self) -> None:
        """End the thread. Safe to call more than once."""
        self._worker.stop()
        try:
            self._worker.join(_LEAVE_S)
        except WorkerError as error:
            _log.warning("%s", error)
