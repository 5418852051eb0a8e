"""Sentinel: a second process that switches the lasers off where the first one cannot any more.

A serial port belongs to one process at a time, so that the sentinel may have to wait for the death
of the owner, or to bring it about, before it loads the lasers alone and switches them off. Which of
the two it is, and that it can be done at all, is found out by rehearsals before a laser is armed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress

from rtsmlm.drivers.micromanager.lasers_only import LaserConfiguration
from rtsmlm.errors import ConfigError, WorkerError
from rtsmlm.realtime.child_process import ChildProcess, module_command
from rtsmlm.safety.heartbeat import Heartbeat
from rtsmlm.safety.sentinel_job import READY, SentinelJob, SentinelOrder
from rtsmlm.settings.lasers import LaserSettings

_READY_S = 60.0
"""A cold disk needs long to load Python packages and drivers; no laser is armed meanwhile."""
_END_S = 10.0


class Sentinel:
    """The side of the owner: start it before a laser is armed, dismiss it when all are off.

    Parameters
    ----------
    configuration
        Micro-Manager configuration with the lasers, in memory.
    lasers
        Settings of the lasers by name.
    silence_s
        How long the owner may be silent while a laser is on.

    Raises
    ------
    WorkerError
        If it cannot be started.
    """

    def __init__(
        self,
        configuration: LaserConfiguration,
        lasers: Mapping[str, LaserSettings],
        silence_s: float,
    ) -> None:
        self.lasers = dict(lasers)
        self.heartbeat = Heartbeat.create()
        self.unreachable: dict[str, str] = dict.fromkeys(lasers, "it was never tried")
        """Lasers that no rehearsal has reached, and why."""
        self.beside_owner: tuple[str, ...] = ()
        """Lasers that were reached in the last rehearsal."""
        self._pid = os.getpid()
        self._is_ready = self._is_dismissed = False
        job = SentinelJob(configuration, lasers, self.heartbeat.name, self._pid, silence_s)
        try:
            # A group of its own: Ctrl-C, which ends the main process, must not end this too.
            self._child = ChildProcess(
                "laser sentinel", module_command("rtsmlm.safety.sentinel_process"), own_group=True
            )
        except BaseException:
            self.heartbeat.close()
            raise
        self._child.write_line(job.to_json())

    # -- before a laser is armed -------------------------------------------------------------

    def wait_ready(self) -> None:
        """Wait until it is there.

        Raises
        ------
        WorkerError
            If it does not come up within a minute; it is killed then.
        """
        if not self._is_ready:
            self._expect(READY)
            self._is_ready = True

    def _expect(self, wanted: str | None = None) -> str:
        """Return the next line, which has to be the wanted one; end the sentinel if it is not."""
        why = "it ended; its errors are above, or in the log of the program"
        try:
            line = self._child.read_line(_READY_S)
        except WorkerError as error:
            line, why = None, str(error)
        if line is not None and (line == wanted or wanted is None):
            return line
        self._child.kill()
        with suppress(WorkerError):  # the reason below matters more
            self._child.close(_END_S)
        if line is not None:
            why = f"it wrote {line!r} instead of {wanted!r}"
        raise WorkerError(f"the lasers are not armed: no laser sentinel, {why}")

    def rehearse(self) -> None:
        """Let it switch the lasers off as it would have to, and see which of them it reaches.

        The first time before this program opens its devices, where it does that itself: a port
        may have one owner at a time. The last time while they are open.

        Raises
        ------
        WorkerError
            If it does not answer; it is killed then.
        """
        self.wait_ready()
        self._child.write_line(SentinelOrder("rehearse").to_json())
        line = self._expect()
        try:
            failed: dict[str, str] = json.loads(line)
        except ValueError as error:
            raise WorkerError(
                f"the lasers are not armed: the laser sentinel answered {line[:80]!r}; a driver "
                "prints to standard output"
            ) from error
        self.beside_owner = tuple(name for name in self.lasers if name not in failed)
        for name in self.lasers:
            if name in failed and name in self.unreachable:
                self.unreachable[name] = failed[name]
            elif name not in failed:
                self.unreachable.pop(name, None)

    def guard(
        self, audit: str, start_ns: int, units: Mapping[str, str], *, may_end_owner: bool
    ) -> None:
        """Begin to watch over a run.

        Parameters
        ----------
        audit
            Path of `lasers.csv`.
        start_ns
            When the run began, on the clock of `realtime.clock.now_ns`.
        units
            Unit of each laser.
        may_end_owner
            This program may be ended where it is silent and holds the port of a laser.

        Raises
        ------
        ConfigError
            If a laser cannot be reached, or only after this program has ended and that may not be
            ended.
        """
        for name, why in self.unreachable.items():
            raise ConfigError(
                f"{name} is not armed: if this program died, no other could switch it off "
                f"({why}); state micromanager.config, a configuration with "
                f"{self.lasers[name].device}; where its port has one owner at a time, rehearse "
                "before this program opens it (attach(..., rehearsal=...), docs/safety.md)"
            )
        alone = [name for name in self.lasers if name not in self.beside_owner]
        if alone and not may_end_owner:
            raise ConfigError(
                f"{alone[0]} is not armed: while this program has its port open, no other can "
                "switch it off; allow this program to be ended when it is silent for "
                "safety.silence_s (safety.end_program = true, or attach(..., end_program=True))"
            )
        order = SentinelOrder(
            "guard", audit, start_ns, dict(units), self.beside_owner, may_end_owner
        )
        self._child.write_line(order.to_json())

    # -- during the run ----------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """True while its process is there."""
        return self._child.exit_code() is None

    @property
    def pid(self) -> int:
        """Number of its process."""
        return self._child.pid

    def dismiss(self) -> None:
        """End it, as all lasers are off. Safe to call more than once, without effect in a fork.

        Raises
        ------
        WorkerError
            If it does not end.
        """
        if self._is_dismissed or os.getpid() != self._pid:
            return
        self._is_dismissed = True
        self._child.write_line(SentinelOrder("dismiss").to_json())
        try:
            self._child.close(_END_S)
        finally:
            self.heartbeat.close()

    def leave_behind(self) -> None:
        """Leave it on guard, as a laser is not known to be dark: it acts when this program ends."""
        self.heartbeat.light_is_possible = False
        self.heartbeat.close()  # the sentinel keeps its own hold on the memory
