"""Worker: a thread whose death is always reported, to its owner or in the log.

An exception ends in exactly one of two ways. Where `on_death` is given, it is called with the
exception, and the death counts as reported: `join` then only waits. Where it is not given, or fails
itself, the exception is logged at ERROR with its traceback and `join` raises it as `WorkerError`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from rtsmlm.errors import RtsmlmError, WorkerError, sentence
from rtsmlm.realtime.thread_priority import lower_this_thread

_log = logging.getLogger(__name__)


class Worker:
    """A named thread that reports its own death.

    Parameters
    ----------
    name
        What it does; the thread is called `rtsmlm-<name>`, with hyphens for blanks.
    work
        Called once in the thread with the stop event; returns when the work is done.
    on_death
        Called in the thread with the exception that ended it, while the thread still counts as
        alive. Give it wherever the death must reach the warnings of the run.
    has_time
        Its priority is lower than that of other threads.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[threading.Event], None],
        *,
        on_death: Callable[[BaseException], None] | None = None,
        has_time: bool = False,
    ) -> None:
        self.name = name
        self.stop_event = threading.Event()
        self.error: BaseException | None = None
        """What the thread died of; None while it runs and after it has ended by itself."""
        self._work = work
        self._on_death = on_death
        self._has_time = has_time
        self._is_reported = False
        thread_name = f"rtsmlm-{name}".replace(" ", "-")
        self._thread = threading.Thread(target=self._run, name=thread_name)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _run(self) -> None:
        if self._has_time:
            lower_this_thread()
        try:
            self._work(self.stop_event)
        except BaseException as error:
            self.error = error
            self._is_reported = self._report(error)

    def _report(self, error: BaseException) -> bool:
        """Hand the error to `on_death`; False if that is not given or fails."""
        if self._on_death is None:
            _log.error("the %s thread died", self.name, exc_info=error)
            return False
        _log.debug("the %s thread died", self.name, exc_info=error)
        try:
            self._on_death(error)
        except Exception:
            _log.exception("the death of the %s thread could not be reported", self.name)
            _log.error("the %s thread had died of this", self.name, exc_info=error)
            return False
        return True

    @property
    def alive(self) -> bool:
        """True while the thread runs."""
        return self._thread.is_alive()

    @property
    def is_current(self) -> bool:
        """True in the thread itself."""
        return threading.current_thread() is self._thread

    def stop(self) -> None:
        """Ask the thread to end; returns at once."""
        self.stop_event.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; False if it has not come in time. Raises nothing."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the thread.

        Raises
        ------
        WorkerError
            If it does not end in time, or if it died and `on_death` has not reported that.
        """
        if not self.wait(timeout_s):
            raise WorkerError(
                f"the {self.name} thread did not end within {timeout_s:g} s; it is left behind"
            )
        if self.error is not None and not self._is_reported:
            raise WorkerError(
                f"the {self.name} thread died: {one_line(self.error)}"
            ) from self.error

    def end(self, timeout_s: float) -> None:
        """Ask the thread to end and wait; one that does not, or died, is a warning in the log."""
        self.stop()
        try:
            self.join(timeout_s)
        except WorkerError as error:
            _log.warning("%s", error)


def one_line(error: BaseException) -> str:
    """Return an error as one line: its text, after the name of its type unless it is ours."""
    text = sentence(str(error))
    if isinstance(error, RtsmlmError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
