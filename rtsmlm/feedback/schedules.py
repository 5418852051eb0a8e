"""Schedules: the powers of the lasers that no law steers, over the time of a run."""

from __future__ import annotations

from collections.abc import Mapping

from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.records import CommandContext
from rtsmlm.settings.lasers import LaserSettings, at_time

_WORTH_SENDING = 0.02
"""A smaller relative change is not worth a command."""


class Schedules:
    """Ask the guards for what is planned.

    Parameters
    ----------
    guards
        Those of all lasers by name.
    settings
        Schedule and start power of each.
    steered
        Name of the laser that the law steers, which has no schedule; None for none.
    """

    def __init__(
        self,
        guards: Mapping[str, LaserGuard],
        settings: Mapping[str, LaserSettings],
        *,
        steered: str | None,
    ) -> None:
        self._guards = {name: guard for name, guard in guards.items() if name != steered}
        self._settings = settings
        self._planned: dict[str, float] = {}
        """Power that each laser was last asked for."""
        self._before: dict[str, float] = {}
        """Power that was planned at the last call."""

    def follow(self, t_s: float) -> None:
        """Ask for the powers at a time, in seconds since the start; what has not changed is not."""
        for name, guard in self._guards.items():
            if not guard.armed or guard.tripped is not None:
                continue
            settings = self._settings[name]
            power = at_time(settings.schedule, t_s) if settings.schedule else settings.start_power
            # What the guard leaves of it is not what was asked for: compare with that.
            change = abs(power - self._planned.get(name, 0.0))
            # Where a slope ends the rest is sent, too: the plateau has its own power, not one near.
            is_steady = power == self._before.get(name)
            self._before[name] = power
            if change > (0.0 if is_steady else _WORTH_SENDING * power):
                self._planned[name] = power
                guard.command(power, CommandContext(reason="as planned", state="schedule"))
