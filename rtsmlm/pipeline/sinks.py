"""Sinks of a lab: rows go to them on a thread each, so that none can slow or stop the run.

A sink that fails is given the next batches all the same, one that is too slow misses some; both
are counted, and the user is warned once when it happens and once at the end.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable

from rtsmlm import plugins
from rtsmlm.localizations import Localizations
from rtsmlm.plugins import RunFacts
from rtsmlm.protocols import Sink
from rtsmlm.realtime.worker import one_line
from rtsmlm.settings.run import RunSettings

_MOST_BATCHES = 256
"""Waiting for a sink; at a few hundred frames a second this bridges a second or more."""
_CLOSE_S = 10.0

_log = logging.getLogger(__name__)


class SinkThread:
    """One sink, and the queue in front of it.

    Parameters
    ----------
    name
        Name in the settings.
    sink
        Where the rows go; only this thread calls it.
    warn
        Called with one sentence for what the user should know; from any thread.
    """

    def __init__(self, name: str, sink: Sink, warn: Callable[[str], None]) -> None:
        self.name = name
        self._sink, self._warn = sink, warn
        self._queue: queue.Queue[Localizations | None] = queue.Queue(_MOST_BATCHES)
        self.taken = self.failed = self.dropped = 0
        """Batches that were written, that the sink could not write, that it had no time for."""
        # A daemon: code of others that hangs must not keep the program from ending.
        self._thread = threading.Thread(
            target=self._run, name=f"rtsmlm-sink-{name}".replace(" ", "-"), daemon=True
        )
        self._thread.start()

    def put(self, localizations: Localizations) -> None:
        """Hand over rows; returns at once, and drops them where too many are waiting."""
        try:
            self._queue.put_nowait(localizations)
        except queue.Full:
            self.dropped += 1
            if self.dropped == 1:
                self._warn(
                    f"the sink {self.name} is too slow: {_MOST_BATCHES} batches wait for it, and "
                    "more are dropped for it; localizations.arrows has all of them"
                )

    def close(self, timeout_s: float = _CLOSE_S) -> None:
        """Let it write what waits, and close it; one that hangs is left behind."""
        try:
            self._queue.put(None, timeout=timeout_s)
        except queue.Full:
            self._warn(f"the sink {self.name} hangs and was left behind")
            return
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._warn(f"the sink {self.name} did not end within {timeout_s:g} s; it was left")
        elif self.failed or self.dropped:
            total = self.taken + self.failed + self.dropped
            self._warn(
                f"the sink {self.name} lacks {self.failed + self.dropped} of {total} batches "
                f"({self.failed} failed, {self.dropped} dropped)"
            )

    def _run(self) -> None:
        while (localizations := self._queue.get()) is not None:
            try:
                self._sink.put(localizations)
                self.taken += 1
            except Exception as error:  # code of others raises what it likes
                self.failed += 1
                if self.failed == 1:
                    _log.exception("the sink %s failed", self.name)
                    self._warn(f"the sink {self.name} failed: {one_line(error)}; the run goes on")
        try:
            self._sink.close()
        except Exception as error:
            _log.exception("the sink %s could not be closed", self.name)
            self._warn(f"the sink {self.name} could not be closed: {one_line(error)}")


class Sinks:
    """All sinks that the settings name.

    Parameters
    ----------
    settings
        Settings of the run.
    run
        What a sink has to know of the run.
    warn
        Called with one sentence for what the user should know; from any thread.
    """

    def __init__(self, settings: RunSettings, run: RunFacts, warn: Callable[[str], None]) -> None:
        self._threads: list[SinkThread] = []
        for name in settings.results.sinks:
            try:
                sink = plugins.find_sink(name)(settings, run)
            except Exception as error:  # the run is worth more than one of its outputs
                _log.exception("the sink %s could not be opened", name)
                warn(f"the sink {name} could not be opened: {one_line(error)}; the run goes on")
                continue
            self._threads.append(SinkThread(name, sink, warn))

    def put(self, localizations: Localizations) -> None:
        """Hand rows to every sink; returns at once."""
        for thread in self._threads:
            thread.put(localizations)

    def close(self) -> None:
        """Finish them. Safe to call more than once."""
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.close()


def check_sinks(names: Iterable[str]) -> None:
    """Raise `ConfigError` if one of these is not installed, so that a misspelling shows at once."""
    for name in names:
        plugins.find_sink(name)
