"""Lasers off from other programs of the user, for as long as the lasers of a run are driven."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtsmlm.stream.control import ControlServer

if TYPE_CHECKING:
    from rtsmlm.session.session import Session


class LocalControl:
    """The control of a run (`stream.control`); of one whose lasers are not driven there is none.

    Parameters
    ----------
    session
        The run, whose lasers are switched off.
    is_armed
        Whether its lasers are driven.
    """

    def __init__(self, session: Session, *, is_armed: bool) -> None:
        self._server: ControlServer | None = None
        if is_armed:
            run = session.folder.path.name
            self._server = ControlServer(session.run_id, session.lasers_off, session.warn, run=run)

    def start(self) -> None:
        """Take requests; where that is not possible the run goes on, with a warning."""
        if self._server is not None:
            self._server.start()

    def close(self) -> None:
        """Take no more requests. Safe to call more than once."""
        if self._server is not None:
            self._server.close()
