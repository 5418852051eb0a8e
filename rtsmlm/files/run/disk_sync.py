"""DiskSync: written files are forced to the disk twice a second, in a thread of their own.

What was written survives the death of this program at once; a power cut it survives only when the
operating system has moved it from memory to the disk, which by itself takes up to half a minute.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.worker import Worker

_PERIOD_S = 0.5
_NO_FOLDERS = (errno.EINVAL, errno.EOPNOTSUPP)
"""What network shares answer that cannot force folders."""

_log = logging.getLogger(__name__)


class DiskSync:
    """Force files to the disk at a bounded rate. Safe to use from several threads.

    Parameters
    ----------
    name
        Of the thread: `rtsmlm-<name>`.
    warn
        Called once with one sentence if the disk does not confirm what was written.
    period_s
        Time between two rounds.
    """

    def __init__(
        self, name: str, warn: Callable[[str], None], *, period_s: float = _PERIOD_S
    ) -> None:
        self._warn, self._period_s = warn, period_s
        self._lock = threading.Lock()
        self._files: dict[Path, None] = {}  # a set that keeps its order
        self._folders: dict[Path, None] = {}
        self._warned = False
        self.n_rounds = 0
        self.longest_ms = 0.0
        """Longest round: so long, and a period, is what a power cut may take."""
        self._worker = Worker(name, self._run, on_death=self._die)

    def start(self) -> None:
        """Start the thread."""
        self._worker.start()

    def changed(self, file: Path) -> None:
        """Note that a file was written; it is forced to the disk after those noted before it."""
        with self._lock:
            self._files.pop(file, None)
            self._files[file] = None

    def created(self, file: Path, root: Path) -> None:
        """Note a new file, with the folders above it up to and including `root`."""
        with self._lock:
            self._files[file] = None
            for folder in file.parents:
                self._folders[folder] = None
                if folder == root:
                    break

    def sync(self) -> None:
        """Force to the disk what was noted so far; failures are warned of."""
        with self._lock:
            files, self._files = self._files, {}
            folders, self._folders = self._folders, {}
        if not files and not folders:
            return
        started_ns = now_ns()
        for path, force in [*((f, sync_file) for f in files), *((f, sync_folder) for f in folders)]:
            try:
                force(path)
            except OSError as error:
                self._note(path, error)
        self.n_rounds += 1
        self.longest_ms = max(self.longest_ms, (now_ns() - started_ns) / 1e6)

    def close(self, timeout_s: float = 60.0) -> None:
        """Force the rest to the disk, and end. Safe to call more than once.

        Raises
        ------
        WorkerError
            If the disk does not answer in time.
        """
        self._worker.stop()
        self._worker.join(timeout_s)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(self._period_s):
            self.sync()
        self.sync()
        _log.debug("%d syncs, the longest %.0f ms", self.n_rounds, self.longest_ms)

    def _note(self, path: Path, error: OSError) -> None:
        _log.warning("%s cannot be forced to the disk: %s", path, error)
        if not self._warned:
            self._warned = True
            self._warn(
                f"{path} cannot be forced to the disk: {error.strerror or error}; what was written "
                "to it may be missing later: check the disk"
            )

    def _die(self, error: BaseException) -> None:
        self._warn(f"written files are not forced to the disk any more: {error}")


def sync_file(path: Path) -> None:
    """Force a file to the disk.

    Raises
    ------
    OSError
        If it is gone, or the disk does not take it.
    """
    # Writable: Windows forces nothing through a handle that only reads.
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Force the names in a folder to the disk; Windows opens no folders and needs no such call.

    Raises
    ------
    OSError
        If it is gone, or the disk does not take it.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDERS:
            raise
    finally:
        os.close(descriptor)
