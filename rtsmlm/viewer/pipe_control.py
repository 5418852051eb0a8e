"""PipeControl: commands go to the program that started this one, one JSON object per line.

A thread writes them: a program that does not read at the moment must not stop the window, and the
command that switches the lasers off must not wait behind others.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

from rtsmlm.errors import CommandError
from rtsmlm.viewer.commands import (
    Command,
    LasersOff,
    ResetTrip,
    RunPlace,
    Start,
    WindowAlive,
    WindowClosed,
    WindowFigures,
    WindowMessage,
    WindowReady,
    place_from_line,
    to_line,
)
from rtsmlm.viewer.owner_notice import OwnerNotice, is_notice, notice_from_line

GONE = "the program that started this window has ended; view only from now on"
_MOST_BYTES = 4096
_MOST_PLACES = 16
_MOST_WAITING = 1000
"""Messages that wait for a program that does not read; further ones are dropped, but lasers off."""

_log = logging.getLogger(__name__)


class PipeControl:
    """Commands on standard output; on standard input where the run is, and the parent's end.

    Parameters
    ----------
    descriptor
        Where the lines go, as of standard output. Not the file object: at the end of the process
        its lock would be held by a thread that cannot be woken, and Python would abort.
    curve_keys
        Folder with the keys for the runs of the parent.
    """

    def __init__(self, descriptor: int, curve_keys: Path | None = None) -> None:
        self._descriptor, self.curve_keys = descriptor, curve_keys
        self._waiting: deque[WindowMessage] = deque()
        self._changed = threading.Condition()
        self._is_writing = False
        self._is_gone = threading.Event()
        self._places: deque[RunPlace] = deque(maxlen=_MOST_PLACES)
        self._notices: deque[OwnerNotice] = deque(maxlen=_MOST_PLACES)
        # A daemon: a program that never reads must not keep the window from ending.
        threading.Thread(target=self._write_all, name="commands", daemon=True).start()

    @property
    def is_gone(self) -> bool:
        """True once the parent has ended."""
        return self._is_gone.is_set()

    def report_ready(self) -> None:
        """Report to the parent that the window is drawn."""
        self._send(WindowReady())

    def report_closed(self, stop: bool) -> None:
        """Report to the parent that the user has closed the window.

        Parameters
        ----------
        stop
            Whether the run is to end with it.
        """
        self._send(WindowClosed(stop))

    def report_alive(self) -> None:
        """Report to the parent that the event loop runs."""
        self._send(WindowAlive())

    def report_figures(self, figures: WindowFigures) -> None:
        """Report to the parent what the window has measured of itself."""
        self._send(figures)

    def take_place(self) -> RunPlace | None:
        """Return where the newest run of the parent is, once; None if that is known already."""
        place = None
        while self._places:
            place = self._places.popleft()
        return place

    def take_notices(self) -> list[OwnerNotice]:
        """Return what the parent has reported since the last call."""
        return [self._notices.popleft() for _ in range(len(self._notices))]

    def ask(self, command: Command) -> None:
        """Send a command; a parent that is gone is noted, and nothing else happens."""
        self._send(command)

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is written; False if it is not within the time-out."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self.is_gone or not (self._waiting or self._is_writing), timeout_s
            )

    def _send(self, message: WindowMessage) -> None:
        with self._changed:
            if isinstance(message, LasersOff):
                # What was asked before it, and is not sent yet, must not light them again.
                kept = [m for m in self._waiting if not isinstance(m, ResetTrip | Start)]
                self._waiting = deque([message, *kept])
            elif isinstance(message, WindowAlive) and message in self._waiting:
                return
            elif isinstance(message, WindowFigures):
                self._waiting = deque(m for m in self._waiting if not isinstance(m, WindowFigures))
                self._waiting.append(message)
            elif len(self._waiting) < _MOST_WAITING:
                self._waiting.append(message)
            self._changed.notify_all()

    def _write_all(self) -> None:
        while not self.is_gone:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                message = self._waiting.popleft()
                self._is_writing = True
            # A line end first: what a library has begun to print must not be part of a command.
            data = b"\n" + to_line(message).encode() + b"\n"
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError:
                self._is_gone.set()
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()

    def watch(self, descriptor: int) -> None:
        """Read from the parent until its end, in a thread.

        Parameters
        ----------
        descriptor
            Of standard input, for the same reason not the file object.
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
            if is_notice(line):
                self._notices.append(notice_from_line(line))
            else:
                self._places.append(place_from_line(line))
        except CommandError as error:
            _log.warning("%s", error)
