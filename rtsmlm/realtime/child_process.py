"""ChildProcess: a process that reads lines on standard input and writes lines on standard output.

The analysis, the sentinel of the lasers, the window and the programs we are compared with are all
held by it. Every wait has a time-out, and what does not come in time is one `WorkerError`.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from rtsmlm.errors import WorkerError
from rtsmlm.realtime.worker import Worker

_KILLED_S = 10.0
"""A killed process is gone within it, and its pipes are at their end."""
_WRITER_S = 0.1
"""Time for a line that is being written; one that takes longer is stuck in a frozen child."""
_MOST_LINES = 256
"""Lines that wait for `read_line`; a child that writes more unasked loses the rest."""

_log = logging.getLogger(__name__)


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of ours in the interpreter of this process."""
    # -P: the folder that we happen to be in must not shadow the installed package.
    return [sys.executable, "-P", "-m", module, *arguments]


class ChildProcess:
    """A child process that speaks lines.

    Parameters
    ----------
    name
        What it is, for threads and errors: "the <name> did not answer within 5 s".
    command
        Program and arguments.
    on_line
        Called in a thread with every line, without its end. An exception of it is logged and the
        next line is read all the same, as a full pipe would block the child. Without it, lines
        wait for `read_line`.
    stderr
        Where its errors go, as for `subprocess.Popen`; by default to those of this process.
    cwd, env
        Working folder and environment; by default those of this process.
    own_group
        Keep from it what ends this process from the keyboard.

    Raises
    ------
    WorkerError
        If it cannot be started.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        on_line: Callable[[str], None] | None = None,
        stderr: IO[bytes] | IO[str] | int | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        own_group: bool = False,
    ) -> None:
        self.name = name
        self._on_line = on_line
        self._lines: deque[str] = deque()
        self._at_end = False
        self._arrived = threading.Condition()
        self._writing = threading.Lock()
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=cwd,
                env=None if env is None else dict(env),
                text=True,
                encoding="utf-8",
                errors="replace",  # a library may print whatever it likes
                creationflags=_creation_flags(own_group=own_group),
                start_new_session=own_group,  # without effect on Windows
            )
        except OSError as error:
            why = error.strerror or str(error)
            raise WorkerError(f"cannot start the {name} ({command[0]}): {why}") from error
        self._reader = Worker(f"{name} reader", self._read)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._process.poll()

    @property
    def is_read_out(self) -> bool:
        """True once it will write no more, and its last line was taken."""
        return self._at_end

    # -- lines ---------------------------------------------------------------------------

    def write_line(self, line: str) -> bool:
        """Write a line; False if the child does not read any more.

        May block while the child is frozen, until that is killed.
        """
        if "\n" in line:
            raise ValueError(f"this is more than one line: {line[:80]!r}")
        stdin = self._process.stdin
        try:
            with self._writing:
                if stdin is None or stdin.closed:
                    return False
                stdin.write(line + "\n")
                stdin.flush()
        except OSError:
            return False
        return True

    def read_line(self, timeout_s: float) -> str | None:
        """Return the next line, without its end; None once the child will write no more.

        Raises
        ------
        WorkerError
            If none comes in time.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._lines or self._at_end, timeout_s):
                raise WorkerError(f"the {self.name} did not answer within {timeout_s:g} s")
            return self._lines.popleft() if self._lines else None

    def _read(self, _stop: threading.Event) -> None:
        try:
            for line in self._process.stdout or ():
                self._take(line.rstrip("\r\n"))
        finally:
            with self._arrived:
                self._at_end = True
                self._arrived.notify_all()

    def _take(self, line: str) -> None:
        if self._on_line is not None:
            try:
                self._on_line(line)
            except Exception:
                _log.exception("a line of the %s could not be handled: %s", self.name, line[:200])
            return
        with self._arrived:
            if len(self._lines) < _MOST_LINES:
                self._lines.append(line)
                self._arrived.notify_all()
            else:
                _log.warning("the %s wrote more than was asked for: %s", self.name, line[:200])

    # -- the end -------------------------------------------------------------------------

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; False if it has not come in time."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def terminate(self) -> None:
        """Ask it to end by a signal; on Windows this ends it at once."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def close_input(self) -> None:
        """End its input, which asks it to end; returns at once."""
        self._close_input(_WRITER_S)

    def close(self, timeout_s: float) -> None:
        """End its input, wait for its end, take its last lines. Safe to call more than once.

        Raises
        ------
        WorkerError
            If it did not end in time and was killed, or if the thread that read its lines died.
        """
        self.close_input()
        in_time = self.wait(timeout_s)
        if not in_time:
            self.kill()
            if not self.wait(_KILLED_S):
                raise WorkerError(f"the {self.name} cannot be killed (process {self.pid})")
        self._close_input(_KILLED_S)
        # Where the thread is still reading, its pipe must not be closed: that would wait for it.
        self._reader.join(_KILLED_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        if not in_time:
            raise WorkerError(f"the {self.name} did not end within {timeout_s:g} s and was killed")

    def _close_input(self, timeout_s: float) -> None:
        """Close the pipe to the child, unless a line is stuck in it for longer than the time."""
        if self._process.stdin is None or not self._writing.acquire(timeout=timeout_s):
            return
        try:
            # What was written to a dead process may still wait in the buffer.
            with suppress(OSError):
                self._process.stdin.close()
        finally:
            self._writing.release()


def _creation_flags(*, own_group: bool) -> int:
    """Return the flags for Windows, 0 elsewhere."""
    flags: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    if own_group:
        flags |= getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    return flags
