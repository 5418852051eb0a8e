"""StageHold: the drift of the sample turned into a set point of a stage, through its guard.

It moves nothing unless it is asked to (`drift.hold = "move"`) and the run is armed. Then it moves
by small steps within a range about where the stage stood, each of them on frames that were exposed
after the step before, and stops for good where the stage does not do as it is expected to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from rtsmlm.analysis.drift_trace import DriftEstimate
from rtsmlm.errors import RtsmlmError
from rtsmlm.feedback.records import HoldStatus
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.worker import one_line
from rtsmlm.safety.records import CommandContext
from rtsmlm.safety.stage_guard import StageGuard
from rtsmlm.settings.drift import DriftSettings
from rtsmlm.settings.lasers import StageSettings

_SETTLE_NS = 300_000_000
"""Frames of so long after a step still show a stage that settles."""
_OLDEST_NS = 60_000_000_000
"""What was exposed before is too old to act on."""
_DEAD_BAND = 2.0
"""Standard deviations of the drift that are left alone."""
_ASTRAY_NM = 50.0
"""A stage that stands so far from where it was sent was moved by something else, or sticks."""
_ANSWER_NM = 30.0
"""Sum of steps after which it is judged whether they help."""
_MOST_GROWTH = 0.5
"""Part of these steps by which the drift may have grown meanwhile."""
_USUAL_DIRECTION = {"x": 1, "y": 1, "z": -1}
"""What monitoring assumes: a sample that is moved, and a focal plane that rises with the stage."""


class AxisHold:
    """One stage and the drift along its axis.

    Parameters
    ----------
    guard
        The only way to the stage.
    stage
        What the settings state of it.
    settings
        Range, step and pause.
    moves
        Whether it is to be moved; otherwise the set point is only noted.
    warn
        Called with one sentence for what a person should know.
    clock_ns
        As `realtime.clock.now_ns`.
    """

    def __init__(
        self,
        guard: StageGuard,
        stage: StageSettings,
        settings: DriftSettings,
        *,
        moves: bool,
        warn: Callable[[str], None],
        clock_ns: Callable[[], int] = now_ns,
    ) -> None:
        self.axis = stage.axis
        self.state = "waits for the drift"
        """What it does now, as one clause."""
        self.set_point_nm = 0.0
        """From where the stage stood at the start: sent, or what would be sent."""
        self._guard, self._settings, self._moves, self._warn = guard, settings, moves, warn
        self._clock_ns = clock_ns
        self._direction = stage.direction or _USUAL_DIRECTION[stage.axis]
        self._start_um = math.nan
        self._moved_nm = 0.0  # what the stage was really sent
        self._stepped_ns: int | None = None
        self._asked_nm, self._before_nm = 0.0, math.nan  # sum of steps since a drift of so much
        self._is_over = False

    def begin(self) -> None:
        """Note where the stage stands: all set points are counted from there."""
        try:
            self._start_um = self._guard.stands_um()
        except RtsmlmError as error:
            self._end(f"the stage does not report its position: {one_line(error)}")

    def _end(self, why: str) -> None:
        self._is_over = True
        self.state = f"ended: {why}"
        self._warn(f"{self._guard.actuator.name} does not hold the {self.axis} drift: {why}")

    def decide(self, estimate: DriftEstimate) -> None:
        """Take an estimate that is new, and step where that is due."""
        if self._is_over:
            return
        drift_nm, std_nm = estimate.axis(self.axis)
        now = self._clock_ns()
        if self._moves and self._guard.tripped is not None:
            self._end(f"it is latched: {self._guard.tripped}")
        elif now - estimate.t_first_ns > _OLDEST_NS:
            self.state = "pauses: the newest drift is more than a minute old"
        elif not std_nm <= self._settings.hold_std_nm:  # true for NaN, too
            self.state = "pauses: the drift is not known well enough"
        elif self._stepped_ns is None or self._is_due(estimate.t_first_ns, now):
            self._judge_answer(drift_nm)
            if not self._is_over:
                self._step(drift_nm, std_nm, estimate)

    def _is_due(self, t_first_ns: int, now: int) -> bool:
        stepped = self._stepped_ns or 0
        if not self._moves:
            return now - stepped >= self._settings.hold_every_s * 1e9
        return (
            t_first_ns >= stepped + _SETTLE_NS
            and now - stepped >= self._settings.hold_every_s * 1e9
        )

    def _judge_answer(self, drift_nm: float) -> None:
        """End where the drift grows by what is done against it."""
        if self._asked_nm == 0:
            self._before_nm = abs(drift_nm)
        if self._asked_nm < _ANSWER_NM:
            return
        grown_nm = abs(drift_nm) - self._before_nm
        if grown_nm > _MOST_GROWTH * self._asked_nm:
            self._end(
                f"the drift grew by {grown_nm:.0f} nm during steps of {self._asked_nm:.0f} nm "
                "against it: stages.NAME.direction is wrong, or the sample drifts faster than "
                "drift.hold_step_nm in drift.hold_every_s allows"
            )
        self._asked_nm, self._before_nm = 0.0, abs(drift_nm)

    def _step(self, drift_nm: float, std_nm: float, estimate: DriftEstimate) -> None:
        if abs(drift_nm) <= _DEAD_BAND * std_nm and self._moves:
            self.state = "holds"
            return
        settings = self._settings
        wanted_nm = self._moved_nm - self._direction * drift_nm
        step = settings.hold_step_nm
        next_nm = self.set_point_nm + min(max(wanted_nm - self.set_point_nm, -step), step)
        if abs(next_nm) > settings.hold_range_nm:
            most = f"{settings.hold_range_nm:g} nm (drift.hold_range_nm)"
            self._end(f"its range of {most} is used up")
            return
        context = CommandContext(
            reason=f"{self.axis} drift of {drift_nm:.1f} +- {std_nm:.1f} nm",
            frame=estimate.last_frame,
            t_exposure_end_ns=estimate.t_first_ns,
        )
        if self._moves:
            self._move(next_nm, context)
        else:
            self.set_point_nm = next_nm
            self._guard.note(self._start_um + next_nm / 1e3, context)
            self.state = "monitor: moves nothing"
        self._stepped_ns = self._clock_ns()

    def _move(self, next_nm: float, context: CommandContext) -> None:
        try:
            astray_nm = (self._guard.stands_um() - self._start_um) * 1e3 - self._moved_nm
        except RtsmlmError as error:
            self._end(f"the stage does not report its position: {one_line(error)}")
            return
        if abs(astray_nm) > _ASTRAY_NM:
            self._end(f"the stage stands {abs(astray_nm):.0f} nm from where it was sent")
            return
        wanted_um = self._start_um + next_nm / 1e3
        sent_um = self._guard.command(wanted_um, context)
        if self._guard.tripped is not None or not self._guard.armed:
            self._end(self._guard.tripped or "it is not armed any more")
            return
        sent_nm = (sent_um - self._start_um) * 1e3
        self._asked_nm += abs(sent_nm - self._moved_nm)
        self._moved_nm = self.set_point_nm = sent_nm
        self.state = "holds"


class StageHold:
    """Hold the sample along each axis for which there is a stage.

    Parameters
    ----------
    guards, stages
        By the name of the stage; of two stages of one axis the first one counts.
    settings
        Of the drift.
    armed
        Whether stages are commanded in this run.
    drift
        Returns the newest estimate.
    warn, inform
        Called with one sentence each.
    clock_ns
        As `realtime.clock.now_ns`.
    """

    def __init__(
        self,
        guards: Mapping[str, StageGuard],
        stages: Mapping[str, StageSettings],
        settings: DriftSettings,
        *,
        armed: bool,
        drift: Callable[[], DriftEstimate],
        warn: Callable[[str], None],
        inform: Callable[[str], None] = lambda text: None,
        clock_ns: Callable[[], int] = now_ns,
    ) -> None:
        self._moves = settings.hold == "move" and armed
        self._mode = "move" if self._moves else "monitor"
        self._drift, self._inform = drift, inform
        self._frame = -1
        self.axes: dict[str, AxisHold] = {}
        """By axis."""
        if settings.hold == "off":
            return
        for name, guard in guards.items():
            stage = stages[name]
            if stage.axis not in self.axes:
                self.axes[stage.axis] = AxisHold(
                    guard, stage, settings, moves=self._moves, warn=warn, clock_ns=clock_ns
                )

    def begin(self) -> None:
        """Ask every stage where it stands; nothing is moved."""
        for hold in self.axes.values():
            hold.begin()
        if self.axes:
            what = "held by their stages" if self._moves else "watched, no stage is moved"
            self._inform(f"drift along {', '.join(self.axes)}: {what} (drift.hold)")

    def decide(self) -> None:
        """Look for an estimate that is new, and act on it; called by the thread of the loop."""
        if not self.axes:
            return
        estimate = self._drift()
        if estimate.last_frame > self._frame:
            self._frame = estimate.last_frame
            for hold in self.axes.values():
                hold.decide(estimate)

    def status(self) -> HoldStatus | None:
        """Return what is done now; None where no stage holds anything."""
        if not self.axes:
            return None
        return HoldStatus(
            mode=self._mode,
            set_point_nm={axis: round(h.set_point_nm, 2) for axis, h in self.axes.items()},
            state={axis: hold.state for axis, hold in self.axes.items()},
        )
