"""The port of a simulated head: one owner at a time, as with a serial port.

The lock is one of the operating system, so that it ends with the process that holds it, however
that dies; a forked child does not inherit it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rtsmlm.errors import DeviceError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_held: set[Path] = set()
"""Locks of the operating system do not exclude a second device in the same process."""


class PortLock:
    """A port that is held until `release`.

    Parameters
    ----------
    path
        Its file; made where there is none, and left there.

    Raises
    ------
    DeviceError
        If another device has it, in this process or in another one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        if self._path in _held:
            raise DeviceError(f"the port {path.name} is in use by this program")
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DeviceError(f"the port {path.name} cannot be opened: {error}") from error
        try:
            if sys.platform == "win32":
                msvcrt.locking(self._file, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise DeviceError(f"the port {path.name} is in use by another program") from error
        _held.add(self._path)

    def release(self) -> None:
        """Let go of it. Safe to call more than once."""
        if self._path not in _held or self._file < 0:
            return
        _held.discard(self._path)
        os.close(self._file)
        self._file = -1
