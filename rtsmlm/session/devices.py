"""Opens the devices that the settings name: camera, lasers, stages."""

from __future__ import annotations

from collections.abc import Iterable

from rtsmlm import plugins
from rtsmlm.errors import ConfigError
from rtsmlm.plugins import CoreSource
from rtsmlm.protocols import Actuator, Camera
from rtsmlm.settings.run import RunSettings


def open_camera(settings: RunSettings) -> Camera:
    """Open the camera that the settings name.

    Raises
    ------
    RtsmlmError
        If there is none of that name or it cannot be opened.
    """
    return plugins.find_camera(settings.camera.driver)(settings)


def open_actuators(
    settings: RunSettings, camera: Camera
) -> tuple[dict[str, Actuator], dict[str, Actuator]]:
    """Return the lasers and the stages that the settings name.

    Nothing is set and nothing is switched. Drivers of Micro-Manager find their devices on the core
    of the camera; close what is returned before that.

    Raises
    ------
    RtsmlmError
        If a device is not there or does not have the properties that are named.
    """
    core = core_of(camera)
    lasers: dict[str, Actuator] = {}
    stages: dict[str, Actuator] = {}
    try:
        for name, laser in settings.lasers.items():
            lasers[name] = plugins.find_laser(laser.driver)(name, laser, core)
        for name, stage in settings.stages.items():
            stages[name] = plugins.find_stage(stage.driver)(name, stage, core)
    except BaseException:
        close_actuators([*lasers.values(), *stages.values()])
        raise
    return lasers, stages


def close_actuators(actuators: Iterable[Actuator]) -> None:
    """Release lasers and stages as they are. Safe to call more than once."""
    for actuator in actuators:
        actuator.close()


def core_of(camera: Camera) -> CoreSource:
    """Return what gives a driver the core of this camera, once it asks for it."""

    def core() -> object:
        if camera.core is None:
            raise ConfigError(
                f"the camera {camera.name} belongs to no Micro-Manager core, so that lasers and "
                'stages with driver = "micromanager" cannot be reached; choose another driver for '
                "them, or remove [lasers] and [stages]"
            )
        return camera.core

    return core
