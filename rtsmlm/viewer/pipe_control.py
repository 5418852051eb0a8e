"""PipeControl: commands go to the program that started this one, one JSON object per line."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from rtsmlm.errors import CommandError
from rtsmlm.viewer.commands import (
    Command,
    RunPlace,
    WindowAlive,
    WindowMessage,
    WindowReady,
    place_from_line,
    to_line,
)

GONE = "the program that started this window has ended; view only from now on"
_MOST_BYTES = 4096
_MOST_PLACES = 16

_log = logging.getLogger(__name__)


class PipeControl:
    """Commands on standard output; on standard input where the run is, and the parent's end.

    Parameters
    ----------
    out
        Where the lines go.
    curve_keys
        Folder with the keys for the runs of the parent.
    """

    def __init__(self, out: TextIO, curve_keys: Path | None = None) -> None:
        self._out, self.curve_keys = out, curve_keys
        self._lock = threading.Lock()
        self._is_gone = threading.Event()
        self._places: deque[RunPlace] = deque(maxlen=_MOST_PLACES)

    @property
    def is_gone(self) -> bool:
        """True once the parent has ended."""
        return self._is_gone.is_set()

    def report_ready(self) -> None:
        """Report to the parent that the window is drawn."""
        self._write(WindowReady())

    def report_alive(self) -> None:
        """Report to the parent that the event loop runs."""
        self._write(WindowAlive())

    def take_place(self) -> RunPlace | None:
        """Return where the newest run of the parent is, once; None if that is known already."""
        place = None
        while self._places:
            place = self._places.popleft()
        return place

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
        """Read from the parent until its end, in a thread.

        Parameters
        ----------
        descriptor
            Of standard input. Not the file object: at the end of the process its lock would be held
            by a thread that cannot be woken, and Python would abort.
        """

        def read() -> None:
            rest = b""
            with suppress(OSError):
                while part := os.read(descriptor, _MOST_BYTES):
                    *lines, rest = (rest + part).split(b"\n")
                    for line in lines:
                        self._take(line.decode(errors="replace"))
            self._is_gone.set()

        threading.Thread(target=read, name="parent-watch", daemon=True).start()

    def _take(self, line: str) -> None:
        try:
            self._places.append(place_from_line(line))
        except CommandError as error:
            _log.warning("%s", error)
