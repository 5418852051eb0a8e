"""Signals of the command line: asked to end, asked to stop for a while, from the keyboard or not.

What a signal asks for is done in a thread of its own, which the signal wakes through a socket. The
main thread may be blocked at that moment, in a driver or in a terminal that is not read.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_TO_END = ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP")
"""On Windows SIGBREAK stands for the closing of the console, logging off and shutting down, too."""
_TO_PAUSE = "SIGTSTP"
_END_S = 1.0

_log = logging.getLogger(__name__)


class StopRequest:
    """Whether the program was asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.signal: int | None = None
        self.on_stop: Callable[[], object] | None = None
        """Called in a thread of its own when the program is asked to end: lasers off first."""
        self.more_in_order = 0
        """Further Ctrl-C that `on_stop` alone acts on, before one breaks off."""
        self.on_pause: Callable[[], object] | None = None
        """Called before the program is stopped by Ctrl-Z; it stands still until it goes on."""

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note a signal, in the main thread; a second Ctrl-C raises `KeyboardInterrupt`.

        With `more_in_order` a later one does. Nothing else is done here: what the main thread
        holds at this moment is not known.
        """
        if number == getattr(signal, _TO_PAUSE, None):
            return
        if self.signal is not None and number == signal.SIGINT:
            if not self.more_in_order:
                raise KeyboardInterrupt
            self.more_in_order -= 1
        self.signal = number

    def act(self, number: int) -> None:
        """Do what a signal asks for, in a thread of its own."""
        if number == getattr(signal, _TO_PAUSE, None):
            self._pause()
            return
        self.signal = number
        self.event.set()
        self._call(self.on_stop)

    def _pause(self) -> None:
        self._call(self.on_pause)
        if sys.platform != "win32":
            os.kill(os.getpid(), signal.SIGSTOP)

    @staticmethod
    def _call(action: Callable[[], object] | None) -> None:
        if action is None:
            return
        try:
            action()
        except Exception:  # the next signal has to be acted on, too
            _log.exception("a signal could not be acted on")

    @property
    def exit_code(self) -> int:
        """Conventional exit code for a program ended by this signal."""
        return 128 + (self.signal or 0) if sys.platform != "win32" else 130


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Turn Ctrl-C, SIGTERM, the closing of the console and Ctrl-Z into requests.

    A second Ctrl-C breaks off.
    """
    request = StopRequest()
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    thread = threading.Thread(target=_listen, args=(woken, request), name="signals", daemon=True)
    thread.start()
    numbers = [getattr(signal, name, None) for name in (*_TO_END, _TO_PAUSE)]
    fd_before = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    before = {n: signal.signal(n, request.handle) for n in numbers if n is not None}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(fd_before)
        with suppress(OSError):
            wakes.send(b"\0")
        thread.join(_END_S)
        wakes.close()
        if not thread.is_alive():
            woken.close()


def _listen(woken: socket.socket, request: StopRequest) -> None:
    handled = {getattr(signal, name, None) for name in (*_TO_END, _TO_PAUSE)}
    while True:
        numbers = woken.recv(64)
        if not numbers or 0 in numbers:
            return
        for number in numbers:
            if number in handled:
                request.act(number)
