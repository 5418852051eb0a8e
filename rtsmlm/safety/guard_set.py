"""GuardSet: all guards of a run with those who watch over them, from arming to leaving.

Light is on only while the loop that decides proves that it does (`beat`), the sentinel proves that
it watches, and every device proves that it obeys. Where a proof does not come, the lasers go dark:
by their guards as long as this program runs, by the sentinel where it does not.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from functools import partial

from rtsmlm.errors import DeviceError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.protocols import Actuator
from rtsmlm.safety.at_once import at_once
from rtsmlm.safety.audit import LaserAudit
from rtsmlm.safety.guard import Guard
from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.owner_proof import OwnerProof, may_shine
from rtsmlm.safety.records import AuditRow
from rtsmlm.safety.rehearsal import Rehearsal
from rtsmlm.safety.sentinel import Sentinel
from rtsmlm.safety.stage_guard import StageGuard
from rtsmlm.safety.watchdog import Watchdog
from rtsmlm.settings.run import RunSettings

_log = logging.getLogger(__name__)

_DARK_S = 0.25
"""An order to go dark waits no longer than this; what is not confirmed then is followed up."""


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
    rehearsal
        How the sentinel reaches the lasers; None takes the configuration of the settings.
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
        rehearsal: Rehearsal | None = None,
    ) -> None:
        self._settings = settings
        self._warn = warn
        self._folder, self._start_ns, self._armed = folder, start_ns, armed
        self._rehearsal = rehearsal
        self._audit: LaserAudit | None = None
        self._early_rows: list[AuditRow] = []
        self.lasers = {name: self._laser_guard(name, laser) for name, laser in lasers.items()}
        self.stages = {name: self._stage_guard(name, stage) for name, stage in stages.items()}
        self._all: dict[str, Guard] = {**self.lasers, **self.stages}
        self._watchdog = Watchdog(list(self._all.values()))
        self._sentinel: Sentinel | None = None
        self._proof: OwnerProof | None = None

    def _laser_guard(self, name: str, laser: Actuator) -> LaserGuard:
        feedback = self._settings.feedback
        steered = name == feedback.laser
        return LaserGuard(
            laser,
            self._settings.lasers[name],
            self._settings.safety,
            max_rise=feedback.max_rise if steered else math.inf,
            tick_s=feedback.tick_s,
            silence_s=feedback.silence_s,
            # Without a laser that is steered it is not known whether an estimate ever comes.
            silence_after_beat=feedback.laser is None,
            audit=self._note,
            on_trip=self._warn,
            while_waiting=self._beat_while_waiting,
        )

    def _stage_guard(self, name: str, stage: Actuator) -> StageGuard:
        return StageGuard(
            stage,
            self._settings.stages[name],
            self._settings.safety,
            audit=self._note,
            on_trip=self._warn,
            while_waiting=self._beat_while_waiting,
        )

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
        RtsmlmError
            If the audit cannot be written, or the configuration of the lasers not be read.
        """
        if not self._all:
            return
        self._audit = LaserAudit(self._folder.lasers, self._start_ns)
        for row in self._early_rows:
            self._audit.note(row)
        self._early_rows.clear()
        if self._armed and self.lasers:
            self._rehearsal = self._rehearsal or Rehearsal(self._settings)
            self._sentinel = self._rehearsal.take()

    def arm(self) -> None:
        """Arm all of them, once the sentinel has shown that it reaches the lasers.

        Raises
        ------
        RtsmlmError
            If one cannot be armed; those before it are.
        """
        if self._sentinel is not None:
            self._sentinel.rehearse()
            self._sentinel.guard(
                str(self._folder.lasers.resolve()),
                self._start_ns,
                {name: guard.actuator.unit for name, guard in self.lasers.items()},
                may_end_owner=self._rehearsal is not None and self._rehearsal.may_end_owner,
            )
        for guard in self._all.values():
            guard.arm()

    def start_watchdog(self) -> None:
        """Start the threads that poll the devices."""
        self._watchdog.start()

    # -- proofs ----------------------------------------------------------------------------

    def begin_to_beat(self) -> None:
        """Make the calling thread the one that decides, and whose beats count."""
        if self._sentinel is not None:
            self._proof = OwnerProof(
                self._sentinel, self._all, self.lasers, self._settings.safety, trip=self.trip
            )

    def beat(self) -> None:
        """Prove that the loop decides; called by its thread alone, every `BEAT_S` or more often."""
        if self._proof is not None:
            self._proof.beat()

    def _beat_while_waiting(self) -> None:
        if self._proof is not None:
            self._proof.beat_while_waiting()

    def note_estimate(self, mean_per_um2: float, t_exposure_end_ns: int) -> None:
        """Note that what all lasers do is seen, unless the estimate is no number."""
        if math.isfinite(mean_per_um2):
            for guard in self.lasers.values():
                guard.beat(t_exposure_end_ns)

    # -- latches ---------------------------------------------------------------------------

    @property
    def tripped(self) -> bool:
        """True if one is latched."""
        return any(guard.tripped is not None for guard in self._all.values())

    @property
    def not_confirmed(self) -> dict[str, str]:
        """Lasers that were switched off and are not confirmed dark, and why."""
        return {
            name: guard.not_confirmed
            for name, guard in self.lasers.items()
            if guard.not_confirmed is not None
        }

    def trip(self, reason: str) -> None:
        """Turn all lasers dark at the same time, and latch them."""
        self._turn_dark({name: partial(g.trip, reason) for name, g in self.lasers.items()})

    def switch_off(self, reason: str) -> None:
        """Turn all lasers dark by the order of a person, also those that were never armed."""
        self._turn_dark({name: partial(g.switch_off, reason) for name, g in self.lasers.items()})

    def _turn_dark(self, tasks: dict[str, Callable[[], object]]) -> None:
        at_once(tasks, _DARK_S, while_waiting=self._beat_while_waiting)
        self._note_light()

    def reset(self, reason: str) -> None:
        """Lift all latches, manually; nothing is armed by that.

        Raises
        ------
        RtsmlmError
            If what made one trip is still there.
        """
        for guard in self._all.values():
            guard.reset(reason)

    # -- leaving ---------------------------------------------------------------------------

    def shut_down(self, reason: str) -> None:
        """Turn everything dark at the same time, and disarm."""
        tasks = {name: partial(guard.shut_down, reason) for name, guard in self._all.items()}
        wait_s = self._settings.safety.confirm_s + _DARK_S
        for name, failed in at_once(tasks, wait_s, while_waiting=self._beat_while_waiting).items():
            texts = [str(failed)] if isinstance(failed, DeviceError) else failed
            for text in texts:
                self._warn(f"{self._all[name].actuator.name} did not go dark: {text}")
        self._note_light()

    def _note_light(self) -> None:
        """Note for the sentinel whether a laser may be on; the thread that beats may be gone."""
        if self._sentinel is not None:
            self._sentinel.heartbeat.light_is_possible = may_shine(self.lasers.values())

    def stop_to_beat(self) -> None:
        """Let the sentinel wait for the end of this program, not for its beats any more."""
        if self._sentinel is not None:
            self._sentinel.heartbeat.light_is_possible = False

    def stop_watchdog(self) -> None:
        """Stop polling; all must be dark by then.

        Raises
        ------
        WorkerError
            If a thread hangs in a driver.
        """
        self._watchdog.close()

    def close(self) -> None:
        """Dismiss the sentinel, if there is nothing left for it to do, and close the audit.

        Raises
        ------
        WorkerError
            If the sentinel does not end.
        DeviceError
            If a laser is not confirmed dark; the sentinel is left on guard then.
        """
        sentinel, self._sentinel = self._sentinel, None
        left = self.not_confirmed
        if self._proof is not None:
            _log.info("longest time between two beats: %.2f s", self._proof.longest_s)
        try:
            if sentinel is not None and left:
                sentinel.leave_behind()
            elif sentinel is not None:
                sentinel.dismiss()
        finally:
            for guard in self._all.values():
                guard.close()
            if self._audit is not None:
                self._audit.close()
        for name, why in left.items():
            raise DeviceError(
                f"{name} is not confirmed dark: {why}; switch it off at its key or close its "
                "shutter, and see it dark before anyone works on the microscope"
            )
