"""RunningAccounts: `ledger.json` while the run goes on, and room on the disk for what comes after.

A run that is cut, by a crash or a power cut, has its accounts up to the last second, and a disk
that fills up during the run takes all but its accounts.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import asdict

from rtsmlm.errors import SinkError
from rtsmlm.files.run.folder import write_text
from rtsmlm.files.run.reserve import AccountsReserve
from rtsmlm.files.run.state import RUN_SO_FAR
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.process_identity import process_of
from rtsmlm.realtime.worker import Worker, one_line
from rtsmlm.session.frame_path import FramePath
from rtsmlm.session.notices import Notices

_PERIOD_S = 1.0
_LEAST_REST = 20
"""Times as long as the last writing took: a long ledger on a slow disk is written less often."""
_END_S = 30.0

_log = logging.getLogger(__name__)


class RunningAccounts:
    """Writes the ledger about once a second, in a thread of its own, and holds the reserve.

    Parameters
    ----------
    path
        The way of the frames, with their ledger and the progress of the analysis.
    notices
        Warnings and failures so far. One more is added if the file cannot be written; it is tried
        again all the same.
    """

    def __init__(self, path: FramePath, notices: Notices) -> None:
        self._path, self._notices = path, notices
        self._has_warned = False
        self._reserve: AccountsReserve | None = None
        self._worker = Worker("ledger", self._run, on_death=self._die)

    def start(self) -> None:
        """Reserve the room, write the ledger for the first time, then go on in a thread.

        Raises
        ------
        SinkError
            If the disk has no room for the accounts.
        """
        self._reserve = AccountsReserve(self._path.folder.path, self._path.accounts_bytes)
        self._write()
        self._worker.start()

    def stop(self) -> None:
        """End, and give the room back to those who write the accounts. May be repeated.

        Raises
        ------
        WorkerError
            If the disk does not answer.
        """
        self._worker.stop()
        try:
            self._worker.join(_END_S)
        finally:
            if self._reserve is not None:
                self._reserve.release()

    def _run(self, stop: threading.Event) -> None:
        rest_s = _PERIOD_S
        while not stop.wait(rest_s):
            start_ns = now_ns()
            self._write()
            rest_s = max(_PERIOD_S, _LEAST_REST * (now_ns() - start_ns) * 1e-9)

    def _write(self) -> None:
        progress = self._path.progress
        data = self._path.ledger.as_dict("running") | {
            RUN_SO_FAR: {
                "psf_sigma_nm": progress.sigma_nm,
                "psf_refined": progress.refined,
                "assumed_before": progress.assumed_before,
                "camera_measured": {} if progress.camera is None else progress.camera.values,
                "localizations": progress.localizations,
                "latency_ms": progress.latency_ms,
                "validity": progress.validity,
                "messages": self._notices.so_far(),
                "analysis": self._analysis(),
            }
        }
        try:
            # Not indented: that takes ten times as long, from the threads that take frames.
            write_text(self._path.folder.ledger, json.dumps(data) + "\n")
        except SinkError as error:
            if not self._has_warned:
                self._has_warned = True
                self._notices.warn(
                    f"the accounts of the run are not up to date on the disk: {error}"
                )

    def _analysis(self) -> dict[str, object] | None:
        """Return the identity of the analysis process, which outlives this one for a while."""
        pid = self._path.analysis_pid
        return None if pid is None else asdict(process_of(pid))

    def _die(self, error: BaseException) -> None:
        _log.error("the ledger is not written any more", exc_info=error)
        self._notices.warn(f"ledger.json is not written while the run goes on: {one_line(error)}")
