"""ReadingThread: a source is read beside the event loop; no Qt here.

A table on a disk that does not answer, or a resolution that begins anew, stops no window.
"""

from __future__ import annotations

import logging
import threading

from rtsmlm.realtime.worker import Worker, one_line
from rtsmlm.viewer.sources.updates import RunUpdate, Source
from rtsmlm.viewer.update_reader import UpdateReader

_LEAVE_S = 10.0

_log = logging.getLogger(__name__)


class ReadingThread:
    """Reads one update ahead, whenever the window asks for it.

    Parameters
    ----------
    reader
        Closed with the thread.
    source
        What is read first; closed with the thread, or once another one is followed.
    """

    def __init__(self, reader: UpdateReader, source: Source) -> None:
        self._reader, self._source = reader, source
        self._changed = threading.Condition()
        self._most_rows: int | None = None  # of the update that is asked for
        self._update: RunUpdate | None = None
        self._next: Source | None = None
        self._is_busy = False
        self._worker = Worker("read", self._work, on_death=self._die, has_time=True)
        self._worker.start()

    def request(self, most_rows: int) -> None:
        """Ask for the next update; nothing is read before the last one was taken.

        Parameters
        ----------
        most_rows
            No more than about so many.
        """
        with self._changed:
            self._most_rows = most_rows
            self._changed.notify_all()

    def take(self) -> RunUpdate | None:
        """Return the update that was read, once; None while none is there."""
        with self._changed:
            update, self._update = self._update, None
            self._changed.notify_all()
        return update

    def follow(self, source: Source) -> None:
        """Read another source from now on; the one before is closed in the thread."""
        with self._changed:
            skipped, self._next = self._next, source
            self._update = None
            self._changed.notify_all()
        if skipped is not None:
            skipped.close()

    def finish(self, timeout_s: float) -> bool:
        """Wait until what was asked for is read; False if it is not within the time-out."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._is_busy and (self._most_rows is None or self._update is not None),
                timeout_s,
            )

    def close(self) -> None:
        """End the thread and close what it has. Safe to call more than once."""
        with self._changed:
            self._worker.stop()
            self._changed.notify_all()
        self._worker.end(_LEAVE_S)

    # -- the thread ------------------------------------------------------------------------

    def _work(self, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                self._turn(stop)
        finally:
            self._reader.close()
            for source in (self._source, self._next):
                if source is not None:
                    source.close()

    def _turn(self, stop: threading.Event) -> None:
        with self._changed:
            self._is_busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: stop.is_set() or self._next is not None or self._is_due)
            if stop.is_set():
                return
            self._is_busy = True
            following, self._next = self._next, None
            most_rows, self._most_rows = self._most_rows, None
        if following is not None:
            self._source.close()
            self._source = following
            self._reader.forget()
        if most_rows is None:
            return
        update = self._reader.read(self._source, most_rows)
        with self._changed:
            if self._next is None:  # else it is of a source that is not followed any more
                self._update = update

    @property
    def _is_due(self) -> bool:
        return self._most_rows is not None and self._update is None

    def _die(self, error: BaseException) -> None:
        _log.error("the run is not read any more", exc_info=error)
        with self._changed:
            self._is_busy = False
            problem = f"the run is not read any more: {one_line(error)}"
            self._update = RunUpdate(connection="lost", problem=problem)
            self._changed.notify_all()
