"""Worker: a thread that reports its own death."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from rtsmlm.errors import WorkerError

_log = logging.getLogger(__name__)


class Worker:
    """A named thread whose exception reaches the owner.

    Parameters
    ----------
    name
        What it does; the thread is called `rtsmlm-<name>`.
    work
        Called once in the thread with the stop event; returns when the work is done.
    on_death
        Called in the thread with the exception that ended it, before the owner is woken.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[threading.Event], None],
        *,
        on_death: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.name = name
        self.stop_event = threading.Event()
        self.error: BaseException | None = None
        self._work = work
        self._on_death = on_death
        self._thread = threading.Thread(target=self._run, name=f"rtsmlm-{name}")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work(self.stop_event)
        except BaseException as error:
            self.error = error
            _log.debug("worker %s died", self.name, exc_info=error)
            if self._on_death is not None:
                self._on_death(error)

    @property
    def alive(self) -> bool:
        """True while the thread runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask the thread to end; returns at once."""
        self.stop_event.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; False if it has not come in time."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the thread.

        Raises
        ------
        WorkerError
            If it does not end in time.
        """
        if not self.wait(timeout_s):
            raise WorkerError(
                f"the {self.name} thread did not end within {timeout_s:g} s; it is left behind"
            )
