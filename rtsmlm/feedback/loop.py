"""FeedbackLoop: from density estimates to laser commands, in a thread beside the acquisition.

It owns the guards, and nothing else commands them: whatever ends it, its lasers are dark first.
A run without lasers, stages and stop criteria has the same object, without a thread.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rtsmlm.analysis.drift_trace import DriftEstimate
from rtsmlm.feedback.law.stopping import StopCriteria
from rtsmlm.feedback.records import DensityEstimate, LoopStatus
from rtsmlm.feedback.resolution_monitor import ResolutionMonitor
from rtsmlm.feedback.schedules import Schedules
from rtsmlm.feedback.stage_hold import StageHold
from rtsmlm.feedback.steered_laser import SteeredLaser
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.protocols import Actuator
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.worker import Worker
from rtsmlm.safety.guard_set import GuardSet
from rtsmlm.safety.heartbeat import BEAT_S
from rtsmlm.safety.owner_proof import may_shine
from rtsmlm.safety.rehearsal import Rehearsal
from rtsmlm.settings.run import RunSettings

_LATE_TICKS = 1.5
_GRACE_S = 0.5
_END_S = 15.0

_log = logging.getLogger(__name__)


class FeedbackLoop:
    """Hold the density by one laser, run the schedules of the others, guard all of them.

    Parameters
    ----------
    settings
        Settings of the run.
    lasers, stages
        What there is, by its name in the settings.
    folder
        The run folder, for the audit.
    armed
        Send commands; otherwise only note what would be sent.
    warn
        Called with one sentence for whatever a person should know.
    inform
        Called with one sentence on what went as it was wanted.
    finish
        Called with the reason when the acquisition is done.
    resolution
        Measures the resolution for the stop criterion; None where no criterion needs it.
    perturb
        What happens to an estimate on its way to the law: nothing, but in a drill.
    rehearsal
        As for `GuardSet`.
    drift
        Returns the newest drift of the sample, for stages that hold it.
    """

    def __init__(
        self,
        settings: RunSettings,
        lasers: Mapping[str, Actuator],
        stages: Mapping[str, Actuator],
        *,
        folder: RunFolder,
        armed: bool,
        warn: Callable[[str], None],
        inform: Callable[[str], None] = lambda text: None,
        finish: Callable[[str], None],
        resolution: ResolutionMonitor | None = None,
        perturb: Callable[[DensityEstimate], DensityEstimate] | None = None,
        rehearsal: Rehearsal | None = None,
        drift: Callable[[], DriftEstimate] = DriftEstimate,
    ) -> None:
        self._settings = settings
        self._feedback = settings.feedback
        self._armed, self._resolution = armed, resolution
        self._finish, self._perturb = finish, perturb
        self._begun_ns = now_ns()
        self._guards = GuardSet(
            settings, lasers, stages, folder=folder, start_ns=self._begun_ns, armed=armed,
            warn=warn, rehearsal=rehearsal,
        )  # fmt: skip
        self.active = bool(lasers or stages or settings.feedback.stop.ends_by_itself)
        """True if there is anything to steer, to guard or to end."""
        name = self._feedback.laser
        self._steered: SteeredLaser | None = None
        if name is not None and name in self._guards.lasers:
            guard, laser = self._guards.lasers[name], settings.lasers[name]
            self._steered = SteeredLaser(guard, laser, self._feedback, warn, inform)
        self.hold = StageHold(
            self._guards.stages, settings.stages, settings.drift,
            armed=armed, drift=drift, warn=warn, inform=inform,
        )  # fmt: skip
        self._schedules = Schedules(self._guards.lasers, settings.lasers, steered=name)
        self._criteria = StopCriteria(self._feedback.stop)
        self._worker = Worker("feedback", self._run, on_death=self._die)
        self._news = threading.Condition()
        self._estimate: DensityEstimate | None = None
        self._is_new = False
        self._last_handled_ns = self._begun_ns
        self._localizations = 0
        self._left = False

    # -- starting --------------------------------------------------------------------------

    def prepare(self) -> None:
        """Open the audit and start the sentinel, which takes a while to come up.

        Raises
        ------
        SinkError
            If the audit cannot be written.
        """
        self._guards.open()

    def start(self) -> None:
        """Arm, if that is wanted, and begin; the lasers are dark until the first estimate.

        Raises
        ------
        RtsmlmError
            If a laser cannot be armed; all are dark then.
        """
        if not self.active:
            return
        try:
            if self._armed:
                self._guards.arm()
            if self._steered is not None:
                self._steered.begin()
            self.hold.begin()
        except BaseException:
            self.shut_down("it could not be armed")
            self.close()
            raise
        self._begun_ns = self._last_handled_ns = now_ns()
        if self._resolution is not None:
            self._resolution.start()
        self._guards.start_watchdog()
        self._worker.start()

    # -- what comes in ---------------------------------------------------------------------

    def handle_estimate(self, estimate: DensityEstimate, localizations: int) -> None:
        """Take the density over the frames of a tick, and the rows so far; the newest counts."""
        with self._news:
            self._estimate, self._is_new = estimate, True
            self._localizations = localizations
            self._news.notify()

    def set_gain(self, gain: float) -> None:
        """Correct another part of the logarithmic error per tick from now on."""
        if self._steered is not None:
            self._steered.set_gain(gain)

    def set_target(self, per_um2: float) -> None:
        """Hold another density from now on."""
        if self._steered is not None:
            self._steered.set_target(per_um2)

    def reset(self, reason: str) -> None:
        """Lift the latches of all guards manually; nothing is armed by that.

        Raises
        ------
        RtsmlmError
            If what made one trip is still there.
        """
        self._guards.reset(reason)

    @property
    def tripped(self) -> bool:
        """True if a guard is latched."""
        return self._guards.tripped

    def switch_off(self, reason: str) -> None:
        """Turn all lasers dark by the order of a person, armed or not, and latch them."""
        self._guards.switch_off(reason)

    def analysis_lost(self, reason: str) -> None:
        """Trip the steered laser: without an analysis its effect cannot be seen."""
        guard = None if self._steered is None else self._steered.guard
        if guard is not None and guard.armed and not self._left:
            guard.trip(reason)

    # -- the loop --------------------------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        self._guards.begin_to_beat()
        while not stop.is_set():
            estimate = self._wait_for_estimate()
            # After the wait, in which it spends its time: a loop that stood still goes dark before
            # it decides on anything.
            self._guards.beat()
            if stop.is_set():
                return
            if self._left:
                continue  # it beats on until its lasers are seen dark, and decides nothing more
            self._schedules.follow(self._t_s())
            self.hold.decide()
            late_s = (now_ns() - self._last_handled_ns) / 1e9
            if estimate is not None:
                self._last_handled_ns = now_ns()
                self._guards.note_estimate(estimate.mean_per_um2, estimate.t_exposure_end_ns)
            elif late_s > _LATE_TICKS * self._feedback.tick_s + _GRACE_S:
                self._last_handled_ns += round(self._feedback.tick_s * 1e9)
            else:
                continue
            if self._steered is not None:
                self._steered.decide(estimate, self._t_s())
            self._judge()

    def _wait_for_estimate(self) -> DensityEstimate | None:
        with self._news:
            if not self._is_new:
                self._news.wait(BEAT_S)
            estimate = self._estimate if self._is_new else None
            self._is_new = False
        if estimate is not None and self._perturb is not None:
            estimate = self._perturb(estimate)
        return estimate

    def _judge(self) -> None:
        """End the acquisition where it is done."""
        steered = self._steered
        reason = self._criteria.check(
            n_localizations=self._localizations,
            elapsed_s=self._t_s(),
            resolution=() if self._resolution is None else self._resolution.history,
            dose=0.0 if steered is None else steered.dose,
        )
        if reason is None and steered is not None:
            reason = steered.done
        if reason is not None and not self._left:
            if self._resolution is not None:
                self._resolution.stop()
            self.shut_down(f"the acquisition is done: {reason}")
            self._finish(reason)

    # -- leaving ---------------------------------------------------------------------------

    def shut_down(self, reason: str) -> None:
        """Turn everything dark: the first step of leaving, whatever the reason."""
        self._left = True
        self._guards.shut_down(reason)

    def close(self) -> None:
        """Dark, and end the threads and the sentinel. Safe to call more than once.

        Raises
        ------
        WorkerError
            If a thread hangs in a driver.
        """
        self.shut_down("the run ended")
        self._guards.stop_to_beat()
        self._worker.stop()
        with self._news:
            self._news.notify()
        try:
            self._worker.join(_END_S)
            self._guards.stop_watchdog()
        finally:
            try:
                self._guards.close()
            finally:  # a light that may be on must not keep the program from ending
                if self._resolution is not None:
                    self._resolution.close()

    def _die(self, error: BaseException) -> None:
        _log.error("the feedback thread died", exc_info=error)
        self._guards.trip(f"the feedback loop failed: {type(error).__name__}: {error}")

    # -- what goes out ---------------------------------------------------------------------

    def status(self) -> LoopStatus | None:
        """Return the state of the loop; None where no laser is steered."""
        if self._steered is None:
            return None
        powers = {name: guard.sent for name, guard in self._guards.lasers.items()}
        estimate = self._estimate
        age_s = math.nan if estimate is None else (now_ns() - estimate.t_exposure_end_ns) / 1e9
        return replace(
            self._steered.status(estimate, self._t_s(), powers),
            not_dark=tuple(self._guards.not_confirmed),
            data_age_s=age_s,
            seen_dark=(self._armed or self.tripped) and not may_shine(self._guards.lasers.values()),
        )

    def power(self) -> float:
        """Return the power of the steered laser in force now, in its unit; NaN without one."""
        return math.nan if self._steered is None else self._steered.power

    @property
    def power_unit(self) -> str | None:
        """Unit of `power`; None where no laser is steered."""
        return None if self._steered is None else self._steered.guard.actuator.unit

    def latency_ms(self) -> dict[str, Any]:
        """Return percentiles from the end of the newest exposure to the command; empty without."""
        found = {} if self._steered is None else self._steered.latency_ms()
        return found if found.get("count") else {}

    def _t_s(self) -> float:
        """Return how long it has been going on; loading and arming do not count."""
        return (now_ns() - self._begun_ns) / 1e9
