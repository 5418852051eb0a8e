"""RunLock: `run.lock`, the file by which a run folder has one owner.

It names the process that has it and is removed at the end. What a killed process has left is
recognised by the start of that process (`realtime.process_identity`) and taken over; a short lock
of the operating system on the file keeps two from taking over at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from rtsmlm.errors import ConfigError, SinkError
from rtsmlm.realtime.process_identity import ProcessIdentity, is_running, this_process

NAME = "run.lock"

_MOST_TRIES = 75
_TRY_S = 0.04
_YOUNG_S = 1.0
_MOST_BYTES = 4096
_LOCKED_BYTE = 1 << 30
"""Windows locks bytes against reading; this one lies behind the text."""

_held: set[str] = set()
"""Locks that this process holds, by their text."""
_held_guard = threading.Lock()
_BINARY = getattr(os, "O_BINARY", 0)
_pause = threading.Event()  # never set: paces the tries


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has a run folder."""

    process: ProcessIdentity
    since: str
    """Local time, for people."""
    text: str
    """The file as it is; two locks of one process differ in it."""

    @property
    def is_alive(self) -> bool:
        """True if the run goes on; so does one of another computer, of which nothing is known."""
        if self.process.pid == os.getpid() and self.process == this_process():
            with _held_guard:
                return self.text in _held
        return is_running(self.process)

    def __str__(self) -> str:
        return f"process {self.process.pid} on {self.process.host.split()[0]} since {self.since}"


def owner_of(folder: Path) -> Owner | None:
    """Return the owner that the lock of a run folder names; None without a lock that names one."""
    try:
        with (folder / NAME).open("rb") as file:
            return _parsed(file.read(_MOST_BYTES))
    except OSError:
        return None


class RunLock:
    """The lock of a run folder that this process holds.

    Parameters
    ----------
    folder
        The run folder, which must be there.

    Raises
    ------
    ConfigError
        If another run has the folder.
    SinkError
        If the lock cannot be written.
    """

    _n_taken = 0

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        with _held_guard:
            RunLock._n_taken += 1
            number = RunLock._n_taken
        entries = asdict(this_process()) | {"since": _now(), "number": number}
        self._text = json.dumps(entries)
        with _held_guard:
            _held.add(self._text)  # before it can be read, so that it never looks abandoned
        try:
            self._take()
        except BaseException as error:
            _forget(self._text)
            if isinstance(error, OSError):
                reason = error.strerror or error
                raise SinkError(f"cannot write {self._path}: {reason}") from error
            raise
        # Called at the latest when nothing holds this lock any more, or the program ends.
        self._give_back = weakref.finalize(self, _release, self._path, self._text, os.getpid())

    def release(self) -> None:
        """Give the folder back. Safe to call more than once; in a forked child it does nothing."""
        self._give_back()

    def _take(self) -> None:
        for n in range(_MOST_TRIES):
            try:
                descriptor, is_new = _open(self._path)
            except FileNotFoundError:
                if not self._path.parent.is_dir():
                    raise
                continue  # its owner has just removed it
            except PermissionError:
                # On Windows: it is being removed, or may not be written at all.
                if sys.platform == "win32" and n < _MOST_TRIES - 1:
                    _pause.wait(_TRY_S)
                    continue
                raise
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                if not _lock(descriptor):
                    _pause.wait(_TRY_S)  # another one is reading or writing it
                    continue
                with _unlocked_at_last(descriptor):
                    text = file.read(_MOST_BYTES) or b""
                    being_made = not text and not is_new and _is_young(descriptor)
                    if _is_same_file(descriptor, self._path) and not being_made:
                        self._write_if_free(descriptor, text)
                        return
            _pause.wait(_TRY_S)
        raise ConfigError(
            f"{self._path.parent} is being taken by other runs; choose another name (--out, "
            "results.name)"
        )

    def _write_if_free(self, descriptor: int, before: bytes) -> None:
        owner = _parsed(before)
        if owner is not None and owner.is_alive:
            raise ConfigError(
                f"{self._path.parent} is in use by another run ({owner}); choose another name "
                f"(--out, results.name). If that run is gone for certain, remove {NAME} there"
            )
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, self._text.encode())
        os.ftruncate(descriptor, len(self._text.encode()))
        os.fsync(descriptor)


def _release(path: Path, text: str, pid: int) -> None:
    if pid != os.getpid():
        return
    owner = owner_of(path.parent)
    if owner is not None and owner.text == text:
        with contextlib.suppress(OSError):
            # Emptied first: Windows removes no file that another program is reading.
            os.truncate(path, 0)
            path.unlink()
    _forget(text)


def _forget(text: str) -> None:
    with _held_guard:
        _held.discard(text)


def _open(path: Path) -> tuple[int, bool]:
    """Open the lock for reading and writing; return the descriptor and whether it was made."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o666), True
    except FileExistsError:
        return os.open(path, os.O_RDWR | _BINARY), False


def _now() -> str:
    return datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")


def _parsed(data: bytes) -> Owner | None:
    """Return the owner that a lock names; None for an empty one or one cut short by a power cut."""
    try:
        entries = json.loads(data.decode("utf-8"))
        process = ProcessIdentity(
            int(entries["pid"]), str(entries["host"]), str(entries["started"])
        )
        return Owner(process, str(entries["since"]), data.decode("utf-8"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _is_young(descriptor: int) -> bool:
    """Return whether the file was made or emptied within the last second: its text may follow."""
    return abs(time.time() - os.fstat(descriptor).st_mtime) < _YOUNG_S


def _is_same_file(descriptor: int, path: Path) -> bool:
    """Return whether the open file still is the one of that name; its owner may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _lock(descriptor: int) -> bool:
    """Lock the open file against the same in other processes; False if another one has it now.

    A file system without locks counts as locked: the text of the file has to do there.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


@contextlib.contextmanager
def _unlocked_at_last(descriptor: int) -> Iterator[None]:
    """Unlock the file on leaving, on Windows by hand: closing does it there at some later time."""
    try:
        yield
    finally:
        if sys.platform == "win32":
            import msvcrt

            with contextlib.suppress(OSError):
                os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
                msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
