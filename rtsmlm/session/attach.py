"""Plug-in use: localize what another program records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rtsmlm.drivers.micromanager.camera import MicroManagerCamera
from rtsmlm.session.devices import open_actuators
from rtsmlm.session.session import Session
from rtsmlm.settings.load import load

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus


def attach(
    core: CMMCorePlus,
    config: Path | None = None,
    overrides: tuple[str, ...] = (),
    *,
    arm: bool = False,
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
        Steer the lasers that the configuration names; `feedback.arm` must be set as well.

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
    session = Session(camera, settings, lasers=lasers, stages=stages, arm=arm, owns_devices=True)
    session.start()
    return session
