"""What the laser devices of Micro-Manager call power, emission, read-back and interlock.

The presets stand in `microscopes/lasers.toml`, and in the user's own files of the database. Names
and values are those of the adapters' sources (github.com/micro-manager/mmCoreAndDevices). They
change between releases: of the several names in a preset, the first that a device has counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rtsmlm.errors import ConfigError
from rtsmlm.microscopes.database import SHIPPED, fault, known_lasers

LINE = "{line}"
"""Stands for the number of a laser in names of properties."""


@dataclass(frozen=True, slots=True)
class FaultProperty:
    """A property that reports a fault or an open interlock."""

    names: tuple[str, ...]
    """Names it goes by."""
    ok_values: tuple[str, ...]
    """Values with which all is well, in any case of letters."""
    of_hub: bool = False
    """True if it is a property of the hub that the laser hangs on."""


@dataclass(frozen=True, slots=True)
class LaserPreset:
    """What the properties of one kind of laser mean."""

    name: str
    """What `lasers.NAME.preset` calls it."""
    library: str
    """Adapter, as `getDeviceLibrary` returns it; for a Python device its module."""
    power: tuple[str, ...]
    """Names of the property that sets the power."""
    unit: Literal["mW", "%", "V", "us"]
    """Unit of the power: mW, %, V, or us of pulse length."""
    devices: tuple[str, ...] = ("*",)
    """Names of the devices of this adapter that are lasers; for a Python device its class."""
    on: tuple[str, ...] = ()
    """Names of the property that switches emission; without one, power 0 is dark."""
    on_values: tuple[str, ...] = ()
    """Its value for emission; the first that the device allows."""
    off_values: tuple[str, ...] = ()
    """Its value without."""
    readback: tuple[str, ...] = ()
    """Names of the property with the measured power; an echo of the set-point is none."""
    faults: tuple[FaultProperty, ...] = ()
    """Properties that report faults."""
    least: tuple[str, ...] = ()
    """Names of the property with the least power, where the power property has no limits."""
    most: tuple[str, ...] = ()
    """Names of the property with the most."""
    limits_factor: float = 1.0
    """What values of `least` and `most` are multiplied with to be in the unit of the power."""
    turns_off: bool | None = None
    """Whether unloading the device switches emission off; None if not known."""
    simulated: bool = False
    """True for a simulated head; only its interlock may be opened by software, for a drill."""
    outlives_process: bool = True
    """False for a device that is gone, light and all, with the process that has loaded it."""
    note: str = ""
    """What a user has to know."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    def fits(self, library: str, device: str) -> bool:
        """Return True if this is the preset of this device of this adapter."""
        return library == self.library and any(fnmatchcase(device, d) for d in self.devices)


_NOT_THE_USERS = ("simulated", "outlives_process")
"""Fields on which drills and the sentinel rely: true of what ships with rtsmlm alone."""


def all_presets() -> Iterator[LaserPreset]:
    """Yield the kinds of lasers that are known, the user's own first.

    Raises
    ------
    ConfigError
        If a file of the user's own microscopes is wrong.
    """
    for data, origin in known_lasers():
        where = f"laser {data.get('name', '(without a name)')} of {origin}"
        if origin != SHIPPED and (stated := [name for name in _NOT_THE_USERS if name in data]):
            raise ConfigError(
                f"{where} states {stated[0]}, which only the lasers that ship with rtsmlm may; "
                "take it out"
            )
        try:
            yield _READ.validate_python(data)
        except ValidationError as error:
            raise ConfigError(f"{where}: {fault(error)}") from error


_READ = TypeAdapter(LaserPreset)


def preset_of(library: str, device: str) -> LaserPreset | None:
    """Return the preset of a device of an adapter; None if it is no laser that we know."""
    return next((preset for preset in all_presets() if preset.fits(library, device)), None)


def preset_named(name: str) -> LaserPreset | None:
    """Return the preset of this name; None if there is none."""
    return next((preset for preset in all_presets() if preset.name == name), None)
