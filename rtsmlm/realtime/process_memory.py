"""Resident memory of this process, without a further package."""

from __future__ import annotations

import ctypes
import math
import os
import sys
from pathlib import Path

_MB = 2**20


class _Counters(ctypes.Structure):
    """`PROCESS_MEMORY_COUNTERS` of Windows."""

    _fields_ = (
        ("cb", ctypes.c_uint32),
        ("page_fault_count", ctypes.c_uint32),
        ("peak_working_set_size", ctypes.c_size_t),
        ("working_set_size", ctypes.c_size_t),
        ("others", ctypes.c_size_t * 6),
    )


def resident_mb() -> float:
    """Return the memory of this process that is in RAM, in MB; NaN where that is not known."""
    if sys.platform == "win32":
        counters = _Counters(cb=ctypes.sizeof(_Counters))
        kernel = ctypes.WinDLL("kernel32")
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        ask = kernel.K32GetProcessMemoryInfo
        ask.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Counters), ctypes.c_uint32)
        if not ask(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.cb):
            return math.nan
        return float(counters.working_set_size) / _MB
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):  # not Linux
        return math.nan
    return pages * os.sysconf("SC_PAGE_SIZE") / _MB
