"""Dark on fault: light on, one fault, and the time until the laser is dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.files.run.report import RunReport
from rtsmlm.hil.interlock import restore_interlocks
from rtsmlm.hil.result import DrillResult
from rtsmlm.hil.rig import HilRig
from rtsmlm.hil.scene import Scene, lit_scene, most_light, watch_dark
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.ledger import LedgerTotals

_INJECT_S = 5.0
_LATER_S = 1.2
"""A laser that went dark has to stay so; two ticks of the drill, and more."""
_LATCH_S = 3.0
_MORE_S = 2.0
"""How long beyond the limit it is watched, so that the report tells how late it was."""
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, and what must come of it."""

    name: str
    inject: Callable[[Scene], None]
    limit_s: Callable[[HilRig], float]
    """From the fault to dark, for the steered laser."""
    others_s: Callable[[HilRig], float] | None = None
    """The same for the others; None where these may stay on."""
    latches: bool = True
    """It must be reset manually; otherwise the loop stays dark as long as the fault lasts."""
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
    limits_s = _limits_s(fault, rig)
    try:
        with lit_scene(rig, fault.name) as scene:
            received = scene.session.ledger.totals().received
            fault.inject(scene)
            if not scene.clock.injected.wait(_INJECT_S):
                what = f"the fault did not come about within {_INJECT_S:g} s"
                return DrillResult(fault.name, False, what)
            watched = {name: scene.lasers[name].real for name in limits_s}
            longest_s = max(limits_s.values()) + _MORE_S
            dark_s = watch_dark(rig, watched, scene.clock.t_ns, longest_s)
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
        *_late(dark_s, limits_s),
        "it was not latched" if fault.latches and latched is None else "",
        f"it came on again, at {again:g}" if again else "",
        f"a laser is at {after:g} after the run" if after else "",
        "lasers.csv does not give the reason" if not reason else "",
        *_recording(scene.session.report, more, goes_on=fault.frames_go_on),
    ]
    state = "latched" if latched else "dark while it lasts"
    found = _in_words(dark_s, limits_s)
    details: dict[str, Any] = {
        "dark_s": max(dark_s.values()),
        "limit_s": max(limits_s.values()),
        "dark_s_by_laser": dark_s,
        "latched": latched is not None,
        "reason": reason,
        "run": "" if rig.last_run is None else rig.last_run.path.name,
    }
    wrong = "; ".join(text for text in faults if text)
    what = f"{wrong}: {found}" if wrong else f"{found}, {state}: {reason}"
    return DrillResult(fault.name, not wrong, what, details)


def _limits_s(fault: Fault, rig: HilRig) -> dict[str, float]:
    """Return when each laser has to be dark, for those that have to be."""
    limits_s = {rig.steered: fault.limit_s(rig)}
    if fault.others_s is not None:
        others_s = fault.others_s(rig)
        limits_s |= {name: others_s for name in rig.lasers if name != rig.steered}
    return limits_s


def _late(dark_s: Mapping[str, float], limits_s: Mapping[str, float]) -> list[str]:
    return [
        f"{name} took {dark_s[name]:.2f} s to get dark"
        if math.isfinite(dark_s[name])
        else f"{name} did not get dark"
        for name in limits_s
        if not dark_s[name] <= limits_s[name]
    ]


def _in_words(dark_s: Mapping[str, float], limits_s: Mapping[str, float]) -> str:
    parts = [f"{name} {dark_s[name]:.2f} s (limit {limits_s[name]:g} s)" for name in limits_s]
    return f"dark after the fault: {', '.join(parts)}"


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
