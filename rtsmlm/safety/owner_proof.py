"""OwnerProof: the beat of the program that owns the lasers, and what has to be alive for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from rtsmlm.realtime.clock import now_ns
from rtsmlm.safety.guard import Guard
from rtsmlm.safety.heartbeat import ACT_AT, BEAT_S, Silence
from rtsmlm.safety.sentinel import Sentinel
from rtsmlm.settings.safety import SafetySettings

_POLL_GRACE_S = 0.25
_HELP_NS = 2_000_000_000
"""The sentinel needs so long for one attempt beside this program."""


def may_shine(lasers: Iterable[Guard]) -> bool:
    """Tell whether a laser may be switched on, or is not known to be dark."""
    return any((guard.armed and guard.tripped is None) or not guard.is_safe for guard in lasers)


class OwnerProof:
    """Beats for the thread that makes it, which has to be the one that decides on every power.

    Parameters
    ----------
    sentinel
        Who watches this program, and is watched.
    guards
        All guards by name.
    lasers
        Those of lasers.
    settings
        How long silence may last.
    trip
        Turns all lasers dark and latches them, with the reason.
    """

    def __init__(
        self,
        sentinel: Sentinel,
        guards: Mapping[str, Guard],
        lasers: Mapping[str, Guard],
        settings: SafetySettings,
        *,
        trip: Callable[[str], None],
    ) -> None:
        self._sentinel, self._heartbeat = sentinel, sentinel.heartbeat
        self._guards, self._lasers = guards, lasers
        self._limit_s = settings.silence_s
        self._trip = trip
        self._thread = threading.get_ident()
        self._begin_ns = self._beat_ns = now_ns()
        self._help_ns = 0
        self.longest_s = 0.0
        """Longest time between two beats so far; the sentinel acts at six tenths of the limit."""
        self._silence = Silence(lambda: self._heartbeat.sentinel_beats)

    def beat(self) -> None:
        """Look at everything else that has to be alive, then beat; without effect elsewhere."""
        if threading.get_ident() != self._thread:
            return
        if may_shine(self._lasers.values()) and (reason := self._missing()):
            self._trip(reason)
        for name, reason in self._not_polled().items():
            self._guards[name].trip(reason)
        if self._heartbeat.acknowledge() and may_shine(self._lasers.values()):
            self._trip("the sentinel switched the lasers off, as this program had been silent")
        self._ask_for_help()
        self._heartbeat.light_is_possible = may_shine(self._lasers.values())
        self._beat_ns = now_ns()
        self._heartbeat.beat()

    def beat_while_waiting(self) -> None:
        """Beat in the course of a bounded wait for a device."""
        if threading.get_ident() == self._thread:
            self._beat_ns = now_ns()
            self._heartbeat.beat()

    def _missing(self) -> str:
        """Return which proof is missing for all lasers, empty if none is."""
        stood_still_s = (now_ns() - self._beat_ns) / 1e9
        self.longest_s = max(self.longest_s, stood_still_s)
        if stood_still_s > max(self._limit_s, 2 * BEAT_S):
            return f"this program stood still for {stood_still_s:.1f} s (safety.silence_s)"
        if not self._sentinel.alive:
            return "the laser sentinel has died"
        silent_s = self._silence.seconds()
        if silent_s > ACT_AT * self._limit_s:
            return f"the laser sentinel was silent for {silent_s:.2f} s (safety.silence_s)"
        if not threading.main_thread().is_alive():
            return "the main thread of the program has ended"
        return ""

    def _not_polled(self) -> dict[str, str]:
        """Return the guards whose device was not polled lately, with the reason to trip them."""
        found = {}
        for name, guard in self._guards.items():
            late_s = (now_ns() - max(guard.polled_ns, self._begin_ns)) / 1e9
            if guard.armed and guard.tripped is None and late_s > self._limit_s + _POLL_GRACE_S:
                found[name] = f"its device was not polled for {late_s:.1f} s (safety.silence_s)"
        return found

    def _ask_for_help(self) -> None:
        """Ask the sentinel to switch off what this program could not."""
        unsafe = any(guard.not_confirmed is not None for guard in self._lasers.values())
        if unsafe and now_ns() - self._help_ns > _HELP_NS:
            self._help_ns = now_ns()
            self._heartbeat.ask_to_take_over()
