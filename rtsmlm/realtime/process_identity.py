"""Which process is which, so that a number used again is not taken for the process that had it.

A process is known by its computer, its number and its start: the number alone comes back, within
hours on Windows, and after every start of the computer.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_ENDED_STATES = ("Z", "X")
"""Of /proc/PID/stat: a zombie waits for its parent alone, and runs no more."""
_PS_S = 5.0
_QUERY_LIMITED_INFORMATION = 0x1000
_STILL_ACTIVE = 259
_ACCESS_DENIED = 5


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, among all that ever ran."""

    pid: int
    host: str
    """Name of the computer, and of the space of process numbers where there are several on it
    (containers)."""
    started: str
    """When it started, comparable on one computer alone; empty where that cannot be known."""


def this_process() -> ProcessIdentity:
    """Return the identity of this process."""
    return process_of(os.getpid())


def process_of(pid: int) -> ProcessIdentity:
    """Return the identity of the process that has this number now, on this computer."""
    return ProcessIdentity(pid, this_host(), started_at(pid) or "")


def this_host() -> str:
    """Return the name of this computer, with the space that its process numbers are of."""
    name = platform.node() or "unknown"
    with contextlib.suppress(OSError):
        return f"{name} {os.readlink(_PROC / 'self' / 'ns' / 'pid')}"
    return name


def is_running(process: ProcessIdentity) -> bool:
    """Return whether the process still runs; one of another computer counts as running."""
    if process.host != this_host():
        return True
    started = started_at(process.pid)
    if started is None:
        return False
    return not (started and process.started) or started == process.started


def started_at(pid: int) -> str | None:
    """Return when the process of this number started; None if there is none that runs.

    The text is empty where the system does not tell.
    """
    if pid <= 0:
        return None
    if sys.platform == "win32":
        return _started_windows(pid)
    if (_PROC / "self" / "stat").is_file():
        return _started_linux(pid)
    return _started_posix(pid)


def _started_linux(pid: int) -> str | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        # The name of the program, in brackets, may hold blanks and brackets itself.
        fields = text.rpartition(")")[2].split()
        state, ticks = fields[0], fields[19]
    except (OSError, IndexError):
        # Those of other users may be hidden there.
        return "" if _answers(pid) else None
    if state in _ENDED_STATES:
        return None
    boot = ""
    with contextlib.suppress(OSError):
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    return f"{boot} {ticks}"


def _answers(pid: int) -> bool:
    """Return whether there is a process of this number, of any user; for POSIX systems."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # of another user
    return True


def _started_posix(pid: int) -> str | None:
    if not _answers(pid):
        return None
    try:
        found = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607 - where it lies differs
            capture_output=True,
            text=True,
            timeout=_PS_S,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()


def _started_windows(pid: int) -> str | None:
    if sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = ctypes.c_void_p
        handle = ctypes.c_void_p(kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid))
        if not handle:
            # A process of another user may not be asked, but it is there.
            return "" if ctypes.get_last_error() == _ACCESS_DENIED else None
        try:
            code = ctypes.c_ulong()
            known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
            if known and code.value != _STILL_ACTIVE:
                return None
            times = [ctypes.c_ulonglong() for _ in range(4)]
            known = kernel.GetProcessTimes(handle, *map(ctypes.byref, times))
            return str(times[0].value) if known else ""
        finally:
            kernel.CloseHandle(handle)
    return None
