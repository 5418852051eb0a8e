"""FinalAccount: what became of the frames of a run, from its folder, once it is all written.

The stream of a run ends with its analysis; what is caught up and counted after that stands in its
folder alone. No Qt here.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path

from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.state import run_state
from rtsmlm.realtime.worker import Worker
from rtsmlm.stream.messages import StatusMessage
from rtsmlm.viewer.sources.folder_status import FolderStatus
from rtsmlm.viewer.sources.updates import RunUpdate

_POLL_S = 0.5
_LEAVE_S = 5.0

_log = logging.getLogger(__name__)


class FinalAccount:
    """Adds the folder of a run to its updates, and its last status, which is read in a thread."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        """Of the run that a stream shows; None where it is not known, or not on this machine."""
        self._worker: Worker | None = None
        self._is_asked = False
        self._status: StatusMessage | None = None
        self._n_rows = 0

    def complete(self, update: RunUpdate) -> RunUpdate:
        """Return an update with all that the folder adds to it."""
        if update.folder is not None or self.folder is None:
            return update
        update = replace(update, folder=self.folder)
        if update.status is not None:
            self._n_rows = update.status.localizations
        if update.begins or update.connection != "ended":
            self.close()
        elif not self._is_asked:
            self._is_asked = True
            self._worker = Worker("final-account", self._read, on_death=self._note, has_time=True)
            self._worker.start()
        status, self._status = self._status, None
        return update if status is None else replace(update, status=status)

    def _read(self, stop: threading.Event) -> None:
        folder = self.folder
        while folder is not None and run_state(folder).stage == "running":
            if stop.wait(_POLL_S):
                return
        if folder is None:
            return
        files = FolderStatus(RunFolder(folder))
        files.update()
        self._status = files.status(self._n_rows)

    def _note(self, error: BaseException) -> None:
        _log.error("the accounts of the run cannot be read", exc_info=error)

    def close(self) -> None:
        """End the thread. Safe to call more than once."""
        worker, self._worker = self._worker, None
        self._is_asked, self._status = False, None
        if worker is None:
            return
        worker.end(_LEAVE_S)
