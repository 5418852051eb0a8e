"""Dark on fault: light on, one fault, and the time until the laser is dark."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.files.run.report import RunReport
from rtsmlm.hil.faults import not_a_number, raising
from rtsmlm.hil.interlock import restore_interlocks, trip_interlock
from rtsmlm.hil.result import DrillResult, NotForThisRig
from rtsmlm.hil.rig import HEARTBEAT_S, HilRig
from rtsmlm.hil.scene import Scene, lit_scene, most_light, watch_dark
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.ledger import LedgerTotals

_INJECT_S = 5.0
_LATER_S = 1.2
"""A laser that went dark has to stay so; two ticks of the drill, and more."""
_MARGIN_S = 1.0
_LATCH_S = 3.0
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, and what must come of it."""

    name: str
    inject: Callable[[Scene], None]
    limit_s: Callable[[HilRig], float]
    """From the fault to dark."""
    latches: bool = True
    """It must be reset manually; otherwise the loop stays dark as long as the fault lasts."""
    all_lasers: bool = False
    """Every laser has to go dark, not only the steered one."""
    frames_go_on: bool = True
    """The recording has to continue."""


def dark_on_fault(fault: Fault, rig: HilRig) -> DrillResult:
    """Run one drill: light on, the fault, dark, and never on again.

    Raises
    ------
    RtsmlmError
        If there is no light to begin with.
    NotForThisRig
        If the fault cannot be provoked here.
    """
    limit_s = fault.limit_s(rig)
    try:
        with lit_scene(rig, fault.name) as scene:
            received = scene.session.ledger.totals().received
            fault.inject(scene)
            if not scene.clock.injected.wait(_INJECT_S):
                return _failed(fault, f"the fault did not come about within {_INJECT_S:g} s")
            watched = {
                name: laser.real
                for name, laser in scene.lasers.items()
                if fault.all_lasers or name == scene.steered
            }
            dark_s = max(watch_dark(rig, watched, scene.clock.t_ns, limit_s + 2.0).values())
            if fault.latches:
                _wait_latched(rig, scene)
            again = most_light(rig, watched, _LATER_S)
            latched = scene.tripped
            more = scene.session.ledger.totals().received - received
    finally:
        restore_interlocks(rig)
    after = most_light(rig, rig.lasers, 0.2)
    reason = _reason_in_log(rig, scene.steered)
    faults = [
        f"it took {dark_s:.2f} s to get dark" if dark_s > limit_s else "",
        "it was not latched" if fault.latches and latched is None else "",
        f"it came on again, at {again:g}" if again else "",
        f"a laser is at {after:g} after the run" if after else "",
        "lasers.csv does not give the reason" if not reason else "",
        *_recording(scene.session.report, more, goes_on=fault.frames_go_on),
    ]
    return _judge(fault, rig, (dark_s, limit_s, latched, reason), [f for f in faults if f])


def _judge(
    fault: Fault, rig: HilRig, seen: tuple[float, float, str | None, str], faults: list[str]
) -> DrillResult:
    dark_s, limit_s, latched, reason = seen
    state = "latched" if latched else "dark while it lasts"
    good = f"dark {dark_s:.2f} s after the fault (limit {limit_s:g} s), {state}: {reason}"
    bad = f"{'; '.join(faults)} (limit {limit_s:g} s)"
    details: dict[str, Any] = {
        "dark_s": dark_s,
        "limit_s": limit_s,
        "latched": latched is not None,
        "reason": reason,
        "run": "" if rig.last_run is None else rig.last_run.path.name,
    }
    return DrillResult(fault.name, not faults, bad if faults else good, details)


def _failed(fault: Fault, why: str) -> DrillResult:
    return DrillResult(fault.name, False, why)


def _wait_latched(rig: HilRig, scene: Scene) -> None:
    """Wait for the trip, where the law was quicker to turn the laser dark."""
    until_ns = now_ns() + round(_LATCH_S * 1e9)
    while scene.tripped is None and now_ns() < until_ns:
        rig.pause(_POLL_S)


