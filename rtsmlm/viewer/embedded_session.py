"""EmbeddedSession: runs in a program with an event loop of its own, which never has to wait."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from rtsmlm.errors import CommandError
from rtsmlm.realtime.worker import Worker
from rtsmlm.session.session import Session
from rtsmlm.viewer.commands import Command, carry_out_or_report
from rtsmlm.viewer.owner_notice import OwnerNotice

State: TypeAlias = Literal["idle", "starting", "running", "ending"]
LEAVE_S = 300.0
"""Files are closed and skipped frames caught up within it."""

_log = logging.getLogger(__name__)


class EmbeddedSession:
    """One session after another; takes the window's commands as `Control` and `RunOwner`.

    Starting loads the localizer and ending writes files, both in a thread.

    Parameters
    ----------
    attach
        Called in a thread with `section.key=value` texts; returns a session that runs.
    """

    def __init__(self, attach: Callable[[Sequence[str]], Session]) -> None:
        self._attach = attach
        self.state: State = "idle"
        self.session: Session | None = None
        self._notices: deque[OwnerNotice] = deque()
        self._worker: Worker | None = None

    def ask(self, command: Command) -> None:
        """Act on a command; returns at once, `take_notices` has what is refused."""
        carry_out_or_report(command, self, self._refuse)

    def _refuse(self, text: str) -> None:
        self._notices.append(OwnerNotice(text, "error"))

    def take_notices(self) -> list[OwnerNotice]:
        """Return the sentences for the user since the last call."""
        return [self._notices.popleft() for _ in range(len(self._notices))]

    @property
    def current_run(self) -> Session | None:
        """The session that runs; None before, between and after."""
        return self.session if self.state == "running" else None

    def start_run(self, settings: Sequence[str]) -> None:
        """Begin a session.

        Raises
        ------
        CommandError
            If one goes on.
        """
        if self.state != "idle":
            raise CommandError("a run goes on; stop it first")

        def begin(_stop: threading.Event) -> None:
            self.session = self._attach(settings)

        self.state = "starting"
        self._run_in_thread(begin)

    def stop_run(self) -> None:
        """End the session in order."""
        session = self.current_run
        if session is None:
            return

        def leave(_stop: threading.Event) -> None:
            report = session.close()
            self._notices.extend(OwnerNotice(n.text, n.level) for n in report.notices)
            self._notices.append(OwnerNotice(report.verdict, "information"))

        session.stop()
        self.state = "ending"
        self._run_in_thread(leave)

    def snap(self, settings: Sequence[str]) -> None:
        """Refuse: the camera belongs to the program that embeds this.

        Raises
        ------
        CommandError
            Always.
        """
        del settings
        raise CommandError("take single frames in the program that owns the camera")

    def _run_in_thread(self, work: Callable[[threading.Event], None]) -> None:
        self._worker = Worker("embedded", work, on_death=self._note_failure)
        self._worker.start()

    def _note_failure(self, error: BaseException) -> None:
        self._refuse(str(error) or repr(error))
        _log.error("the embedded session failed", exc_info=error)

    def update(self) -> None:
        """Go on to the next state if it is time; to be called a few times a second."""
        worker = self._worker
        if worker is not None and not worker.alive:
            self._worker = None
            if self.state == "starting" and worker.error is None:
                self.state = "running"
            else:
                self.state, self.session = "idle", None
        if self.current_run is not None and self.current_run.camera_ended.is_set():
            self.stop_run()

    @property
    def address(self) -> str | None:
        """Where the session publishes; None while it does not."""
        return None if self.session is None else self.session.stream_address

    @property
    def run_id(self) -> str | None:
        """Number of the run, in all its messages; None while there is none."""
        return None if self.session is None else self.session.run_id

    @property
    def folder(self) -> Path | None:
        """Folder of the run; None while there is none."""
        return None if self.session is None else self.session.folder.path

    def close(self) -> None:
        """End what goes on, in order, and wait for it. Safe to call more than once."""
        for _ in range(2):  # what starts must have started before it can end
            if self._worker is not None and not self._worker.wait(LEAVE_S):
                _log.warning("the embedded session did not end within %g s", LEAVE_S)
            self.update()
            self.stop_run()
