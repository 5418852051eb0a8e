"""What a drill has to know of a laser beyond what a guard asks; the laser itself states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rtsmlm.drivers.micromanager.core import as_core
from rtsmlm.drivers.micromanager.gating import devices_of_core, gating_of
from rtsmlm.drivers.micromanager.laser import MicroManagerLaser
from rtsmlm.protocols import Actuator
from rtsmlm.settings.lasers import LaserSettings

_STATE_FILE = "StateFile"


@dataclass(frozen=True, slots=True)
class LaserTraits:
    """By default those of a real laser: its light outlives the program."""

    outlives_process: bool = True
    """False for a simulation that is gone with the process that holds it."""
    interlock: tuple[str, str] | None = None
    """Device and property of an interlock that is simulated, and may be opened by software."""
    light_file: Path | None = None
    """File in which the light of a simulated head can be seen from outside."""


def traits_of(laser: Actuator, core: object) -> LaserTraits:
    """Ask a laser; one with a driver of a lab's own is taken for real.

    Parameters
    ----------
    laser
        As its driver has opened it.
    core
        The Micro-Manager core of the camera; used for lasers of Micro-Manager only.
    """
    if not isinstance(laser, MicroManagerLaser):
        return LaserTraits()
    properties = laser.properties
    interlock, light_file = None, None
    if properties.simulated:
        interlock = next(((fault.device, fault.property) for fault in properties.faults), None)
        mm = as_core(core)
        if mm.hasProperty(properties.device, _STATE_FILE):
            name = str(mm.getProperty(properties.device, _STATE_FILE))
            light_file = Path(name) if name else None
    outlives = properties.outlives_process or light_file is not None
    return LaserTraits(outlives, interlock, light_file)


def gating_of_rig(core: object | None, lasers: Mapping[str, LaserSettings]) -> str:
    """Tell in one sentence whether lasers follow the exposure signal of the camera of a core."""
    if core is None:
        return gating_of({}, lasers).sentence
    mm = as_core(core)
    camera = str(mm.getCameraDevice())
    asked = {camera, *(laser.device for laser in lasers.values())}
    return gating_of(devices_of_core(mm, asked), lasers, camera).sentence
