"""Lasers off from other programs of the user, for as long as the lasers of a run are driven."""

from __future__ import annotations

from collections.abc import Callable

from rtsmlm.stream.control import ControlServer


class LocalControl:
    """The control of a run (`stream.control`); of one whose lasers are not driven there is none.

    Parameters
    ----------
    run_id
        Of the run.
    name
        What people call it: that of its folder.
    lasers_off
        Switches its lasers off, with the reason.
    warn
        Called with one sentence.
    is_armed
        Whether its lasers are driven.
    """

    def __init__(
        self,
        run_id: str,
        name: str,
        lasers_off: Callable[[str], None],
        warn: Callable[[str], None],
        *,
        is_armed: bool,
    ) -> None:
        self._server: ControlServer | None = None
        if is_armed:
            self._server = ControlServer(run_id, lasers_off, warn, run=name)

    def start(self) -> None:
        """Take requests; where that is not possible the run goes on, with a warning."""
        if self._server is not None:
            self._server.start()

    def close(self) -> None:
        """Take no more requests. Safe to call more than once."""
        if self._server is not None:
            self._server.close()
