"""FreezableTerminal: a terminal that can be frozen, as by Ctrl-S, or by a reader that stops."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event

from rtsmlm.hil.result import NotForThisRig
from rtsmlm.realtime.worker import Worker

_READ_S = 0.02
_END_S = 5.0


class FreezableTerminal:
    """A pseudo-terminal whose output is read into a log until it is frozen.

    Parameters
    ----------
    log
        What is read is appended to it.

    Raises
    ------
    NotForThisRig
        On Windows, which has no pseudo-terminal of this kind.
    """

    def __init__(self, log: Path) -> None:
        if sys.platform == "win32":
            raise NotForThisRig("not applicable: Windows has no terminal that a program can freeze")
        self._master, self.fileno = os.openpty()
        self._name = os.ttyname(self.fileno)
        self._log = log
        os.set_blocking(self._master, False)
        self._reader = Worker("terminal", self._read)
        self._reader.start()

    def freeze(self) -> None:
        """Read no more, and let it be full, so that the next write waits."""
        self._reader.stop()
        self._reader.join(_END_S)
        own = os.open(self._name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            while os.write(own, b"." * 256):
                pass
        except BlockingIOError:
            pass
        finally:
            os.close(own)

    def close(self) -> None:
        """Close it. Safe to call more than once."""
        self._reader.stop()
        self._reader.join(_END_S)
        for number in (self.fileno, self._master):
            with suppress(OSError):
                os.close(number)

    def _read(self, stop: Event) -> None:
        with self._log.open("ab") as log:
            while not stop.wait(_READ_S):
                with suppress(BlockingIOError, OSError):
                    log.write(os.read(self._master, 65536))
                    log.flush()
