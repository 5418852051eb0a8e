"""LightWatch: watch the light of file lasers from outside, as a photodiode on the bench would."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from types import TracebackType

from rtsmlm.drivers.simulated.file_laser import light_mw
from rtsmlm.errors import DeviceError
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.worker import Worker

_POLL_S = 0.003
_WAIT_S = 0.01
_END_S = 5.0


@dataclass(frozen=True, slots=True)
class LightChange:
    """When the light of a laser changed, and to what."""

    t_ns: int
    """On the clock of `realtime.clock.now_ns`, which all processes share."""
    light_mw: float


class LightWatch:
    """A thread that notes every change of the light of some lasers; use it in a `with` block.

    A change is seen within some 3 ms, on a busy machine later: times to dark are never too short.

    Parameters
    ----------
    state_files
        State files of the lasers, by name.
    """

    def __init__(self, state_files: Mapping[str, Path]) -> None:
        self._files = dict(state_files)
        self._lock = Lock()
        self._changes: dict[str, list[LightChange]] = {name: [] for name in self._files}
        self._seen = Event()
        self._worker = Worker("light-watch", self._watch)

    def __enter__(self) -> LightWatch:
        """Start; the light of every laser is known from then on."""
        self._worker.start()
        self._seen.wait(_END_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop watching; what was noted stays."""
        self._worker.stop()
        self._worker.join(_END_S)

    def changes(self, name: str) -> list[LightChange]:
        """Return the changes of a laser so far, from its light at the start on."""
        with self._lock:
            return list(self._changes[name])

    def lit(self) -> tuple[str, ...]:
        """Return the lasers that are on."""
        return tuple(name for name in self._files if self._now(name) > 0)

    def dark(self) -> tuple[str, ...]:
        """Return the lasers that are off."""
        return tuple(name for name in self._files if not self._now(name) > 0)

    def dark_after_s(self, since_ns: int) -> dict[str, float]:
        """Return how long after some time each laser was dark for good, in s.

        Parameters
        ----------
        since_ns
            Time of the fault.

        Returns
        -------
        :
            By name: 0 where it was dark already, infinity where it is on.
        """
        return {name: self._dark_after_s(name, since_ns) for name in self._files}

    def wait_dark(self, timeout_s: float) -> bool:
        """Wait until all are dark; False if that takes longer."""
        return self._wait(lambda: not self.lit(), timeout_s)

    def wait_lit(self, timeout_s: float) -> bool:
        """Wait until all are on; False if that takes longer."""
        return self._wait(lambda: not self.dark(), timeout_s)

    def _wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        pause, until_ns = Event(), now_ns() + round(timeout_s * 1e9)
        while not done():
            if now_ns() > until_ns or not self._worker.alive:
                return False
            pause.wait(_WAIT_S)
        return True

    def _dark_after_s(self, name: str, since_ns: int) -> float:
        changes = self.changes(name)
        if not changes or changes[-1].light_mw > 0:
            return math.inf
        dark_ns = changes[-1].t_ns
        for change in reversed(changes):
            if change.light_mw > 0:
                break
            dark_ns = change.t_ns
        return max(dark_ns - since_ns, 0) / 1e9

    def _now(self, name: str) -> float:
        changes = self.changes(name)
        return changes[-1].light_mw if changes else 0.0

    def _watch(self, stop: Event) -> None:
        while True:
            for name, path in self._files.items():
                self._note(name, path)
            self._seen.set()
            if stop.wait(_POLL_S):
                return

    def _note(self, name: str, path: Path) -> None:
        try:
            light = light_mw(path)
        except DeviceError:  # read while it was being written
            return
        with self._lock:
            changes = self._changes[name]
            if not changes or changes[-1].light_mw != light:
                changes.append(LightChange(now_ns(), light))
