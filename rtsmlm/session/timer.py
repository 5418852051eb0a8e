"""RunTimer: ends a run after the time set, if one is."""

from __future__ import annotations

import threading
from collections.abc import Callable

_END_S = 5.0


class RunTimer:
    """Calls once after a time, in a thread of its own.

    Parameters
    ----------
    seconds
        When, from `start`; None for never.
    end
        Called then.
    """

    def __init__(self, seconds: float | None, end: Callable[[], None]) -> None:
        self._timer: threading.Timer | None = None
        if seconds is not None:
            self._timer = threading.Timer(seconds, end)
            self._timer.name = "rtsmlm-timer"

    def start(self) -> None:
        """Start the time."""
        if self._timer is not None:
            self._timer.start()

    def cancel(self) -> None:
        """End without a call, if that has not come yet. Safe at any time, and repeatedly."""
        if self._timer is not None and self._timer.ident is not None:
            self._timer.cancel()
            self._timer.join(_END_S)
