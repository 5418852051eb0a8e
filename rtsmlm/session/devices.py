"""Opens what the settings name: camera, lasers, stages."""

from __future__ import annotations

from rtsmlm import plugins
from rtsmlm.drivers.micromanager.stage import open_stage
from rtsmlm.errors import ConfigError
from rtsmlm.files.movies.open import open_movie
from rtsmlm.protocols import Actuator, Camera
from rtsmlm.settings.run import RunSettings


def open_camera(settings: RunSettings) -> Camera:
    """Open the camera that the settings name.

    Raises
    ------
    RtsmlmError
        If there is none of that name or it cannot be opened.
    """
    factory = plugins.find("rtsmlm.camera", settings.camera.driver)
    camera: Camera = factory(settings, open_movie)
    return camera


def open_actuators(
    settings: RunSettings, camera: Camera
) -> tuple[dict[str, Actuator], dict[str, Actuator]]:
    """Return the lasers and the stages that the settings name, on the core of the camera.

    Nothing is set and nothing is switched.

    Raises
    ------
    RtsmlmError
        If a device is not there or does not have the properties that are named.
    """
    if not settings.lasers and not settings.stages:
        return {}, {}
    core = getattr(camera, "core", None)
    if core is None:
        raise ConfigError(
            f"the camera {camera.name} has no Micro-Manager core, so that the lasers and stages of "
            "the configuration cannot be reached; leave [lasers] and [stages] out"
        )
    lasers: dict[str, Actuator] = {}
    for name, laser in settings.lasers.items():
        lasers[name] = plugins.find("rtsmlm.laser", laser.driver)(core, name, laser)
    stages: dict[str, Actuator] = {
        name: open_stage(core, name, stage) for name, stage in settings.stages.items()
    }
    return lasers, stages
