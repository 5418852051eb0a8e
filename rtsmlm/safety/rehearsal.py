"""Rehearsal: whether a sentinel reaches the lasers, found out before this program opens them."""

from __future__ import annotations

from rtsmlm.drivers.micromanager.lasers_only import OURS, LaserConfiguration, read_configuration
from rtsmlm.safety.sentinel import Sentinel
from rtsmlm.settings.run import RunSettings


class Rehearsal:
    """Starts sentinels for the lasers of the settings, and keeps what they have reached.

    A program that opens its devices itself calls `run` before it does so. A host program, whose
    devices are open already, leaves that out: its lasers have to be reached beside it.

    Parameters
    ----------
    settings
        Settings of the run.
    configuration
        Micro-Manager configuration with the lasers; None takes the file that the settings name.
    end_program
        Whether this program may be ended for the lasers that are reached only then; the settings
        come before it.

    Raises
    ------
    RtsmlmError
        If there is no such configuration.
    """

    def __init__(
        self,
        settings: RunSettings,
        configuration: LaserConfiguration | None = None,
        *,
        end_program: bool = False,
    ) -> None:
        self._lasers, self._silence_s = settings.lasers, settings.safety.silence_s
        self._end_program = end_program
        allowed = settings.safety.end_program
        self.may_end_owner = end_program if allowed is None else allowed
        if configuration is None and all(laser.driver != OURS for laser in self._lasers.values()):
            configuration = LaserConfiguration("", "no configuration")
        self._configuration = configuration or read_configuration(settings.micromanager)
        self._reached: set[str] = set()
        self._sentinel: Sentinel | None = None
        self.sentinel_pid: int | None = None
        """Number of the process of the last sentinel; None before the first."""

    def run(self) -> None:
        """Start a sentinel and let it rehearse, while nothing else has the lasers open.

        Raises
        ------
        WorkerError
            If it cannot be started or does not answer.
        """
        sentinel = self._sentinel = self._start()
        sentinel.rehearse()
        self._reached = set(self._lasers) - set(sentinel.unreachable)

    def again(self, settings: RunSettings) -> Rehearsal:
        """Return what is known, for another run with the same devices."""
        other = Rehearsal(settings, self._configuration, end_program=self._end_program)
        other._reached = self._reached & set(settings.lasers)
        return other

    def take(self) -> Sentinel:
        """Return the sentinel that has rehearsed, or a new one that knows what was reached.

        Raises
        ------
        WorkerError
            If it cannot be started.
        """
        sentinel, self._sentinel = self._sentinel or self._start(), None
        return sentinel

    def close(self) -> None:
        """Dismiss a sentinel that was not taken. Safe to call more than once."""
        sentinel, self._sentinel = self._sentinel, None
        if sentinel is not None:
            sentinel.dismiss()

    def _start(self) -> Sentinel:
        sentinel = Sentinel(self._configuration, self._lasers, self._silence_s)
        self.sentinel_pid = sentinel.pid
        for name in self._reached:
            sentinel.unreachable.pop(name, None)
        return sentinel
