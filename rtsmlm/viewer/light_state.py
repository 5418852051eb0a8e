"""LightState: what a window may say of the lasers of a run, and what it has to warn of; no Qt here.

The run states what its guards know. What is not stated is never taken for dark.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rtsmlm.stream.messages import LoopMessage
from rtsmlm.viewer.sources.updates import Connection, RunUpdate

NO_STATUS_S = 3.0
"""A run publishes its status some times a second; none for so long is worth a warning."""
OLD_DATA_TICKS, OLD_DATA_S = 2.0, 2.0
"""Data older than so many ticks of the loop are old; the second where its tick is not known."""

OffState: TypeAlias = Literal["", "off, not confirmed yet", "off, confirmed", "no laser is driven"]
"""After the lasers were switched off here; empty before that, and once they were armed anew."""


@dataclass(frozen=True, slots=True)
class LightWarning:
    """A sentence on the lasers that stays as long as it is true."""

    text: str
    is_alarm: bool
    """Light may be on that should be off."""


class LightState:
    """The lasers of a run by its newest status.

    Parameters
    ----------
    is_armed
        Whether the program that owns the run lets it command lasers, as long as no status of the
        run states it.
    clock_s
        Steady clock.
    """

    def __init__(
        self, *, is_armed: bool = False, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_armed, self._clock_s = is_armed, clock_s
        self._connection: Connection = "waiting"
        self._loop: LoopMessage | None = None
        self._status_at_s: float | None = None
        self._old_data_s = OLD_DATA_S
        self._is_pressed = self._was_latched = False

    def take(self, update: RunUpdate) -> None:
        """Take what is new in the run."""
        self._connection = update.connection
        if update.begins and update.run is not None:
            tick_s = update.run.settings.feedback.tick_s
            self._old_data_s = OLD_DATA_S if tick_s is None else OLD_DATA_TICKS * tick_s
            self._loop = self._status_at_s = None
            self._is_pressed = False
        if update.status is None:
            return
        self._status_at_s, loop = self._clock_s(), update.status.loop
        self._loop = loop
        if loop is not None and self._is_pressed:
            is_latched = loop.tripped is not None
            if self._was_latched and not is_latched:
                self._is_pressed = False
            self._was_latched = is_latched

    # -- closing -------------------------------------------------------------------------

    @property
    def may_shine(self) -> bool:
        """True while a run goes on that may light a laser, or has one that is not seen dark."""
        loop = self._loop
        if self._connection == "ended":
            return False
        if loop is None:
            return self._is_armed
        is_off = loop.tripped is not None and loop.seen_dark
        return bool(loop.not_dark) or (loop.armed and not is_off)

    # -- switching off -------------------------------------------------------------------

    def note_off(self) -> None:
        """Note that the lasers were switched off here."""
        self._is_pressed, self._was_latched = True, False

    @property
    def off_state(self) -> OffState:
        """What became of it, by a status that is no older than the latch."""
        if not self._is_pressed:
            return ""
        loop = self._loop
        if loop is None:
            is_unknown = self._is_armed or self._status_at_s is None
            return "off, not confirmed yet" if is_unknown else "no laser is driven"
        if not self._was_latched or loop.not_dark:
            return "off, not confirmed yet"
        if loop.seen_dark:
            return "off, confirmed"
        is_known = loop.armed or loop.tripped is not None
        return "off, not confirmed yet" if is_known else "no laser is driven"

    # -- warnings ------------------------------------------------------------------------

    def warnings(self) -> list[LightWarning]:
        """Return what has to be shown, the gravest first."""
        found = [self._not_dark(), self._no_status() or self._old_data()]
        return [warning for warning in found if warning is not None]

    def _not_dark(self) -> LightWarning | None:
        if self._loop is None or not self._loop.not_dark:
            return None
        names = ", ".join(self._loop.not_dark)
        return LightWarning(
            f"NOT CONFIRMED DARK: {names}. Switch it off at its key or close its shutter, and see "
            "it dark before anyone works on the microscope.",
            is_alarm=True,
        )

    def _no_status(self) -> LightWarning | None:
        if self._status_at_s is None or not self.may_shine:
            return None
        age_s = self._clock_s() - self._status_at_s
        if age_s <= NO_STATUS_S:
            return None
        return LightWarning(
            f"No status of the run for {age_s:.0f} s; its lasers were armed. `rtsmlm lasers-off` "
            "in a terminal of its computer switches them off.",
            is_alarm=False,
        )

    def _old_data(self) -> LightWarning | None:
        loop = self._loop
        if loop is None or not loop.armed or loop.tripped is not None:
            return None
        if self._connection == "ended" or not loop.data_age_s > self._old_data_s:
            return None  # NaN is not old: nothing has been seen yet
        return LightWarning(
            f"Steering on data {_seconds(loop.data_age_s)} s old: power is not raised, and without "
            "newer data the lasers go dark.",
            is_alarm=False,
        )


def _seconds(age_s: float) -> str:
    return f"{age_s:.0f}" if math.isinf(age_s) or age_s >= 1 else f"{age_s:.1f}"
