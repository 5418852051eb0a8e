"""LocalLasersOff: the lasers of a run that this window has not started can be switched off, too.

That is so where the run is of the same user on the same machine (`stream.control`). It is asked in
a thread: no answer that is missing stops the window from drawing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from rtsmlm.errors import RtsmlmError
from rtsmlm.realtime.worker import Worker, one_line
from rtsmlm.stream.control_files import is_reachable
from rtsmlm.stream.lasers_off import lasers_off
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.sources.updates import RunUpdate

_CHECK_S = 1.0

_log = logging.getLogger(__name__)


class LocalLasersOff(Panel):
    """Offers the button while the run can be reached, and reports what became of it.

    Parameters
    ----------
    allow
        Called with whether the run can be reached, when that changes.
    report
        Called with each answer.
    """

    def __init__(self, allow: Callable[[bool], None], report: Callable[[str], None]) -> None:
        self._allow, self._report = allow, report
        self._is_needed = True
        self._run_id = ""
        self._is_reachable = False
        self._check_at_s = 0.0
        self._answers: deque[str] = deque()

    def set_why_not(self, why_not: str | None) -> None:
        """Act only where the window has no control of its own."""
        self._is_needed = why_not is not None
        self._check_at_s = 0.0

    def show_update(self, update: RunUpdate) -> None:
        """Learn which run is shown."""
        if update.run is not None and update.run.run_id != self._run_id:
            self._run_id, self._check_at_s = update.run.run_id, 0.0

    def refresh(self) -> None:
        """Report the answers, and look whether the run can be reached."""
        while self._answers:
            self._report(self._answers.popleft())
        if time.monotonic() < self._check_at_s:
            return
        self._check_at_s = time.monotonic() + _CHECK_S
        is_reachable = self._is_needed and bool(self._run_id) and is_reachable_run(self._run_id)
        if is_reachable != self._is_reachable:
            self._is_reachable = is_reachable
            self._allow(is_reachable)

    @property
    def is_possible(self) -> bool:
        """True where the run that is shown can be reached, and is not by a control."""
        return self._is_needed and self._is_reachable

    def ask(self) -> bool:
        """Ask the run that is shown; False if it cannot be reached."""
        if not self.is_possible:
            return False
        Worker("local-off", self._ask, on_death=self._die).start()
        self._report("Asked: lasers off")
        return True

    def _ask(self, _stop: threading.Event) -> None:
        try:
            answers = [answer.text for answer in lasers_off(self._run_id)]
        except RtsmlmError as error:
            answers = [str(error)]
        self._answers.extend(answers or ["the run is not armed any more"])

    def _die(self, error: BaseException) -> None:
        _log.error("lasers off failed", exc_info=error)
        self._answers.append(f"lasers off failed: {one_line(error)}; use rtsmlm lasers-off")


def is_reachable_run(run_id: str) -> bool:
    """Return whether a run, whose number a stream has stated, is an armed one of this user here."""
    return run_id.isalnum() and is_reachable(run_id)
