"""Compiles what draws in a thread, so that the window answers meanwhile."""

from __future__ import annotations

import logging
import threading

from rtsmlm.realtime.worker import Worker
from rtsmlm.viewer.live_picture import warm_up

_LEAVE_S = 60.0

_log = logging.getLogger(__name__)


class WarmUp:
    """Some tenths of a second, or half a minute on the very first start."""

    def __init__(self) -> None:
        self._worker = Worker("warm-up", self._work, on_death=self._say, has_time=True)
        self._worker.start()

    def _work(self, _stop: threading.Event) -> None:
        warm_up()

    def _say(self, error: BaseException) -> None:
        _log.error("what draws could not be compiled ahead", exc_info=error)

    @property
    def is_done(self) -> bool:
        """True once drawing takes no compiling any more."""
        return not self._worker.alive

    def close(self) -> None:
        """Wait for the end, which cannot be hurried. Safe to call more than once."""
        self._worker.end(_LEAVE_S)
