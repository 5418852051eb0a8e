"""The analysis as a process of its own.

Run as ``python -m rtsmlm.pipeline.__main__``; the job comes as one line of JSON on standard input,
events go out as lines of JSON on standard output. When standard input ends, the owner is gone: what
is in the ring is still localized, then the files are closed.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from rtsmlm.errors import PipelineError, RtsmlmError
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.pipeline import Pipeline
from rtsmlm.realtime.ring import FrameRing

_log = logging.getLogger(__name__)


def _read_job(stdin: int) -> tuple[PipelineJob, bytes]:
    """Return the job, and what the owner has said after it."""
    # Straight from the descriptor: a daemon thread that waits inside the buffered `sys.stdin`
    # makes the interpreter abort at its end.
    said = b""
    while b"\n" not in said:
        part = os.read(stdin, 65536)
        if not part:
            raise PipelineError("the owner ended before it had said what to do")
        said += part
    line, _, rest = said.partition(b"\n")
    return PipelineJob.from_json(line.decode()), rest


def _watch_owner(
    stdin: int, rest: bytes, stop: threading.Event, hear: Callable[[dict[str, Any]], None]
) -> None:
    """Hear the owner out, and end with it: its death closes our standard input."""
    while part := os.read(stdin, 65536):
        *lines, rest = (rest + part).split(b"\n")
        if lines:
            hear(json.loads(lines[-1]))  # only the newest status counts
    stop.set()


def main() -> int:
    """Run the analysis process."""
    # Ctrl-C goes to the whole console group; the owner alone decides about the order of leaving.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(threadName)s %(message)s")
    out = sys.stdout

    def emit(event: dict[str, Any]) -> None:
        try:
            out.write(json.dumps(event) + "\n")
            out.flush()
        except OSError:  # the owner is gone; what is in the ring is still worth finishing
            _log.debug("no owner listens to %s", event.get("kind"))

    stop = threading.Event()
    stdin = sys.stdin.fileno()
    try:
        job, rest = _read_job(stdin)
        with FrameRing.attach(job.ring) as ring:
            analysis = Pipeline(job, ring, emit)
            arguments = (stdin, rest, stop, analysis.hear)
            threading.Thread(target=_watch_owner, args=arguments, daemon=True).start()
            analysis.run(stop)
    except RtsmlmError as error:
        emit({"kind": "died", "text": str(error)})
        return 1
    except Exception as error:
        _log.exception("the analysis process died")
        emit({"kind": "died", "text": f"{type(error).__name__}: {error}"})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
