"""GuardSet: all guards of a run with those who watch over them, from arming to leaving.

Whatever happens, their lasers go dark: by the order of leaving, by a trip of a guard, by the
watchdog thread, at the exit of the program, and by the sentinel process where there is no program
left to do it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from rtsmlm.files.run.folder import RunFolder
from rtsmlm.protocols import Actuator
from rtsmlm.safety.audit import LaserAudit
from rtsmlm.safety.guard import Guard
from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.records import AuditRow
from rtsmlm.safety.sentinel import Sentinel, SentinelJob
from rtsmlm.safety.stage_guard import StageGuard
from rtsmlm.safety.watchdog import Watchdog
from rtsmlm.settings.run import RunSettings


class GuardSet:
    """A guard for every laser and stage that the settings name.

    Parameters
    ----------
    settings
        Settings of the run.
    lasers, stages
        What there is, by its name in the settings.
    folder
        The run folder, for the audit.
    start_ns
        When the run began, on the clock of `realtime.clock.now_ns`.
    armed
        Whether `arm` will be called.
    warn
        Called with one sentence for whatever a person should know.
    """

    def __init__(
        self,
        settings: RunSettings,
        lasers: Mapping[str, Actuator],
        stages: Mapping[str, Actuator],
        *,
        folder: RunFolder,
        start_ns: int,
        armed: bool,
        warn: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._warn = warn
        self._folder, self._start_ns, self._armed = folder, start_ns, armed
        self._audit: LaserAudit | None = None
        self._early_rows: list[AuditRow] = []
        self.lasers = {name: self._laser_guard(name, laser) for name, laser in lasers.items()}
        self.stages = {name: self._stage_guard(name, stage) for name, stage in stages.items()}
        self._all: list[Guard] = [*self.lasers.values(), *self.stages.values()]
        self._watchdog = Watchdog(self._all)
        self._sentinel: Sentinel | None = None

    def _laser_guard(self, name: str, laser: Actuator) -> LaserGuard:
        feedback = self._settings.feedback
        steered = name == feedback.laser
        return LaserGuard(
            laser,
            self._settings.lasers[name],
            max_rise=feedback.max_rise if steered else math.inf,
            tick_s=feedback.tick_s,
            silence_s=feedback.silence_s if steered else None,
            audit=self._note,
            on_trip=self._warn,
        )

    def _stage_guard(self, name: str, stage: Actuator) -> StageGuard:
        return StageGuard(stage, self._settings.stages[name], audit=self._note, on_trip=self._warn)

    def _note(self, row: AuditRow) -> None:
        if self._audit is None:
            self._early_rows.append(row)
        else:
            self._audit.note(row)

    # -- starting --------------------------------------------------------------------------

    def open(self) -> None:
        """Open the audit; start the sentinel, which has to be there before the first light.

        Raises
        ------
        SinkError
            If the audit cannot be written.
        """
        if not self._all:
            return
        path, settings = self._folder.lasers, self._settings
        self._audit = LaserAudit(path, self._start_ns)
        for row in self._early_rows:
            self._audit.note(row)
        self._early_rows.clear()
        if self._armed:
            units = {name: guard.actuator.unit for name, guard in self.lasers.items()}
            job = SentinelJob(
                settings.micromanager, settings.lasers, path.resolve(), self._start_ns, units
            )
            self._sentinel = Sentinel(job)

    def arm(self) -> None:
        """Arm all of them, once the sentinel is there.

        Raises
        ------
        RtsmlmError
            If one cannot be armed; those before it are.
        """
        if self._sentinel is not None:
            self._sentinel.wait_ready()
        for guard in self._all:
            guard.arm()

    def start_watchdog(self) -> None:
        """Start the watchdog."""
        self._watchdog.start()

    # -- latches ---------------------------------------------------------------------------

    @property
    def tripped(self) -> bool:
        """True if one is latched."""
        return any(guard.tripped is not None for guard in self._all)

    def trip(self, reason: str) -> None:
        """Turn all lasers dark and latch them."""
        for guard in self.lasers.values():
            guard.trip(reason)

    def reset(self, reason: str) -> None:
        """Lift all latches, manually; nothing is armed by that.

        Raises
        ------
        RtsmlmError
            If what made one trip is still there.
        """
        for guard in self._all:
            guard.reset(reason)

    # -- leaving ---------------------------------------------------------------------------

    def shut_down(self, reason: str) -> None:
        """Turn everything dark and disarm."""
        for guard in self._all:
            for text in guard.shut_down(reason):
                self._warn(f"{guard.actuator.name} did not go dark: {text}")

    def stop_watchdog(self) -> None:
        """Stop the watchdog; all must be dark by then.

        Raises
        ------
        WorkerError
            If it hangs in a driver.
        """
        self._watchdog.close()

    def close(self) -> None:
        """Dismiss the sentinel, if there is nothing left for it to do, and close the audit.

        Raises
        ------
        WorkerError
            If the sentinel does not end.
        """
        sentinel, self._sentinel = self._sentinel, None
        if sentinel is not None and all(guard.is_safe for guard in self.lasers.values()):
            sentinel.dismiss()
        for guard in self._all:
            guard.close()
        if self._audit is not None:
            self._audit.close()
