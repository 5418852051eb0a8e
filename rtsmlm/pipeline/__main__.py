"""The analysis as a process of its own.

Run as ``python -m rtsmlm.pipeline``; the job comes as one line of JSON on standard input, then the
state of the run now and then; events go out as lines on standard output (`events`). When standard
input ends, the owner is gone: what is in the ring is still localized, then the files are closed.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable

from rtsmlm.errors import PipelineError
from rtsmlm.pipeline.events import Died, Event, Warned, status_from_line
from rtsmlm.pipeline.owner_pipe import EventOutput, read_job, watch_owner
from rtsmlm.realtime.log_format import handler_to_stderr
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.realtime.worker import one_line

_log = logging.getLogger(__name__)


def main() -> int:
    """Run the analysis process."""
    # Ctrl-C goes to the whole console group; the owner alone decides about the order of the end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line_format = "%(asctime)s %(levelname)s %(threadName)s %(message)s"
    logging.basicConfig(handlers=[handler_to_stderr(line_format)])
    output = EventOutput()
    try:
        _run(sys.stdin.fileno(), output.emit)
    except Exception as error:
        _log.exception("the analysis process died")
        output.emit(Died(one_line(error)))
        return 1
    return 0


def _run(stdin: int, emit: Callable[[Event], None]) -> None:
    job, rest = read_job(stdin)
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
        threading.Thread(target=watch_owner, args=(stdin, rest, stop, handle), daemon=True).start()
        pipeline.run(stop)


if __name__ == "__main__":
    sys.exit(main())
