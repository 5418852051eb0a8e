"""Steering: from estimates to laser commands, in a thread of its own beside the acquisition.

It owns the guards. Whatever ends it, its lasers are dark first: by its order of leaving, by the
guards' trips, by the watchdog thread, at the exit of the program, and by the sentinel process where
there is no program left to do it.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rtsmlm.config import RunSettings
from rtsmlm.errors import RtsmlmError
from rtsmlm.feedback.guard import Guard
from rtsmlm.feedback.laser_guard import LaserGuard
from rtsmlm.feedback.law import DensityLaw
from rtsmlm.feedback.records import AuditRow, Decision, DensityEstimate, LoopStatus, Why
from rtsmlm.feedback.stage_guard import StageGuard
from rtsmlm.feedback.stopping import StopCriteria
from rtsmlm.feedback.watchdog import Watchdog
from rtsmlm.files.laser_log import LaserLog
from rtsmlm.files.run_folder import RunFolder
from rtsmlm.laser_settings import LaserSettings, at_time
from rtsmlm.protocols import Actuator
from rtsmlm.sentinel import Sentinel, SentinelJob
from rtsmlm.stats import LatencyHistogram, now_ns
from rtsmlm.workers import Worker

_SCHEDULE_S = 0.5
_JUMPS = ("test", "tune")
"""States in which the law has to change the power by more than a step: it measures what it does."""
_CLIPPED = 0.03
"""Smaller differences are those that are not worth a command; the law adds them up."""
_LATE_TICKS = 1.5
_END_S = 15.0

_log = logging.getLogger(__name__)


class Steering:
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
    finish
        Called with the reason when the acquisition is done.
    resolution
        Asked for frame and resolution in nm, oldest first, for the stop criterion.
    spoil
        What happens to an estimate on its way to the law: nothing, but in a drill.
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
        finish: Callable[[str], None],
        resolution: Callable[[], Sequence[tuple[int, float]]] = tuple,
        spoil: Callable[[DensityEstimate], DensityEstimate] | None = None,
    ) -> None:
        self._settings = settings
        self._feedback = settings.feedback
        self._armed = armed
        self._warn, self._finish, self._spoil = warn, finish, spoil
        self._resolution = resolution
        self._folder = folder
        self._log = LaserLog(folder.lasers)
        self._start_ns = now_ns()
        self.lasers = {name: self._laser_guard(name, lasers[name]) for name in settings.lasers}
        self.stages = {name: self._stage_guard(name, stages[name]) for name in settings.stages}
        self._steered = None if self._feedback.laser is None else self.lasers[self._feedback.laser]
        self._law: DensityLaw | None = None
        self._target = self._feedback.target_per_um2
        self._criteria = StopCriteria(self._feedback.stop)
        self._watchdog = Watchdog(self._guards)
        # It takes a while to come up, and has to be there before the first light.
        self._sentinel = Sentinel(self._sentinel_job()) if armed else None
        self._worker = Worker("steer", self._steer, on_death=self._die)
        self._news = threading.Condition()
        self._estimate: DensityEstimate | None = None
        self._is_new = False
        self._last_heard_ns = self._start_ns
        self._decision = Decision(power=0.0, state="off", reason="not begun")
        self._latency = LatencyHistogram()
        self._localizations = 0
        self._left = False
        self._said: set[str] = set()

    @property
    def _guards(self) -> list[Guard]:
        return [*self.lasers.values(), *self.stages.values()]

    def _laser_guard(self, name: str, laser: Actuator) -> LaserGuard:
        feedback = self._feedback
        steered = name == feedback.laser
        return LaserGuard(
            laser,
            self._settings.lasers[name],
            max_rise=feedback.max_rise if steered else math.inf,
            tick_s=feedback.tick_s,
            silence_s=feedback.silence_s if steered else None,
            audit=self._note,
            on_trip=self._tripped,
        )

    def _stage_guard(self, name: str, stage: Actuator) -> StageGuard:
        return StageGuard(
            stage, self._settings.stages[name], audit=self._note, on_trip=self._tripped
        )

    # -- starting --------------------------------------------------------------------------

    def start(self) -> None:
        """Arm, if that is wanted, and begin; the lasers are dark until the first estimate.

        Raises
        ------
        RtsmlmError
            If a laser cannot be armed; all are dark then.
        """
        try:
            if self._armed:
                self._arm()
            if self._steered is not None:
                self._law = DensityLaw(
                    self._feedback, self._steered_limits(self._steered), self._start_power()
                )
        except BaseException:
            self.leave("it could not be armed")
            self.close()
            raise
        self._last_heard_ns = now_ns()
        self._watchdog.start()
        self._worker.start()

    def _sentinel_job(self) -> SentinelJob:
        return SentinelJob(
            self._settings.micromanager,
            self._settings.lasers,
            self._folder.lasers.resolve(),
            self._start_ns,
        )

    def _arm(self) -> None:
        if self._sentinel is not None:
            self._sentinel.wait_ready()
        for guard in self._guards:
            guard.arm()

    def _steered_limits(self, guard: LaserGuard) -> tuple[float, float]:
        if guard.armed:
            return guard.limits
        low, high = guard.actuator.limits()
        cap = self._steered_settings().max_power
        high = high if cap is None else min(cap, high)
        return max(low, high * 1e-3), high

    def _steered_settings(self) -> LaserSettings:
        return self._settings.lasers[self._feedback.laser or ""]

    def _start_power(self) -> float:
        return self._steered_settings().start_power

    # -- what comes in ---------------------------------------------------------------------

    def hear(self, estimate: DensityEstimate, localizations: int) -> None:
        """Take an estimate; only the newest counts.

        Parameters
        ----------
        estimate
            Density over the frames of one tick.
        localizations
            Rows so far.
        """
        with self._news:
            self._estimate, self._is_new = estimate, True
            self._localizations = localizations
            self._news.notify()

    def aim(self, per_um2: float) -> None:
        """Hold another density from now on."""
        self._target = per_um2
        if self._law is not None:
            self._law.aim(per_um2)

    def reset(self, reason: str) -> None:
        """Lift the latches of all guards, by the hand of a person; nothing is armed by that.

        Raises
        ------
        RtsmlmError
            If what made one trip is still there.
        """
        for guard in self._guards:
            guard.reset(reason)

    @property
    def tripped(self) -> bool:
        """True if a guard is latched."""
        return any(guard.tripped is not None for guard in self._guards)

    def trip(self, reason: str) -> None:
        """Turn all lasers dark and latch them."""
        for guard in self.lasers.values():
            guard.trip(reason)

    def lost(self, reason: str) -> None:
        """Nobody sees any more what the steered laser does: it goes dark at once."""
        if self._steered is not None and self._steered.armed and not self._left:
            self._steered.trip(reason)

    # -- the loop --------------------------------------------------------------------------

    def _steer(self, stop: threading.Event) -> None:
        while not stop.is_set():
            estimate = self._wait_for_estimate()
            if stop.is_set():
                return
            self._follow_schedules()
            late_s = (now_ns() - self._last_heard_ns) / 1e9
            if estimate is not None:
                self._last_heard_ns = now_ns()
            elif late_s > _LATE_TICKS * self._feedback.tick_s + _SCHEDULE_S:
                self._last_heard_ns += round(self._feedback.tick_s * 1e9)
            else:
                continue
            if self._law is not None and self._steered is not None:
                self._decide(self._law, self._steered, estimate)
            self._judge()

    def _wait_for_estimate(self) -> DensityEstimate | None:
        with self._news:
            if not self._is_new:
                self._news.wait(_SCHEDULE_S)
            estimate = self._estimate if self._is_new else None
            self._is_new = False
        if estimate is not None and self._spoil is not None:
            estimate = self._spoil(estimate)
        return estimate

    def _decide(self, law: DensityLaw, guard: LaserGuard, estimate: DensityEstimate | None) -> None:
        t_s = self._t_s()
        if estimate is not None and math.isfinite(estimate.mean_per_um2):
            guard.beat()
        if not guard.armed and guard.tripped is None:
            law.follow(self._power_now(guard))
        decision = self._decision = law.decide(estimate, t_s)
        if decision.state in _JUMPS:
            guard.allow_jump()
        sent = guard.command(decision.power, self._why(decision, estimate, t_s))
        if guard.armed and abs(sent - decision.power) > _CLIPPED * max(sent, decision.power):
            law.follow(sent)  # the guard let less through: the law has to start from there
        if estimate is not None:
            late_ns = now_ns() - estimate.t_exposure_end_ns
            self._latency.add(np.array([late_ns], dtype=np.int64))
        if decision.event is not None and decision.event not in self._said:
            self._said.add(decision.event)
            self._warn(f"{guard.actuator.name}: {decision.event}: {decision.reason}")

    def _judge(self) -> None:
        """End the acquisition where it is done."""
        guard = self._steered
        armed = guard is not None and guard.armed
        reason = self._criteria.check(
            n_localizations=self._localizations,
            elapsed_s=self._t_s(),
            resolution=self._resolution(),
            dose=guard.dose if armed and guard is not None else 0.0,
        )
        # A law that only watches does not know what the laser does, and ends nothing.
        if reason is None and armed and self._decision.stop:
            reason = self._decision.reason
        if reason is not None and not self._left:
            self.leave(f"the acquisition is done: {reason}")
            self._finish(reason)

    def _power_now(self, guard: LaserGuard) -> float:
        """Return the power that somebody else has set, while we only watch."""
        try:
            return guard.actuator.value()
        except RtsmlmError:
            return 0.0

    def _why(self, decision: Decision, estimate: DensityEstimate | None, t_s: float) -> Why:
        target = at_time(self._target, t_s)
        if estimate is None:
            return Why(reason=decision.reason, state=decision.state, target_per_um2=target)
        return Why(
            reason=decision.reason,
            state=decision.state,
            frame=estimate.last_frame,
            t_exposure_end_ns=estimate.t_exposure_end_ns,
            estimate_per_um2=estimate.mean_per_um2,
            std_per_um2=estimate.std_per_um2,
            target_per_um2=target,
        )

    def _follow_schedules(self) -> None:
        t_s = self._t_s()
        for name, guard in self.lasers.items():
            settings = self._settings.lasers[name]
            if guard is self._steered or not guard.armed or guard.tripped is not None:
                continue
            power = at_time(settings.schedule, t_s) if settings.schedule else settings.start_power
            if abs(power - guard.sent) > 1e-9:
                guard.command(power, Why(reason="as planned", state="schedule"))

    # -- leaving ---------------------------------------------------------------------------

    def leave(self, reason: str) -> None:
        """Turn everything dark: the first step of leaving, whatever the reason."""
        self._left = True
        for guard in self._guards:
            for text in guard.dark(reason):
                self._warn(f"{guard.actuator.name} did not go dark: {text}")

    def close(self) -> None:
        """Dark, and end the threads and the sentinel. Twice is fine.

        Raises
        ------
        WorkerError
            If a thread hangs in a driver.
        """
        self.leave("the run ended")
        self._worker.stop()
        with self._news:
            self._news.notify()
        try:
            self._worker.join(_END_S)
            self._watchdog.close()
        finally:
            sentinel, self._sentinel = self._sentinel, None
            if sentinel is not None and all(guard.at_rest for guard in self.lasers.values()):
                sentinel.dismiss()
            self._log.close()

    def _die(self, error: BaseException) -> None:
        reason = f"the steering failed: {type(error).__name__}: {error}"
        _log.error("the steering thread died", exc_info=error)
        for guard in self.lasers.values():
            guard.trip(reason)

    # -- what goes out ---------------------------------------------------------------------

    def status(self) -> LoopStatus | None:
        """Return the state of the loop; None where no laser is steered."""
        guard = self._steered
        if guard is None:
            return None
        cap = self._steered_settings().max_power
        return LoopStatus(
            laser=guard.actuator.name,
            unit=guard.actuator.unit,
            power=guard.sent if guard.armed or guard.tripped else self._power_now(guard),
            cap=math.nan if cap is None else cap,
            wanted=self._decision.power,
            armed=guard.armed,
            tripped=guard.tripped,
            state=self._decision.state,
            dose=guard.dose if guard.armed else 0.0,
            target_per_um2=at_time(self._target, self._t_s()),
            estimate=self._estimate,
            powers={name: g.sent for name, g in self.lasers.items()},
        )

    def power(self) -> float:
        """Return the power of the steered laser that is in force now, for the frame; or NaN."""
        return math.nan if self._steered is None else self._steered.sent

    def latency_ms(self) -> dict[str, Any]:
        """Return percentiles from the end of the newest exposure to the command."""
        return self._latency.summary()

    def _t_s(self) -> float:
        return (now_ns() - self._start_ns) / 1e9

    def _tripped(self, text: str) -> None:
        self._warn(text)

    def _note(self, row: AuditRow) -> None:
        why = row.why
        end_ns = why.t_exposure_end_ns
        self._log.write(
            {
                "t_s": (row.t_ns - self._start_ns) / 1e9,
                "actuator": row.actuator,
                "kind": row.kind,
                "wanted": row.wanted,
                "sent": row.sent,
                "unit": row.unit,
                "measured": row.measured,
                "dose": row.dose,
                "frame": why.frame,
                "latency_ms": None if end_ns is None else (row.t_ns - end_ns) / 1e6,
                "estimate_per_um2": why.estimate_per_um2,
                "std_per_um2": why.std_per_um2,
                "target_per_um2": why.target_per_um2,
                "state": why.state,
                "reason": why.reason,
            }
        )
