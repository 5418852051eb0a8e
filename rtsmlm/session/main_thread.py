"""MainThreadWatch: what happens when a program ends without having closed its run."""

from __future__ import annotations

import threading
from typing import Protocol

from rtsmlm.realtime.worker import Worker

_LOOK_S = 0.05


class Run(Protocol):
    """What has to be done with a run that is left behind; `session.Session` is one."""

    def stop(self, reason: str) -> None:
        """Switch the lasers off and ask the camera to end."""
        ...

    def warn(self, text: str) -> None:
        """Note a sentence for the report."""
        ...

    def close(self) -> object:
        """End the run in order."""
        ...


class MainThreadWatch:
    """Wait for the end of the main thread, by an exception, Ctrl-C, or its last line.

    The interpreter then waits for all other threads before it calls what was registered for its
    exit: without this watch the threads of a run that was never closed would keep it, and its
    light, going for ever.

    Parameters
    ----------
    run
        What is ended then, in order: dark first.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._worker = Worker("main thread watch", self._watch)

    def start(self) -> None:
        """Start watching."""
        self._worker.start()

    def close(self) -> None:
        """Stop watching. Safe to call more than once, and by the run that it ends."""
        self._worker.stop()

    def join(self) -> None:
        """Wait for the end of the thread, unless this is it."""
        if not self._worker.is_current:
            self._worker.join(5.0)

    def _watch(self, stop: threading.Event) -> None:
        main = threading.main_thread()
        while main.is_alive():
            if stop.wait(_LOOK_S):
                return
        reason = "the program ended without closing this run (Session.close)"
        self._run.stop(reason)
        self._run.warn(reason)
        self._run.close()
