"""The interlock of a drill: that of the simulated laser, and a stand-in everywhere else.

The interlock of a real laser is never touched by software. There the device seems
to report an open interlock, and everything behind the device is drilled.
"""

from __future__ import annotations

from rtsmlm.hil.rig import HilRig
from rtsmlm.hil.scene import Scene

_SIMULATED = "rtsmlm.drivers.simulated.laser"
_PROPERTY = "Interlock"


def trip_interlock(scene: Scene) -> None:
    """Open the interlock of the steered laser."""
    rig = scene.rig
    if rig.library_of(scene.steered) == _SIMULATED:
        rig.core.setProperty(rig.settings.lasers[scene.steered].device, _PROPERTY, "OPEN")
    else:
        scene.laser.complaint = "its interlock is open (drill)"
    scene.clock.mark()


def restore_interlocks(rig: HilRig) -> None:
    """Close the interlocks of simulated lasers."""
    for name, laser in rig.settings.lasers.items():
        if rig.library_of(name) == _SIMULATED:
            rig.core.setProperty(laser.device, _PROPERTY, "OK")