def _recording(report: RunReport, more: int, *, goes_on: bool) -> list[str]:
    """Return what is wrong with the frames of the run."""
    totals: LedgerTotals | None = report.totals
    if totals is None:
        return ["the run has no ledger"]
    wrong = [] if totals.balances else ["the ledger does not balance"]
    if totals.recorded != totals.received:
        wrong.append(f"{totals.recorded} of {totals.received} frames were recorded")
    if goes_on and more <= 0:
        wrong.append("the recording stopped")
    if goes_on and totals.lost:
        wrong.append(f"{totals.lost} frames were lost")
    return wrong


def _reason_in_log(rig: HilRig, laser: str) -> str:
    """Return why the laser was dark first after it had been on, from lasers.csv."""
    if rig.last_run is None or not rig.last_run.lasers.is_file():
        return ""
    lit, dark = False, ""
    for row in read_laser_log(rig.last_run.lasers):
        if row["actuator"] != laser:
            continue
        sent = float(row["sent"] or 0)
        if row["kind"] == "trip":
            return row["reason"]
        if sent > 0:
            lit, dark = True, ""
        elif lit and not dark:
            dark = row["reason"]
    return dark


# -- faults ----------------------------------------------------------------------------------


def _kill(scene: Scene) -> None:
    _signal_analysis(scene, getattr(signal, "SIGKILL", signal.SIGTERM))


def _freeze(scene: Scene) -> None:
    if sys.platform == "win32":
        raise NotForThisRig("Windows cannot hold a process without a debugger")
    _signal_analysis(scene, signal.SIGSTOP)


def _signal_analysis(scene: Scene, number: int) -> None:
    pid = scene.session.analysis_pid
    if pid is None:
        raise NotForThisRig("the analysis has no process of its own")
    os.kill(pid, number)  # on Windows this is TerminateProcess
    scene.clock.mark()


def _freeze_camera(scene: Scene) -> None:
    scene.camera.freeze()


def _perturb(scene: Scene, how: Callable[..., Any]) -> None:
    scene.perturbation.perturb = how


def _misreport(scene: Scene) -> None:
    scene.laser.misreports = True
    scene.clock.mark()


def _break_line(scene: Scene, safe_fails_s: float) -> None:
    scene.laser.safe_fails_s = safe_fails_s
    scene.laser.refuse_next_set = True


def _switch_off(scene: Scene) -> None:
    scene.clock.mark()
    scene.session.lasers_off("drill: lasers switched off by the user")


def _at_once(rig: HilRig) -> float:
    return rig.limits.dark_s


def _by_watchdog(rig: HilRig) -> float:
    return rig.drill_settings().feedback.silence_s + _MARGIN_S


def _by_heartbeat(rig: HilRig) -> float:
    return max(_by_watchdog(rig), HEARTBEAT_S + _MARGIN_S)


def _after_line(rig: HilRig) -> float:
    return 1.0 + rig.limits.dark_s


FAULTS = (
    Fault("analysis-killed", _kill, _at_once),
    Fault("analysis-frozen", _freeze, _by_heartbeat),
    Fault("camera-frozen", _freeze_camera, _by_watchdog, latches=False, frames_go_on=False),
    Fault("estimate-nan", partial(_perturb, how=not_a_number), _by_watchdog, latches=False),
    Fault("read-back-wrong", _misreport, _at_once),
    Fault("serial-error", partial(_break_line, safe_fails_s=0.0), _at_once),
    Fault("serial-error-at-shutdown", partial(_break_line, safe_fails_s=1.0), _after_line),
    Fault("controller-fails", partial(_perturb, how=raising), _at_once, all_lasers=True),
    Fault("interlock", trip_interlock, _at_once),
    Fault("lasers-off", _switch_off, _at_once, all_lasers=True),
)
"""Every fault that can be provoked from within; see `command_drills` for those from without."""
