"""Networks of images as a process of their own, of the lowest priority.

Run as ``python -m rtsmlm.pipeline.image_process`` by the analysis (`image_feed`): the job comes as
one line on standard input, frames by a ring of their own; events go out as lines. When standard
input ends, the layers are written, with the frames that were seen, and the process ends.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading

from rtsmlm.pipeline.events import Warned
from rtsmlm.pipeline.owner_pipe import EventOutput, read_job, watch_owner
from rtsmlm.realtime.log_format import handler_to_stderr
from rtsmlm.realtime.ring import FrameRing
from rtsmlm.realtime.thread_priority import lower_this_process
from rtsmlm.realtime.worker import one_line

_log = logging.getLogger(__name__)


def main() -> int:
    """Run the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner alone decides when it ends
    lower_this_process()
    line_format = "%(asctime)s %(levelname)s %(threadName)s %(message)s"
    logging.basicConfig(handlers=[handler_to_stderr(line_format)])
    output = EventOutput()
    try:
        _run(sys.stdin.fileno(), output)
    except Exception as error:
        _log.exception("the process of image networks died")
        output.emit(Warned(f"no image layer grows any more: {one_line(error)}"))
        return 1
    return 0


def _run(stdin: int, output: EventOutput) -> None:
    job, rest = read_job(stdin)
    # Only now: what these packages print while they are imported must not get among the events.
    from rtsmlm.pipeline.growing_layers import GrowingLayers

    stop = threading.Event()
    owner = (stdin, rest, stop, lambda line: None)
    threading.Thread(target=watch_owner, args=owner, daemon=True).start()
    with FrameRing.attach(job.ring) as ring:
        GrowingLayers(job, ring, output.emit).run(stop)


if __name__ == "__main__":
    sys.exit(main())
