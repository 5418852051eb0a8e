"""WindowMeter: what a window measures of itself while it shows a run."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np

from rtsmlm.realtime.process_memory import resident_mb
from rtsmlm.viewer.commands import WindowFigures
from rtsmlm.viewer.loop_meter import LoopMeter
from rtsmlm.viewer.widgets.qt import QtCore

_PERIOD_MS = 1000
_MEMORY_S = 60
"""The growth of the memory is that of the last minute."""


class WindowMeter:
    """Event loop, pictures and memory since a run has begun.

    Parameters
    ----------
    parent
        Owner of the timers.
    """

    def __init__(self, parent: QtCore.QObject) -> None:
        self.loop = LoopMeter(parent)
        self.n_pictures = 0
        """Pictures of the run that were shown."""
        self.on_figures: Callable[[WindowFigures], None] | None = None
        """Called once a second while a run is shown."""
        self._run_id = ""
        self._began_s = time.monotonic()
        self._memory: deque[tuple[float, float]] = deque(maxlen=_MEMORY_S)
        self._timer = QtCore.QTimer(parent)
        self._timer.setInterval(_PERIOD_MS)
        self._timer.timeout.connect(self._take_stock)
        self._timer.start()

    def begin(self, run_id: str) -> None:
        """Begin anew, with another run."""
        self._run_id, self._began_s, self.n_pictures = run_id, time.monotonic(), 0
        self._memory.clear()
        self.loop.restart()

    def _take_stock(self) -> None:
        self._memory.append((time.monotonic(), resident_mb()))
        if self._run_id and self.on_figures is not None:
            self.on_figures(self.figures)

    @property
    def figures(self) -> WindowFigures:
        """All figures so far; NaN where one is not known yet."""
        seconds, lag = time.monotonic() - self._began_s, self.loop.lag
        return WindowFigures(
            run_id=self._run_id,
            seconds=seconds,
            lag_p50_ms=lag.p50_ms,
            lag_p99_ms=lag.p99_ms,
            lag_max_ms=lag.max_ms,
            pictures_per_s=self.n_pictures / max(seconds, 1e-3),
            memory_mb=resident_mb(),
            memory_growth_mb_per_min=self._growth_mb_per_min(),
        )

    def _growth_mb_per_min(self) -> float:
        if len(self._memory) < _MEMORY_S // 2:
            return float("nan")
        at_s, mb = np.array(self._memory).T
        return float(np.polyfit(at_s - at_s[0], mb, 1)[0]) * 60

    def stop(self) -> None:
        """End the timers."""
        self._timer.stop()
        self.loop.stop()
