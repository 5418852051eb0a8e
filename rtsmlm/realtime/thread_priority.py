"""A lower priority for threads and processes that have time, so that others do not wait."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

_NICE = 10
_LOWEST_NICE = 19
_IDLE_CLASS = 0x40
"""IDLE_PRIORITY_CLASS of Windows."""
_BELOW_NORMAL = -1
"""THREAD_PRIORITY_BELOW_NORMAL of Windows."""


def lower_this_thread() -> None:
    """Leave the cores to threads of normal priority; threads that this one starts do so, too.

    Linux has a priority for each thread, Windows as well, where those that it starts are not
    lowered. macOS has none that could be set like this: there it is without effect.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may forbid it, and nothing depends on it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
    elif sys.platform == "win32":
        _call_windows("GetCurrentThread", "SetThreadPriority", _BELOW_NORMAL)


def lower_this_process() -> None:
    """Leave the cores to all other processes; called before any thread of this one is started."""
    if sys.platform == "win32":
        _call_windows("GetCurrentProcess", "SetPriorityClass", _IDLE_CLASS)
    else:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, _LOWEST_NICE)


def _call_windows(handle: str, call: str, value: int) -> None:
    """Set a priority of this thread or process on Windows; it may be refused."""
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.WinDLL("kernel32")
        own, change = getattr(kernel, handle), getattr(kernel, call)
        # A handle has the size of a pointer: passed as an int, its upper half would be lost.
        own.restype = ctypes.c_void_p
        change.argtypes = (ctypes.c_void_p, ctypes.c_int)
        change(own(), value)
