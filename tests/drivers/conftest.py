"""A core of devices that exist on paper only: their properties, and every command they got."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from pymmcore_plus import DeviceType, PropertyType


@dataclass
class FakeProperty:
    value: str
    allowed: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None
    kind: PropertyType = PropertyType.Float


@dataclass
class FakeDevice:
    library: str
    name: str
    properties: dict[str, FakeProperty]
    kind: DeviceType = DeviceType.GenericDevice
    parent: str = ""
    is_open: bool = False


@dataclass
class FakeCore:
    """Takes and refuses values as Micro-Manager does."""

    devices: dict[str, FakeDevice]
    commands: list[tuple[str, str, str]] = field(default_factory=list)
    """Device, property and value of every command, refused ones too."""
    broken: set[tuple[str, str]] = field(default_factory=set)
    """Properties that refuse every command; ("Shutter", "") is the shutter of that label."""
    mute: set[tuple[str, str]] = field(default_factory=set)
    """Properties that cannot be read."""
    before: Callable[[str, str], Any] = lambda device, name: None
    """Called before a command is obeyed."""
    exposure_ms: float = 10.0
    auto_shutter: bool = False
    shutter: str = ""

    def getLoadedDevices(self) -> tuple[str, ...]:
        return (*self.devices, "Core")

    def getDeviceLibrary(self, label: str) -> str:
        return self.devices[label].library

    def getDeviceName(self, label: str) -> str:
        return self.devices[label].name

    def getDeviceType(self, label: str) -> DeviceType:
        return DeviceType.Core if label == "Core" else self.devices[label].kind

    def getParentLabel(self, label: str) -> str:
        return self.devices[label].parent

    def getDevicePropertyNames(self, label: str) -> tuple[str, ...]:
        return tuple(self.devices[label].properties)

    def getAllowedPropertyValues(self, label: str, name: str) -> tuple[str, ...]:
        return self.property(label, name).allowed

    def getPropertyType(self, label: str, name: str) -> PropertyType:
        return self.property(label, name).kind

    def hasPropertyLimits(self, label: str, name: str) -> bool:
        return self.property(label, name).limits is not None

    def getPropertyLowerLimit(self, label: str, name: str) -> float:
        return (self.property(label, name).limits or (0.0, 0.0))[0]

    def getPropertyUpperLimit(self, label: str, name: str) -> float:
        return (self.property(label, name).limits or (0.0, 0.0))[1]

    def getProperty(self, label: str, name: str) -> str:
        if (label, name) in self.mute:
            raise RuntimeError("no answer.")
        return self.property(label, name).value

    def setProperty(self, label: str, name: str, value: str) -> None:
        self.commands.append((label, name, value))
        self.before(label, name)
        known = self.property(label, name)
        if (label, name) in self.broken:
            raise RuntimeError("serial command\n failed.")
        if known.allowed and value not in known.allowed:
            raise RuntimeError(f"invalid value {value}")
        if known.limits and not known.limits[0] <= float(value) <= known.limits[1]:
            raise RuntimeError(f"{value} is out of limits")
        if known.kind == PropertyType.Integer:
            int(value)
        known.value = value

    def property(self, label: str, name: str) -> FakeProperty:
        if name not in self.devices[label].properties:
            raise RuntimeError(f"invalid property name {name}")
        return self.devices[label].properties[name]

    def getExposure(self) -> float:
        return self.exposure_ms

    def getShutterOpen(self, label: str) -> bool:
        if (label, "") in self.mute:
            raise RuntimeError("no answer.")
        return self.devices[label].is_open

    def setShutterOpen(self, label: str, state: bool) -> None:
        self.commands.append((label, "", "open" if state else "closed"))
        if (label, "") in self.broken:
            raise RuntimeError("stuck")
        self.devices[label].is_open = state

    def getShutterDevice(self) -> str:
        return self.shutter

    def getAutoShutter(self) -> bool:
        return self.auto_shutter

    def setAutoShutter(self, state: bool) -> None:
        self.auto_shutter = state

    def values(self, label: str) -> Mapping[str, str]:
        return {name: known.value for name, known in self.devices[label].properties.items()}


@pytest.fixture
def bench() -> tuple[type[FakeCore], type[FakeDevice], type[FakeProperty]]:
    """The three classes that a bench is built of."""
    return FakeCore, FakeDevice, FakeProperty
