"""Checks of the lasers: their limits, a cap beyond them, and the read-back of what was set."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rtsmlm.errors import ConfigError
from rtsmlm.hil.result import DrillResult, NotForThisRig
from rtsmlm.hil.rig import HilRig, check_dark, power_now
from rtsmlm.protocols import Actuator
from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.records import AuditRow, CommandContext

_SETTLE_S = 0.5
_STEPS = (0.6, 1.0, 0.8)
"""Powers that are set, as parts of that of the drills."""
_REL = 0.1
"""Allowed relative error of set point and read-back: a tenth."""


def laser_limits(rig: HilRig) -> DrillResult:
    """Ask every laser for its limits, and compare them with the cap."""
    texts, faults, found = [], [], {}
    for name, laser in _lasers(rig).items():
        low, high = laser.limits()
        cap = rig.settings.lasers[name].max_power
        found[name] = {"least": low, "most": high, "cap": cap, "unit": laser.unit}
        texts.append(f"{name} {low:g} to {high:g} {laser.unit}, cap {_figure(cap)}")
        if not 0 <= low < high:
            faults.append(f"{name} reports limits of {low:g} to {high:g} {laser.unit}")
        if cap is None or cap > high:
            faults.append(f"the cap of {name} is {_figure(cap)}, the device gives {high:g} at most")
        if (complaint := laser.fault()) is not None:
            faults.append(f"{name} reports a fault: {complaint}")
    return DrillResult("laser-limits", not faults, "; ".join(faults or texts), found)


def cap_refused(rig: HilRig) -> DrillResult:
    """Check that a cap above what the device gives is refused, and that nothing lights up."""
    texts, faults = [], []
    for name, laser in _lasers(rig).items():
        before = power_now(laser)
        cap = 2 * laser.limits()[1]
        settings = rig.settings.lasers[name].model_copy(update={"max_power": cap})
        guard = LaserGuard(laser, settings, audit=lambda row: None)
        try:
            guard.arm()
        except ConfigError as error:
            texts.append(str(error))
        else:
            faults.append(f"{name} was armed with a cap of {cap:g}, above what it gives")
            guard.shut_down("drill")
        after = power_now(laser)
        if after not in (before, 0.0):
            faults.append(f"{name} is at {after:g} {laser.unit} afterwards, it was at {before:g}")
    return DrillResult("cap-refused", not faults, "; ".join(faults or texts))


def read_back(rig: HilRig) -> DrillResult:
    """Set a few low powers, and ask the device for what was set and what it measures."""
    faults: list[str] = []
    course: dict[str, list[dict[str, float | None]]] = {}
    worst = 0.0
    for name, laser in _lasers(rig).items():
        course[name] = _set_powers(rig, name, laser)
        for step in course[name]:
            known, measured = step["value"], step["measured"]
            for what, power in (("knows of", known), ("measures", measured)):
                if power is None:
                    continue
                set_to = step["set"] or 0.0
                off = abs(power - set_to) / set_to
                worst = max(worst, off) if math.isfinite(off) else math.inf
                if not off <= _REL:
                    faults.append(f"{name} {what} {power:g} {laser.unit} where {set_to:g} were set")
    check_dark(rig.lasers)
    has_meter = [name for name, steps in course.items() if steps[0]["measured"] is not None]
    meters = ", ".join(has_meter) or "none"
    what = f"within {worst:.1%} of what was set (limit {_REL:.0%}); measured power: {meters}; dark"
    return DrillResult("read-back", not faults, "; ".join(faults) or what, course)


def _set_powers(rig: HilRig, name: str, laser: Actuator) -> list[dict[str, float | None]]:
    power = rig.drill_power(name)
    settings = rig.settings.lasers[name].model_copy(
        update={"max_power": power, "start_power": power, "schedule": ()}
    )
    least = max(laser.limits()[0], settings.min_power or 0.0)
    trips: list[str] = []
    guard = LaserGuard(laser, settings, audit=_ignore, on_trip=trips.append)
    guard.arm()
    steps: list[dict[str, float | None]] = []
    try:
        for part in _STEPS:
            guard.command(max(part * power, least), CommandContext(reason="drill: read-back"))
            rig.pause(_SETTLE_S)
            guard.poll()
            steps.append(
                {"set": guard.sent, "value": power_now(laser), "measured": laser.readback()}
            )
            if trips:
                raise ConfigError("; ".join(trips))
    finally:
        guard.shut_down("the drill is over")
    return steps


def _ignore(row: AuditRow) -> None:
    pass


def _lasers(rig: HilRig) -> Mapping[str, Actuator]:
    if not rig.settings.lasers:
        raise NotForThisRig("the configuration has no [lasers]")
    return rig.lasers


def _figure(cap: float | None) -> str:
    return "none" if cap is None else f"{cap:g}"
