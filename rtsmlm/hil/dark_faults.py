"""Faults that are provoked from within while a session runs; `program_drills` has the others."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from rtsmlm.hil.dark_drills import Fault
from rtsmlm.hil.faults import not_a_number, raising
from rtsmlm.hil.interlock import trip_interlock
from rtsmlm.hil.result import NotForThisRig
from rtsmlm.hil.rig import HEARTBEAT_S, HilRig, power_now
from rtsmlm.hil.scene import Scene
from rtsmlm.realtime.clock import now_ns

_MARGIN_S = 1.0
_POLL_S = 0.01
_OFF_S = 5.0
_LINE_FAILS_S = 1.0
_HANGS_S = 3.0
_IGNORED_S = 2.0


def _kill(scene: Scene) -> None:
    _signal(scene, scene.session.analysis_pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def _freeze(scene: Scene) -> None:
    _signal(scene, scene.session.analysis_pid, _stop_signal())


def _kill_sentinel(scene: Scene) -> None:
    _signal(scene, scene.rig.sentinel_pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def _freeze_sentinel(scene: Scene) -> None:
    _signal(scene, scene.rig.sentinel_pid, _stop_signal())


def _stop_signal() -> int:
    if sys.platform == "win32":
        raise NotForThisRig("Windows cannot hold a process without a debugger")
    return signal.SIGSTOP


def _signal(scene: Scene, pid: int | None, number: int) -> None:
    if pid is None:
        raise NotForThisRig("there is no such process")
    os.kill(pid, number)  # on Windows this is TerminateProcess
    scene.clock.mark()


def _freeze_camera(scene: Scene) -> None:
    scene.camera.freeze()


def _perturb(scene: Scene, how: Callable[..., Any]) -> None:
    scene.perturbation.perturb = how


def _misreport(scene: Scene, meter: str) -> None:
    if meter != "1" and scene.laser.real.readback() is None:
        raise NotForThisRig("not applicable: the laser does not measure its power")
    scene.laser.meter = meter
    scene.clock.mark()


def _break_line(scene: Scene, safe_fails_s: float) -> None:
    scene.laser.safe_fails_s = safe_fails_s
    scene.laser.refuse_next_set = True


def _hang(scene: Scene) -> None:
    """Switch all lasers off while the port of one does not answer."""
    scene.laser.hangs_s = _HANGS_S
    _switch_off(scene)


def _switch_off(scene: Scene) -> None:
    scene.clock.mark()
    scene.session.lasers_off("drill: lasers switched off by the user")


def _ignore_off(scene: Scene) -> None:
    scene.laser.safe_ignored_s = _IGNORED_S
    _switch_off(scene)


def _switch_on_from_outside(scene: Scene) -> None:
    """Switch the laser on again after it was switched off, past its guard."""
    real = scene.laser.real
    power = power_now(real)
    scene.session.lasers_off("drill: lasers switched off by the user")
    until_ns = now_ns() + round(_OFF_S * 1e9)
    while power_now(real) != 0.0 and now_ns() < until_ns:
        scene.rig.pause(_POLL_S)
    scene.clock.mark()
    real.set(power)


def _at_once(rig: HilRig) -> float:
    return rig.limits.dark_s


def _by_watchdog(rig: HilRig) -> float:
    return rig.drill_settings().feedback.silence_s + _MARGIN_S


def _by_heartbeat(rig: HilRig) -> float:
    return max(_by_watchdog(rig), HEARTBEAT_S + _MARGIN_S)


def _by_proof(rig: HilRig) -> float:
    return rig.settings.safety.silence_s + rig.limits.dark_s


def _by_polls(rig: HilRig) -> float:
    return rig.limits.dark_s + _MARGIN_S


def _after(seconds: float) -> Callable[[HilRig], float]:
    return lambda rig: seconds + rig.limits.dark_s


FAULTS = (
    Fault("analysis-killed", _kill, _at_once),  # the others shine on if it is back in time
    Fault("analysis-frozen", _freeze, _by_heartbeat, _by_heartbeat),
    Fault(
        "camera-frozen",
        _freeze_camera,
        _by_watchdog,
        _by_watchdog,
        latches=False,
        frames_go_on=False,
    ),
    Fault(
        "estimate-nan",
        partial(_perturb, how=not_a_number),
        _by_watchdog,
        _by_watchdog,
        latches=False,
    ),
    Fault("controller-fails", partial(_perturb, how=raising), _at_once, _at_once),
    Fault("sentinel-killed", _kill_sentinel, _by_proof, _by_proof),
    Fault("sentinel-frozen", _freeze_sentinel, _by_proof, _by_proof),
    Fault("read-back-wrong", partial(_misreport, meter="1"), _at_once),
    Fault("read-back-at-times", partial(_misreport, meter="10010"), _by_polls),
    Fault("read-back-gone", partial(_misreport, meter="-"), _at_once),
    Fault("serial-error", partial(_break_line, safe_fails_s=0.0), _at_once),
    Fault(
        "serial-error-at-shutdown",
        partial(_break_line, safe_fails_s=_LINE_FAILS_S),
        _after(_LINE_FAILS_S),
    ),
    Fault("port-hangs", _hang, _after(_HANGS_S), _at_once),
    Fault("off-ignored", _ignore_off, _after(_IGNORED_S), _at_once),
    Fault("on-from-outside", _switch_on_from_outside, _by_polls),
    Fault("interlock", trip_interlock, _at_once),
    Fault("lasers-off", _switch_off, _at_once, _at_once),
)
"""Every fault that can be provoked from within."""
