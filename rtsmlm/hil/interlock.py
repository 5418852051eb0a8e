"""The interlock of a drill: that of the simulated laser, and a stand-in everywhere else.

The interlock of a real laser is never touched by software. There the device seems
to report an open interlock, and everything behind the device is drilled.
"""

from __future__ import annotations

from rtsmlm.drivers.micromanager.core import as_core
from rtsmlm.hil.rig import HilRig
from rtsmlm.hil.scene import Scene


def trip_interlock(scene: Scene) -> None:
    """Open the interlock of the steered laser."""
    if not _set_interlock(scene.rig, scene.steered, "OPEN"):
        scene.laser.complaint = "its interlock is open (drill)"
    scene.clock.mark()


def restore_interlocks(rig: HilRig) -> None:
    """Close the interlocks of simulated lasers."""
    for name in rig.settings.lasers:
        _set_interlock(rig, name, "OK")


def _set_interlock(rig: HilRig, laser: str, state: str) -> bool:
    """Return False, and touch nothing, where the interlock is a real one."""
    interlock = rig.traits_of(laser).interlock
    if interlock is None:
        return False
    as_core(rig.core).setProperty(*interlock, state)
    return True
