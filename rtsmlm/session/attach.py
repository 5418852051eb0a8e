"""Plug-in use: localize what another program records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rtsmlm.drivers.micromanager.camera import MicroManagerCamera
from rtsmlm.drivers.micromanager.lasers_only import (
    OURS,
    LaserConfiguration,
    configuration_of,
    labels_of,
    names_devices,
    read_configuration,
)
from rtsmlm.safety.rehearsal import Rehearsal
from rtsmlm.session.devices import open_actuators
from rtsmlm.session.session import Session
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus


def attach(
    core: CMMCorePlus,
    config: Path | None = None,
    overrides: tuple[str, ...] = (),
    *,
    arm: bool = False,
    end_program: bool | None = None,
    rehearsal: Rehearsal | None = None,
) -> Session:
    """Localize what the camera of a running Micro-Manager core records.

    Returns a started session: frames are taken in a thread of rtsmlm, and the program that owns the
    core goes on. A sequence that is running is joined and left running; otherwise one is started.

    Parameters
    ----------
    core
        A `CMMCorePlus` or `UniMMCore` with a camera.
    config
        Run configuration (TOML); None takes all defaults.
    overrides
        `section.key=value` texts, as with `rtsmlm live --set`.
    arm
        Steer the lasers that the configuration names; `feedback.arm` must be set as well. They go
        dark when this program ends, however it does, or is silent for `safety.silence_s`.
    end_program
        Allow the sentinel to end this program when it is silent: needed for a laser whose port has
        one owner at a time. None goes by `safety.end_program`.
    rehearsal
        For such a laser: `Rehearsal(settings, end_program=True)`, whose `run` was called before
        the core loaded its devices. None tries the lasers beside this program.

    Raises
    ------
    RtsmlmError
        If the settings or the camera do not allow a run.
    """
    settings = load(config, overrides)
    camera = MicroManagerCamera(
        core, settings=settings.micromanager, acquisition=settings.acquisition
    )
    lasers, stages = open_actuators(settings, camera)
    if rehearsal is None and arm and settings.feedback.arm and lasers:
        configuration = _configuration_of_host(core, settings)
        rehearsal = Rehearsal(settings, configuration, end_program=bool(end_program))
    session = Session(
        camera,
        settings,
        lasers=lasers,
        stages=stages,
        arm=arm,
        owns_devices=True,
        rehearsal=rehearsal,
    )
    session.start()
    return session


def _configuration_of_host(core: CMMCorePlus, settings: RunSettings) -> LaserConfiguration:
    """Return a configuration that has the lasers: that of the settings, the host's file, its core.

    A host has often loaded another configuration than the settings name, or none.
    """
    mm = settings.micromanager
    labels = {
        label
        for laser in settings.lasers.values()
        if laser.driver == OURS
        for label in labels_of(laser)
    }
    loaded = core.systemConfigurationFile()
    if "config" not in mm.model_fields_set and loaded:
        mm = mm.model_copy(update={"config": str(loaded)})
    configuration = read_configuration(mm)
    if names_devices(configuration, labels):
        return configuration
    return configuration_of(core, configuration)
