"""LoopMeter: how late the event loop of the window is, whatever keeps it busy."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from rtsmlm.realtime.latency import LatencyHistogram
from rtsmlm.viewer.widgets.qt import QtCore

BEAT_MS = 10


@dataclass(frozen=True, slots=True)
class LoopLag:
    """How late events were handled."""

    p50_ms: float
    p99_ms: float
    max_ms: float


class LoopMeter:
    """A timer that compares when it was due with when it came.

    While the loop stands still, every beat that is left out counts: a loop that stood for a second
    was late for all who would have clicked within it.

    Parameters
    ----------
    parent
        Owner of the timer.
    """

    def __init__(self, parent: QtCore.QObject) -> None:
        self._lags = LatencyHistogram()
        self._last_s: float | None = None
        self._timer = QtCore.QTimer(parent)
        self._timer.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def _beat(self) -> None:
        now_s = time.monotonic()
        if self._last_s is not None:
            self.note(now_s - self._last_s - BEAT_MS / 1000)
        self._last_s = now_s

    def note(self, late_s: float) -> None:
        """Count a beat that came so late, and those that it left out."""
        n_left_out = max(0, int(late_s * 1000 // BEAT_MS))
        late_ns = max(late_s, 0.0) * 1e9 - np.arange(n_left_out + 1) * BEAT_MS * 1e6
        self._lags.add(late_ns.astype(np.int64))

    def restart(self) -> None:
        """Forget what was before."""
        self._lags = LatencyHistogram()
        self._last_s = None

    @property
    def lag(self) -> LoopLag:
        """Since the start; NaN before the first beats."""
        found = self._lags.summary()
        return LoopLag(found["p50"], found["p99"], found["max"])

    def stop(self) -> None:
        """End the timer."""
        self._timer.stop()
