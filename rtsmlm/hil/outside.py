"""The lasers of a rig as they are seen from outside the program that has them open."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType

from rtsmlm import plugins
from rtsmlm.drivers.micromanager.lasers_only import core_of_lasers, read_configuration
from rtsmlm.drivers.simulated.light_watch import LightWatch
from rtsmlm.errors import FileFormatError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.hil.rig import HilRig
from rtsmlm.realtime.clock import now_ns

_POLL_S = 0.02
_ROUNDED = timedelta(milliseconds=2)
"""Times in the audit are rounded down to milliseconds."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A time on the clock of the run and on that of the wall, for the audit."""

    t_ns: int = field(default_factory=now_ns)
    t_utc: datetime = field(default_factory=lambda: datetime.now(UTC))


class OutsideView:
    """When lasers come on and go dark: by their light where that is seen, else by lasers.csv.

    Parameters
    ----------
    rig
        Was open once, and is closed now.
    folder
        Of the run.
    """

    def __init__(self, rig: HilRig, folder: RunFolder) -> None:
        self._rig, self._folder = rig, folder
        files = {name: rig.known_traits(name).light_file for name in rig.settings.lasers}
        self._logged = [name for name, file in files.items() if file is None]
        self._watch = LightWatch({name: f for name, f in files.items() if f is not None})

    def __enter__(self) -> OutsideView:
        """Start watching."""
        self._watch.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop watching."""
        self._watch.__exit__(kind, error, traceback)

    @property
    def is_lit(self) -> bool:
        """True if all lasers are on."""
        logged = all(any(_sent(row) > 0 for row in self.rows(name)) for name in self._logged)
        return logged and not self._watch.dark()

    def wait_dark(self, since: Moment, limit_s: float) -> float:
        """Wait until all are dark; return how long that took, in s; infinity if it did not."""
        while (now_ns() - since.t_ns) / 1e9 < limit_s:
            if (dark_s := self.dark_after_s(since)) < math.inf:
                return dark_s
            self._rig.pause(_POLL_S)
        return math.inf

    def dark_after_s(self, since: Moment) -> float:
        """Return how long after a moment the last one was dark for good, in s; inf if it is not."""
        seen = self._watch.dark_after_s(since.t_ns).values()
        return max([*seen, *(self._logged_dark_s(name, since) for name in self._logged)])

    def _logged_dark_s(self, name: str, since: Moment) -> float:
        for row in self.rows(name):
            after = _time(row) - since.t_utc
            if after >= -_ROUNDED and row["kind"] in ("dark", "trip"):
                return max(after.total_seconds(), 0.0)
        return math.inf

    @property
    def all_dark(self) -> bool:
        """True if no light is seen; lasers whose light cannot be seen count as dark."""
        return not self._watch.lit()

    def wait_for_row(self, name: str, since: Moment, part: str, timeout_s: float) -> str:
        """Return why a laser went dark, from the audit; empty if it does not tell in time.

        Parameters
        ----------
        name
            Which laser.
        since
            Earlier rows do not count.
        part
            What the reason has to contain.
        timeout_s
            The sentinel writes after it has acted.
        """
        until_ns = now_ns() + round(timeout_s * 1e9)
        while True:
            for row in self.rows(name):
                dark = row["kind"] in ("dark", "trip") and _time(row) >= since.t_utc - _ROUNDED
                if dark and part in row["reason"]:
                    return row["reason"]
            if now_ns() > until_ns:
                return ""
            self._rig.pause(_POLL_S)

    def rows(self, name: str) -> list[dict[str, str]]:
        """Return the rows of a laser in the audit so far."""
        if not self._folder.lasers.is_file():
            return []
        try:
            return [row for row in read_laser_log(self._folder.lasers) if row["actuator"] == name]
        except FileFormatError:  # its first line is being written
            return []

    def still_on(self) -> str:
        """Ask the lasers, which nothing else has open, whether they are on; return what is wrong.

        One that is on is switched off. One that is simulated without a state file has ended with
        its program, and is not asked.
        """
        rig = self._rig
        outlive = {
            name: laser
            for name, laser in rig.settings.lasers.items()
            if rig.known_traits(name).outlives_process
        }
        on: list[str] = []
        configuration = read_configuration(rig.settings.micromanager)
        with core_of_lasers(configuration, outlive.values()) as core:
            for name, laser in outlive.items():
                actuator = plugins.find_laser(laser.driver)(name, laser, core)
                power = actuator.setpoint()
                if power != 0.0:
                    on.append(f"{name} is still at {power:g} when it is asked afterwards")
                    actuator.make_safe()
                actuator.close()
        return "; ".join(on)


def _time(row: dict[str, str]) -> datetime:
    return datetime.fromisoformat(row["time_utc"])


def _sent(row: dict[str, str]) -> float:
    return float(row["sent"] or 0)
