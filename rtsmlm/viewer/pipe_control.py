"""PipeControl: commands go to the program that started this one, one JSON object per line."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TextIO

from rtsmlm.viewer.commands import Command, WindowMessage, WindowReady, to_line

GONE = "the program that started this window has ended; view only from now on"
_MOST_BYTES = 4096


class PipeControl:
    """Commands on standard output; the end of the parent shows on standard input.

    Parameters
    ----------
    out
        Where the lines go.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._is_gone = threading.Event()

    @property
    def is_gone(self) -> bool:
        """True once the parent has ended."""
        return self._is_gone.is_set()

    def report_ready(self) -> None:
        """Report to the parent that the window is drawn."""
        self._write(WindowReady())

    def ask(self, command: Command) -> None:
        """Send a command; a parent that is gone is noted, and nothing else happens."""
        self._write(command)

    def _write(self, message: WindowMessage) -> None:
        try:
            with self._lock:
                self._out.write(to_line(message) + "\n")
                self._out.flush()
        except (OSError, ValueError):
            self._is_gone.set()

    def watch(self, descriptor: int) -> None:
        """Read until the end of the parent, in a thread; nothing that comes is used.

        Parameters
        ----------
        descriptor
            Of standard input. Not the file object: at the end of the process its lock would be held
            by a thread that cannot be woken, and Python would abort.
        """

        def read() -> None:
            with suppress(OSError):
                while os.read(descriptor, _MOST_BYTES):
                    continue
            self._is_gone.set()

        threading.Thread(target=read, name="parent-watch", daemon=True).start()
