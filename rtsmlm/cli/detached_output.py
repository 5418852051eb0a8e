"""Output to a terminal or pipe that is not read: it never blocks the program.

Ctrl-S, a selection in the console of Windows, or a launcher that ignores our output make a write
wait without limit. The thread that wrote would then no longer see that it was asked to stop.
"""

from __future__ import annotations

import atexit
import io
import os
import stat
import sys
import threading
from collections import deque
from typing import IO, Any, Literal, cast

_MOST_CHUNKS = 2000
"""About as many lines wait while nothing is read; later ones are left out."""
_FLUSH_S = 0.3
"""A terminal that takes longer counts as frozen, and is not waited for until it moves."""


class DetachedOutput(io.TextIOBase):
    """Standard output or error, written to by a thread where writing could block.

    Parameters
    ----------
    name
        Which of the two; looked up anew for every write, as it may be replaced.
    """

    def __init__(self, name: Literal["stdout", "stderr"]) -> None:
        self._name = name
        self._waiting: deque[tuple[Any, bytes]] = deque()
        self._changed = threading.Condition()
        self._is_writing = self._is_frozen = False
        self._n_left_out = 0
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> int:
        """Write text, now or as soon as it is read; returns at once in the second case."""
        stream = self._stream()
        raw = _raw_of(stream)
        if raw is None:
            stream.write(text)
            return len(text)
        data = text.encode(stream.encoding or "utf-8", errors="replace")
        with self._changed:
            if len(self._waiting) >= _MOST_CHUNKS:
                self._n_left_out += 1
                return len(text)
            if self._n_left_out:
                left_out = f"... {self._n_left_out} lines are left out, as nothing was read ...\n"
                self._waiting.append((raw, left_out.encode("ascii")))
                self._n_left_out = 0
            self._waiting.append((raw, data))
            self._start()
            self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Wait until all is written, unless nothing is being read."""
        stream = self._stream()
        if _raw_of(stream) is None:
            stream.flush()
            return
        with self._changed:
            if self._is_frozen:
                return
            self._is_frozen = not self._changed.wait_for(self._is_done, _FLUSH_S)

    @property
    def is_frozen(self) -> bool:
        """True if what was written is not read."""
        self.flush()
        with self._changed:
            return self._is_frozen and not self._is_done()

    def isatty(self) -> bool:
        """Return True if it is a terminal."""
        return bool(self._stream().isatty())

    def fileno(self) -> int:
        """Return the number of the file behind it."""
        return int(self._stream().fileno())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the stream behind it."""
        return self._stream().encoding or "utf-8"

    def _stream(self) -> Any:
        stream = getattr(sys, self._name)
        # Rich puts itself before the stream while a status line is shown.
        return getattr(stream, "rich_proxied_file", stream)

    def _is_done(self) -> bool:
        return not self._waiting and not self._is_writing

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            # A daemon: one that waits for a terminal must not keep the program from ending.
            self._thread = threading.Thread(
                target=self._write_all, name=f"output {self._name}", daemon=True
            )
            self._thread.start()
            atexit.register(self.flush)

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                raw, data = self._waiting.popleft()
                self._is_writing = True
            try:
                while data:
                    data = data[raw.write(data) or 0 :]
            except (OSError, ValueError):
                pass  # a closed pipe: there is nothing left to write to
            with self._changed:
                self._is_writing = self._is_frozen = False
                self._changed.notify_all()


_outputs: list[DetachedOutput] = []


def detached(name: Literal["stdout", "stderr"]) -> IO[str]:
    """Return standard output or error as a file that never blocks."""
    output = DetachedOutput(name)
    _outputs.append(output)
    return cast("IO[str]", output)


def is_output_frozen() -> bool:
    """Return True if what this program has printed is not read."""
    return any(output.is_frozen for output in _outputs)


def _raw_of(stream: Any) -> Any | None:
    """Return the unbuffered file behind a stream; None where writing to it cannot block.

    Below the buffer, as its lock would be held while a write waits, and the interpreter takes it
    when it ends.
    """
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # with PYTHONUNBUFFERED there is no buffer
    if not isinstance(raw, io.RawIOBase):
        return None
    try:
        mode = os.fstat(raw.fileno()).st_mode
    except (OSError, ValueError):
        return None
    return None if stat.S_ISREG(mode) else raw
