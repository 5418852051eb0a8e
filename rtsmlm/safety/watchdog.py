"""Watchdog: a thread for every guard that polls it a few times a second, whatever else hangs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from rtsmlm.errors import WorkerError
from rtsmlm.realtime.worker import Worker, one_line
from rtsmlm.safety.guard import Guard

POLL_S = 0.25
"""Two bad polls make a trip, which is then still within a second."""
_POLL_DARK_S = 0.1
"""While an order to go dark is not confirmed."""
_END_S = 10.0

_log = logging.getLogger(__name__)


class Watchdog:
    """Poll guards until stopped, each in a thread of its own, whose failure trips its guard.

    Parameters
    ----------
    guards
        One that hangs delays no other.
    """

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._workers = [_worker(guard) for guard in guards]

    def start(self) -> None:
        """Start watching."""
        for worker in self._workers:
            worker.start()

    def close(self) -> None:
        """Stop watching; all guards must be safe by then.

        Raises
        ------
        WorkerError
            If a thread does not end.
        """
        for worker in self._workers:
            worker.stop()
        left = []
        for worker in self._workers:
            try:
                worker.join(_END_S)
            except WorkerError as error:
                left.append(str(error))
        if left:
            raise WorkerError("; ".join(left))


def _worker(guard: Guard) -> Worker:
    def watch(stop: threading.Event) -> None:
        while not stop.wait(_POLL_DARK_S if guard.is_going_dark else POLL_S):
            try:
                guard.poll()
            except Exception as error:  # it goes on: the light may not be seen dark yet
                die(error)

    def die(error: BaseException) -> None:
        _log.error("the watchdog of %s failed", guard.actuator.name, exc_info=error)
        guard.trip(f"its watchdog failed: {one_line(error)}")

    return Worker(f"watchdog {guard.actuator.name}", watch, on_death=die)
