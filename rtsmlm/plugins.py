"""Finds cameras, lasers, stages, localizers and sinks by entry point: a lab adds its own.

A package names its factories in its `pyproject.toml`::

    [project.entry-points."rtsmlm.camera"]
    hamamatsu = "my_lab.hamamatsu:open_camera"

    [project.entry-points."rtsmlm.laser"]
    toptica = "my_lab.toptica:open_laser"

and the settings choose one by its name: `camera.driver = "hamamatsu"`,
`lasers.activation.driver = "toptica"`. A factory is a function, or a class, that is called with
the arguments of its Protocol below, by position. It raises `ConfigError` for settings that cannot
be right and `DeviceError` for a device that does not answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import ConfigError
from rtsmlm.protocols import Actuator, Camera, Localizer, Sink
from rtsmlm.settings.lasers import LaserSettings, StageSettings
from rtsmlm.settings.run import RunSettings

CoreSource: TypeAlias = Callable[[], object]
"""Returns the Micro-Manager core of the run when it is called.

A driver with a connection of its own never calls it, and then needs no Micro-Manager at all. It
raises `ConfigError` where the camera belongs to no core.
"""


class CameraFactory(Protocol):
    """Opens a camera; entry point group `rtsmlm.camera`."""

    def __call__(self, settings: RunSettings, /) -> Camera:
        """Return the camera, open and idle.

        Parameters
        ----------
        settings
            Settings of the run; of them a camera needs `acquisition` above all.
        """
        ...


class LaserFactory(Protocol):
    """Opens a laser; entry point group `rtsmlm.laser`.

    It is called in the process of the run and, should that process die, once more in the sentinel,
    which then calls `make_safe`.
    """

    def __call__(self, name: str, settings: LaserSettings, core: CoreSource, /) -> Actuator:
        """Return the laser as it is: neither switched on nor off.

        Parameters
        ----------
        name
            Its name in the settings; that of the actuator, too.
        settings
            What the settings state of it. `device` is any text that the driver understands, such
            as a serial port, and `options` holds what else it wants to know.
        core
            Gives the Micro-Manager core to drivers that need it.
        """
        ...


class StageFactory(Protocol):
    """Opens one axis of a stage; entry point group `rtsmlm.stage`."""

    def __call__(self, name: str, settings: StageSettings, core: CoreSource, /) -> Actuator:
        """Return the axis, which stays where it is; positions are in um.

        Parameters
        ----------
        name
            Its name in the settings.
        settings
            Device, axis and range.
        core
            Gives the Micro-Manager core to drivers that need it.
        """
        ...


class LocalizerFactory(Protocol):
    """Makes a localizer; entry point group `rtsmlm.localizer`."""

    def __call__(
        self, settings: RunSettings, calibration: CameraCalibration, sigma_nm: float, /
    ) -> Localizer:
        """Return the localizer; it may be asked to `warm_up` before its first batch.

        Parameters
        ----------
        settings
            Settings of the run; of them a localizer needs `localizer` and `psf`.
        calibration
            Camera calibration in force.
        sigma_nm
            Standard deviation of the PSF, as stated or as measured on the first frames.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a sink has to know of a run."""

    folder: Path
    """The run folder; a sink that writes files writes them here."""
    shape: tuple[int, int]
    """Height and width of a frame in pixels."""
    pixel_nm: float
    """Side of a pixel in the sample plane."""
    sigma_nm: float
    """Standard deviation of the PSF in force."""


class SinkFactory(Protocol):
    """Opens a sink for localizations; entry point group `rtsmlm.sink`.

    It is called in the analysis process before the first rows. An analysis that is restarted after
    a crash opens its sinks anew. Frames that are caught up after the run do not go to sinks.
    """

    def __call__(self, settings: RunSettings, run: RunFacts, /) -> Sink:
        """Return the sink.

        Parameters
        ----------
        settings
            Settings of the run.
        run
            Folder, frame size and scale.
        """
        ...


def find_camera(name: str) -> CameraFactory:
    """Return the camera factory of this name; raises `ConfigError` as `find` does."""
    return cast(CameraFactory, find("rtsmlm.camera", name))


def find_laser(name: str) -> LaserFactory:
    """Return the laser factory of this name; raises `ConfigError` as `find` does."""
    return cast(LaserFactory, find("rtsmlm.laser", name))


def find_stage(name: str) -> StageFactory:
    """Return the stage factory of this name; raises `ConfigError` as `find` does."""
    return cast(StageFactory, find("rtsmlm.stage", name))


def find_localizer(name: str) -> LocalizerFactory:
    """Return the localizer factory of this name; raises `ConfigError` as `find` does."""
    return cast(LocalizerFactory, find("rtsmlm.localizer", name))


def find_sink(name: str) -> SinkFactory:
    """Return the sink factory of this name; raises `ConfigError` as `find` does."""
    return cast(SinkFactory, find("rtsmlm.sink", name))


def names(group: str) -> list[str]:
    """Return the names that are installed in a group such as `rtsmlm.camera`, sorted."""
    return sorted(set(entry_points(group=group).names))


def find(group: str, name: str) -> Callable[..., object]:
    """Import and return the factory of this name; `find_camera` and the like state its type.

    Parameters
    ----------
    group
        Group of entry points, such as `rtsmlm.camera`.
    name
        Name as in the settings.

    Raises
    ------
    ConfigError
        If there is none of this name, if two packages offer different ones, or if it cannot
        be imported.
    """
    kind = group.rpartition(".")[2]
    found = entry_points(group=group, name=name)
    offers: dict[str, EntryPoint] = {offer.value: offer for offer in found}
    if not offers:
        there = ", ".join(names(group)) or "none"
        raise ConfigError(f"no {kind} named {name!r}; installed: {there}")
    if len(offers) > 1:
        raise ConfigError(
            f"{kind} {name!r} is offered more than once, as "
            f"{' and '.join(sorted(offers))}; uninstall all packages but one"
        )
    value, offer = offers.popitem()
    try:
        factory: Any = offer.load()
    except Exception as error:  # whatever a foreign module does while it is imported
        raise ConfigError(f"{kind} {name!r} ({value}) cannot be imported: {error}") from error
    if not callable(factory):
        raise ConfigError(f"{kind} {name!r} ({value}) is not a function that opens one")
    return cast("Callable[..., object]", factory)
