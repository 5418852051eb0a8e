"""The analysis as a process of its own.

Run as ``python -m rtsmlm.pipeline``; the job comes as one line of JSON on standard input, then the
state of the run now and then; events go out as lines on standard output (`events`). When standard
input ends, the owner is gone: what is in the ring is still localized, then the files are closed.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import IO

from rtsmlm.errors import PipelineError
from rtsmlm.pipeline.events import Died, Event, Warned, status_from_line, to_line
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.realtime.log_format import handler_to_stderr
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.realtime.worker import one_line

_log = logging.getLogger(__name__)


def _read_job(stdin: int) -> tuple[PipelineJob, bytes]:
    """Return the job, and what the owner has written after it."""
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


def _watch_owner(
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


class _Output:
    """Standard output, for events alone: what anything else prints goes to the errors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # A name of its own for the pipe; the number that libraries print to leads to the log.
        self._file: IO[str] = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def emit(self, event: Event) -> None:
        """Write an event; from any thread."""
        try:
            with self._lock:
                self._file.write(to_line(event) + "\n")
                self._file.flush()
        except OSError:  # the owner is gone; what is in the ring is still worth finishing
            _log.debug("no owner reads the event %s", type(event).__name__)


def main() -> int:
    """Run the analysis process."""
    # Ctrl-C goes to the whole console group; the owner alone decides about the order of the end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line_format = "%(asctime)s %(levelname)s %(threadName)s %(message)s"
    logging.basicConfig(handlers=[handler_to_stderr(line_format)])
    output = _Output()
    try:
        _run(sys.stdin.fileno(), output.emit)
    except Exception as error:
        _log.exception("the analysis process died")
        output.emit(Died(one_line(error)))
        return 1
    return 0


def _run(stdin: int, emit: Callable[[Event], None]) -> None:
    job, rest = _read_job(stdin)
    # Only now: what these packages print while they are imported must not get among the events.
    from rtsmlm.pipeline.pipeline import Pipeline

    with FrameRing.attach(job.ring) as ring:
        pipeline = Pipeline(job, ring, emit)
        known: set[str] = set()

        def handle(line: str) -> None:
            try:
                pipeline.publish(status_from_line(line))
            except PipelineError as error:  # costs the window its status, and no frame
                if str(error) not in known:
                    known.add(str(error))
                    emit(Warned(str(error)))

        stop = threading.Event()
        threading.Thread(target=_watch_owner, args=(stdin, rest, stop, handle), daemon=True).start()
        pipeline.run(stop)


if __name__ == "__main__":
    sys.exit(main())
