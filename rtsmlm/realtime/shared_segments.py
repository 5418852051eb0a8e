"""Shared memory under names that tell whose it is, so that what a killed program leaves is freed.

On Linux shared memory outlives its processes. A process that is killed alone is cleaned up after by
Python's resource tracker, a killed group of processes or container is not: the next start frees
what no running process owns. On Windows it vanishes with its last handle.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import shutil
import sys
import zlib
from multiprocessing import shared_memory
from pathlib import Path

from rtsmlm.errors import ConfigError
from rtsmlm.realtime.process_identity import started_at, this_host, this_process

_FOLDER = Path("/dev/shm")  # noqa: S108  # where Linux keeps shared memory; absent elsewhere
_PREFIX = "rtsmlm"

_log = logging.getLogger(__name__)


def create_segment(size: int) -> shared_memory.SharedMemory:
    """Allocate shared memory that this process owns, after freeing what dead ones have left.

    Parameters
    ----------
    size
        Bytes.

    Raises
    ------
    ConfigError
        If there is not enough of it: writing to it would end in a bus error.
    """
    free_abandoned()
    if sys.platform == "linux" and _FOLDER.is_dir():
        free = shutil.disk_usage(_FOLDER).free
        if size > free:
            raise ConfigError(
                f"the frame ring needs {size / 2**20:.0f} MB of shared memory, {_FOLDER} has "
                f"{free / 2**20:.0f} MB free; lower pipeline.ring_mb or give the container more"
            )
    while True:
        with contextlib.suppress(FileExistsError):
            return shared_memory.SharedMemory(_new_name(), create=True, size=size)


def open_untracked(name: str) -> shared_memory.SharedMemory:
    """Attach without making this process responsible for the removal of the memory."""
    if sys.version_info >= (3, 13):
        return shared_memory.SharedMemory(name=name, track=False)
    # Before 3.13 every attached process would remove the memory at its own exit, by a tracker: a
    # process of its own that holds the pipes of this one open, so nothing may be registered at all.
    from multiprocessing import resource_tracker

    register = resource_tracker.register
    resource_tracker.register = lambda name, rtype: None
    try:
        return shared_memory.SharedMemory(name=name)
    finally:
        resource_tracker.register = register


def free_abandoned() -> int:
    """Free the segments whose owner is dead; return their bytes.

    Those of other computers and containers that share the memory stay: of their processes nothing
    is known here.
    """
    if sys.platform != "linux":
        return 0
    freed = 0
    with contextlib.suppress(OSError):
        for path in _FOLDER.glob(f"{_PREFIX}-*"):
            if not _is_abandoned(path.name):
                continue
            with contextlib.suppress(OSError):  # of another user, or freed by another start
                size = path.stat().st_size
                path.unlink()
                freed += size
    if freed:
        _log.info("freed %.0f MB of shared memory that killed runs had left", freed / 2**20)
    return freed


def _new_name() -> str:
    """Return a name that may be free, of at most 30 characters, as macOS has it."""
    me = this_process()
    return f"{_PREFIX}-{_mark(me.host)}-{me.pid}-{_mark(me.started)}-{secrets.token_hex(1)}"


def _is_abandoned(name: str) -> bool:
    parts = name.split("-")
    if len(parts) != 5 or not parts[2].isdecimal() or parts[1] != _mark(this_host()):
        return False
    started = started_at(int(parts[2]))
    return started is None or (started != "" and parts[3] != _mark(started))


def _mark(text: str) -> str:
    """Return six characters that stand for the text."""
    return f"{zlib.crc32(text.encode()) & 0xFFFFFF:06x}"
