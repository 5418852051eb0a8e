"""Step response of the loop: from dark to the target, then to twice of it."""

from __future__ import annotations

import math
from typing import Any

from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.hil.result import DrillResult
from rtsmlm.hil.rig import TICK_S, HilRig
from rtsmlm.hil.step_figures import Course, bias, course_of, overshoot, settle_s
from rtsmlm.realtime.clock import now_ns
from rtsmlm.session.session import Session
from rtsmlm.settings.lasers import at_time
from rtsmlm.settings.run import RunSettings

_NAME = "step-response"
_POLL_S = 0.1
_START_S = 3.0
"""Twice what a start took, and this, stands before the first half."""
_NO_RESPONSE_S = 60.0
_OUT_OF_REACH = 100.0
_LEAST_TICKS = 8


def step_response(rig: HilRig) -> DrillResult:
    """Close the loop and see how it gets to its target; or how it finds that nothing answers."""
    laser = rig.steered
    if not rig.limits.responds:
        return _finds_no_response(rig, laser)
    target = at_time(rig.settings.feedback.target_per_um2, 0.0)
    begin_s = _known_start_s(rig)
    turn_s = begin_s + rig.limits.step_s
    settings = _loop_settings(rig, ((0.0, target), (turn_s, target), (turn_s + 1e-3, 2 * target)))
    with rig.run(_NAME, settings, arm=True) as session:
        # Counted from here, where the time of the loop has begun: a slow start cuts no half short.
        _wait(rig, session, turn_s + rig.limits.step_s)
        said = session.messages()
        folder = session.folder
    course = course_of(read_laser_log(folder.lasers), laser)
    turns = course.t_s[course.target_per_um2 > 1.5 * target]
    if not len(turns):
        return DrillResult(_NAME, False, f"the run ended before its time: {'; '.join(said)}")
    return _judge(rig, laser, course, float(turns[0]))


def _judge(rig: HilRig, laser: str, course: Course, turn_s: float) -> DrillResult:
    limits = rig.limits
    first, second = course.part(0.0, turn_s), course.part(turn_s, math.inf)
    settled_s, recovered_s = settle_s(first, _first_light_s(first)), settle_s(second, turn_s)
    beyond = max(overshoot(first), overshoot(second))
    cap = rig.settings.lasers[laser].max_power or math.inf
    off = bias(
        *(
            part.part(float(begin), math.inf)
            for part, begin in (
                (first, _first_light_s(first) + settled_s),
                (second, turn_s + recovered_s),
            )
            if len(part.power) and part.power.max() < cap
        )
    )
    n_ticks = min(len(first.t_s), len(second.t_s))
    good = (
        settled_s <= limits.settle_s
        and recovered_s <= limits.recover_s
        and beyond <= limits.overshoot
        and abs(off) <= limits.bias
        and n_ticks >= _LEAST_TICKS
    )
    what = (
        f"within 20 % of the target {settled_s:.1f} s after the first light (limit "
        f"{limits.settle_s:g} s), {recovered_s:.1f} s after it was doubled "
        f"({limits.recover_s:g} s); beyond it by {beyond:.0%} ({limits.overshoot:.0%}), "
        f"off by {off:+.1%} ({limits.bias:.0%})"
    )
    what += too_few(n_ticks)
    details: dict[str, Any] = {
        "settle_s": settled_s,
        "recover_s": recovered_s,
        "overshoot": beyond,
        "bias": off,
        "laser": laser,
        "unit": rig.lasers[laser].unit,
        "course": course.as_dict(),
    }
    return DrillResult(_NAME, good, what, details)


def too_few(n_ticks: int) -> str:
    """Return why a course is no proof; nothing where there are ticks enough on both sides."""
    if n_ticks >= _LEAST_TICKS:
        return ""
    return (
        f"; but only {n_ticks} estimates of the density came before or after that, "
        f"{_LEAST_TICKS} are needed: raise hil.step_s, or give the machine less to do"
    )


def _first_light_s(course: Course) -> float:
    lit = course.t_s[course.power > 0]
    return float(lit[0]) if len(lit) else math.inf


def _finds_no_response(rig: HilRig, laser: str) -> DrillResult:
    """Let the loop climb without a response, and wait until it reports that."""
    settings = _loop_settings(rig, _OUT_OF_REACH * 0.9)
    begin_ns = now_ns()
    found: list[str] = []
    with rig.run(_NAME, settings, arm=True) as session:
        while not found and (now_ns() - begin_ns) / 1e9 < _NO_RESPONSE_S:
            _wait(rig, session, _POLL_S)
            found = [text for text in session.messages() if "no response" in text]
        passed_s = (now_ns() - begin_ns) / 1e9
        folder = session.folder
    course = course_of(read_laser_log(folder.lasers), laser)
    details = {"laser": laser, "unit": rig.lasers[laser].unit, "course": course.as_dict()}
    if not found:
        what = f"the loop did not find within {_NO_RESPONSE_S:g} s that nothing answers"
        return DrillResult(_NAME, False, what, details)
    what = f"found after {passed_s:.1f} s (limit {_NO_RESPONSE_S:g} s): {found[0]}"
    return DrillResult(_NAME, True, what, details)


def _loop_settings(rig: HilRig, target: Any) -> RunSettings:
    stop = rig.settings.feedback.stop.model_copy(
        update=dict.fromkeys(
            ("localizations", "resolution_nm", "resolution_change", "seconds", "dose")
        )
    )
    feedback: dict[str, Any] = {"target_per_um2": target, "stop": stop, "tune": "none"}
    if not rig.limits.responds:
        feedback |= {"tick_s": TICK_S}
    return rig.run_settings(feedback=feedback, record={"raw": False})


def _known_start_s(rig: HilRig) -> float:
    """Return how long to allow for the start; the localizer is compiled by then."""
    begin_ns = now_ns()
    with rig.run("warm-up", rig.run_settings(record={"raw": False})):
        return 2 * (now_ns() - begin_ns) / 1e9 + _START_S


def _wait(rig: HilRig, session: Session, seconds: float) -> None:
    until_ns = now_ns() + round(seconds * 1e9)
    while now_ns() < until_ns and not session.camera_ended.is_set():
        rig.pause(_POLL_S)
