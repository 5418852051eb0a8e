"""SteeredLaser: the laser that the law steers, behind its guard."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rtsmlm.feedback.law.law import DensityLaw
from rtsmlm.feedback.records import AS_WANTED, Decision, DensityEstimate, LoopStatus
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.latency import LatencyHistogram
from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.records import CommandContext
from rtsmlm.settings.feedback import FeedbackSettings
from rtsmlm.settings.lasers import LaserSettings, at_time

_JUMPS = ("test", "tune")
"""States in which the law has to change the power by more than a step: it measures what it does."""
_CLIPPED = 0.03
"""Smaller differences are those that are not worth a command; the law adds them up."""


class SteeredLaser:
    """Carry the decisions of the law to the guard; where it is not armed, only note them.

    Parameters
    ----------
    guard
        The guard of the laser.
    settings
        Settings of the laser.
    feedback
        Settings of the law.
    warn
        Called with one sentence for whatever a person should know.
    inform
        Called with one sentence on what went as it was wanted.
    """

    def __init__(
        self,
        guard: LaserGuard,
        settings: LaserSettings,
        feedback: FeedbackSettings,
        warn: Callable[[str], None],
        inform: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.guard = guard
        self._settings, self._feedback = settings, feedback
        self._warn, self._inform = warn, inform
        self._law: DensityLaw | None = None
        self._target = feedback.target_per_um2
        self._decision = Decision(power=0.0, state="off", reason="not begun")
        self._latency = LatencyHistogram()
        self._said: set[str] = set()

    def begin(self) -> None:
        """Make the law, once it is known whether the laser is armed.

        Raises
        ------
        RtsmlmError
            If the laser does not report its limits, or they leave no room.
        """
        self._law = DensityLaw(self._feedback, self._limits(), self._settings.start_power)

    def _limits(self) -> tuple[float, float]:
        if self.guard.armed:
            return self.guard.limits
        self.guard.poll()  # its power has to be known at the first decision
        low, high = self.guard.device_limits()
        cap = self._settings.max_power
        high = high if cap is None else min(cap, high)
        return max(low, high * 1e-3), high

    def set_target(self, per_um2: float) -> None:
        """Hold another density from now on."""
        self._target = per_um2
        if self._law is not None:
            self._law.set_target(per_um2)

    def set_gain(self, gain: float) -> None:
        """Correct another part of the logarithmic error per tick from now on."""
        if self._law is not None:
            self._law.gain = gain

    # -- a tick ----------------------------------------------------------------------------

    def decide(self, estimate: DensityEstimate | None, t_s: float) -> None:
        """Let the law decide, and ask the guard for what it wants.

        Parameters
        ----------
        estimate
            Density over the frames since the last call, None where there is none.
        t_s
            Seconds since the start of the run.
        """
        law, guard = self._law, self.guard
        if law is None:
            return
        if estimate is not None and math.isfinite(estimate.mean_per_um2):
            guard.beat(estimate.t_exposure_end_ns)
        if not guard.armed and guard.tripped is None:
            law.follow(self._power_now())
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
            report = self._inform if decision.event in AS_WANTED else self._warn
            report(f"{guard.actuator.name}: {decision.event}: {decision.reason}")

    def _power_now(self) -> float:
        """Return the power that was set elsewhere, as the last poll found it; 0 where unknown."""
        power = self.guard.setpoint
        return power if math.isfinite(power) else 0.0

    def _why(
        self, decision: Decision, estimate: DensityEstimate | None, t_s: float
    ) -> CommandContext:
        target = at_time(self._target, t_s)
        if estimate is None:
            return CommandContext(
                reason=decision.reason, state=decision.state, target_per_um2=target
            )
        return CommandContext(
            reason=decision.reason,
            state=decision.state,
            frame=estimate.last_frame,
            t_exposure_end_ns=estimate.t_exposure_end_ns,
            estimate_per_um2=estimate.mean_per_um2,
            std_per_um2=estimate.std_per_um2,
            target_per_um2=target,
        )

    # -- what there is to know -------------------------------------------------------------

    @property
    def power(self) -> float:
        """Last power sent to the laser."""
        return self.guard.sent

    @property
    def dose(self) -> float:
        """Power times seconds since it was armed; 0 where it is not."""
        return self.guard.dose if self.guard.armed else 0.0

    @property
    def done(self) -> str | None:
        """Why the law wants no more; None while it does.

        A law that only watches does not know what the laser does, and ends nothing.
        """
        ends = self.guard.armed and self._decision.stop
        return self._decision.reason if ends else None

    def status(
        self, estimate: DensityEstimate | None, t_s: float, powers: Mapping[str, float]
    ) -> LoopStatus:
        """Return the state of the loop.

        Parameters
        ----------
        estimate
            The newest one.
        t_s
            Seconds since the start of the run.
        powers
            Of every laser, in its own unit.
        """
        guard, cap = self.guard, self._settings.max_power
        return LoopStatus(
            laser=guard.actuator.name,
            unit=guard.actuator.unit,
            power=guard.sent if guard.armed or guard.tripped else self._power_now(),
            cap=math.nan if cap is None else cap,
            wanted=self._decision.power,
            armed=guard.armed,
            tripped=guard.tripped,
            state=self._decision.state,
            dose=self.dose,
            target_per_um2=at_time(self._target, t_s),
            estimate=estimate,
            powers=powers,
        )

    def latency_ms(self) -> dict[str, Any]:
        """Return percentiles from the end of the newest exposure to the command."""
        return self._latency.summary()
