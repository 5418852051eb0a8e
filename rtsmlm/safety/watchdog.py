"""Watchdog: a thread that polls every guard a few times a second, whatever else hangs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from rtsmlm.realtime.worker import Worker
from rtsmlm.safety.guard import Guard

POLL_S = 0.25
"""Three bad polls make a trip, which is then still within a second."""
_END_S = 10.0

_log = logging.getLogger(__name__)


class Watchdog:
    """Poll guards until stopped; its own death is a trip of all of them.

    Parameters
    ----------
    guards
        Polled one after the other.
    """

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = guards
        self._worker = Worker("watchdog", self._watch, on_death=self._die)

    def start(self) -> None:
        """Start watching."""
        self._worker.start()

    def close(self) -> None:
        """Stop watching; all guards must be safe by then.

        Raises
        ------
        WorkerError
            If the thread hangs in a driver.
        """
        self._worker.stop()
        self._worker.join(_END_S)

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(POLL_S):
            for guard in self._guards:
                guard.poll()

    def _die(self, error: BaseException) -> None:
        _log.error("the watchdog died", exc_info=error)
        for guard in self._guards:
            guard.trip(f"the watchdog died: {error}")
