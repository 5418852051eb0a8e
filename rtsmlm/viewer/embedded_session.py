"""EmbeddedSession: runs in a program with a loop of its own, which is never held up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from rtsmlm.errors import RtsmlmError
from rtsmlm.realtime.worker import Worker
from rtsmlm.session.session import Session
from rtsmlm.viewer.sources.updates import Command

State: TypeAlias = Literal["idle", "starting", "running", "ending"]
LEAVE_S = 300.0
"""Files are closed and skipped frames caught up within it."""

_log = logging.getLogger(__name__)


class EmbeddedSession:
    """One session after another; implements `news.Control`.

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
        self.said: list[str] = []
        """Sentences for the person, to be taken away by whoever shows them."""
        self._worker: Worker | None = None

    def ask(self, command: Command, **values: Any) -> None:
        """Do what a person asks for; returns at once."""
        session = self.session
        try:
            if command == "start":
                self.start(values.get("settings") or ())
            elif session is None or self.state != "running":
                self.said.append("there is no run now; start one first")
            elif command == "lasers off":
                session.lasers_off()
            elif command == "stop":
                self.stop()
            elif command == "target":
                session.aim(values["per_um2"])
            elif command == "gain":
                session.set_gain(values["value"])
            elif command == "reset trip":
                session.reset_trip("reset in the window")
            else:
                self.said.append(f"{command}: set it in the program that owns the camera")
        except RtsmlmError as error:
            self.said.append(str(error))

    def start(self, settings: Sequence[str]) -> None:
        """Begin a session, unless one goes on."""
        if self.state != "idle":
            self.said.append("a run goes on; stop it first")
            return

        def begin(_stop: threading.Event) -> None:
            self.session = self._attach(settings)

        self.state = "starting"
        self._do(begin)

    def stop(self) -> None:
        """End the session in order."""
        session = self.session
        if session is None or self.state != "running":
            return

        def leave(_stop: threading.Event) -> None:
            report = session.close()
            self.said += [*report.failures, *report.warnings, report.verdict]

        session.stop()
        self.state = "ending"
        self._do(leave)

    def _do(self, work: Callable[[threading.Event], None]) -> None:
        self._worker = Worker("embedded", work)
        self._worker.start()

    def look(self) -> None:
        """Go on to the next state if it is time; called now and then."""
        worker = self._worker
        if worker is not None and not worker.alive:
            self._worker = None
            if worker.error is not None:
                self.said.append(str(worker.error) or repr(worker.error))
                _log.error("the embedded session failed", exc_info=worker.error)
            if self.state == "starting" and worker.error is None:
                self.state = "running"
            else:
                self.state, self.session = "idle", None
        if (
            self.state == "running"
            and self.session is not None
            and self.session.camera_ended.is_set()
        ):
            self.stop()

    @property
    def address(self) -> str | None:
        """Where the session publishes; None while it does not."""
        return None if self.session is None else self.session.stream_address

    def close(self) -> None:
        """End what goes on, in order, and wait for it. Safe to call more than once."""
        for _ in range(2):  # what starts must have started before it can end
            if self._worker is not None and not self._worker.wait(LEAVE_S):
                _log.warning("the embedded session did not end within %g s", LEAVE_S)
            self.look()
            self.stop()
