"""Notices: warnings and failures of a run, from all its threads, for its report."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from rtsmlm.errors import RtsmlmError
from rtsmlm.files.run.report import Notice, NoticeLevel, RunReport
from rtsmlm.realtime.worker import one_line

MOST_NOTICES = 100
"""In one status: each has all of them again."""

_log = logging.getLogger(__name__)


class Notices:
    """Collect warnings and failures. Safe to use from several threads.

    Parameters
    ----------
    report
        Where they are written.
    """

    def __init__(self, report: RunReport) -> None:
        self._report = report
        self._lock = threading.Lock()

    def inform(self, text: str) -> None:
        """Add a sentence on what went as it was wanted."""
        _log.info("%s", text)
        with self._lock:
            self._add("information", text)

    def warn(self, text: str) -> None:
        """Add a sentence that the user should read."""
        _log.warning("%s", text)
        with self._lock:
            self._report.warnings.append(text)
            self._add("warning", text)

    def fail(self, text: str) -> None:
        """Add the reason why the run counts as failed."""
        _log.error("%s", text)
        with self._lock:
            self._report.failures.append(text)
            self._add("error", text)

    def _add(self, level: NoticeLevel, text: str) -> None:
        self._report.notices.append(Notice(time.time(), level, text))

    def fail_with(self, error: BaseException) -> None:
        """Add an error as the reason why the run counts as failed; the log gets all of a fault."""
        if not isinstance(error, RtsmlmError):
            _log.error("a part of the run failed", exc_info=error)
        self.fail(one_line(error))

    def so_far(self) -> list[str]:
        """Return all failures and warnings so far."""
        with self._lock:
            return [*self._report.failures, *self._report.warnings]

    def newest(self, most: int) -> list[Notice]:
        """Return the newest sentences of all levels, the oldest of them first."""
        with self._lock:
            return self._report.notices[-most:]

    def run_step(self, step: Callable[[], object]) -> None:
        """Run one step of the end of a run; its failure is added, and the next step still runs."""
        try:
            step()
        except Exception as error:
            self.fail_with(error)
