"""The pipes of a child of ours to its owner: one job in, events out, and the end of the owner."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

from rtsmlm.errors import PipelineError
from rtsmlm.pipeline.events import to_line
from rtsmlm.pipeline.job import PipelineJob

_log = logging.getLogger(__name__)


def read_job(stdin: int) -> tuple[PipelineJob, bytes]:
    """Return the job, and what the owner has written after it.

    Raises
    ------
    PipelineError
        If the owner has ended before.
    """
    # Straight from the descriptor: a daemon thread that waits inside the buffered `sys.stdin`
    # makes the interpreter abort at its end.
    data = b""
    while b"\n" not in data:
        part = os.read(stdin, 65536)
        if not part:
            raise PipelineError("the owner of the analysis ended before it had sent the job")
        data += part
    line, _, rest = data.partition(b"\n")
    return PipelineJob.from_json(line.decode()), rest


def watch_owner(
    stdin: int, rest: bytes, stop: threading.Event, handle: Callable[[str], None]
) -> None:
    """Handle the newest line whenever some have come; set `stop` when the owner is gone."""
    try:
        while part := os.read(stdin, 65536):
            *lines, rest = (rest + part).split(b"\n")
            if lines:
                handle(lines[-1].decode(errors="replace"))
    finally:
        stop.set()


class EventOutput:
    """Standard output, for events alone: what anything else prints goes to the errors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # A name of its own for the pipe; the number that libraries print to leads to the log.
        self._file: IO[str] = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def emit(self, event: Any) -> None:
        """Write an event, a dataclass of plain values; from any thread."""
        try:
            with self._lock:
                self._file.write(to_line(event) + "\n")
                self._file.flush()
        except OSError:  # the owner is gone; what is in the ring is still worth finishing
            _log.debug("no owner reads the event %s", type(event).__name__)
