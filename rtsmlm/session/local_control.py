"""Lasers off from other programs of the user, for as long as the lasers of a run are driven."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rtsmlm.errors import DeviceError
from rtsmlm.feedback.loop import FeedbackLoop
from rtsmlm.realtime.clock import now_ns
from rtsmlm.stream.control import ControlServer

_CONFIRM_NS = 3_000_000_000
"""Less than who asks waits for (`stream.lasers_off`)."""
_POLL_S = 0.02


class LocalControl:
    """The control of a run (`stream.control`); one without lasers has none.

    Parameters
    ----------
    run_id
        Of the run.
    name
        What people call it: that of its folder.
    loop
        Drives its lasers.
    warn
        Called with one sentence.
    has_lasers
        Whether there is anything to switch off.
    """

    def __init__(
        self,
        run_id: str,
        name: str,
        loop: FeedbackLoop,
        warn: Callable[[str], None],
        *,
        has_lasers: bool,
    ) -> None:
        self._loop = loop
        self._tick = threading.Event()  # never set: paces the wait
        self._server: ControlServer | None = None
        if has_lasers:
            self._server = ControlServer(run_id, self._lasers_off, warn, run=name)

    def start(self) -> None:
        """Take requests; where that is not possible the run goes on, with a warning."""
        if self._server is not None:
            self._server.start()

    def close(self) -> None:
        """Take no more requests. Safe to call more than once."""
        if self._server is not None:
            self._server.close()

    def _lasers_off(self, reason: str) -> None:
        """Switch the lasers off and wait until they are confirmed dark.

        Raises
        ------
        DeviceError
            If one is not, in time.
        """
        self._loop.switch_off(reason)
        deadline_ns = now_ns() + _CONFIRM_NS
        while (status := self._loop.status()) is not None and status.not_dark:
            if now_ns() > deadline_ns:
                raise DeviceError(
                    f"{', '.join(status.not_dark)} not confirmed dark; switch off at the device"
                )
            self._tick.wait(_POLL_S)
