"""What a loaded core holds that we could steer: lasers and stages. Asks, and commands nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pymmcore_plus import CMMCorePlus, DeviceType

from rtsmlm.drivers.micromanager.device_facts import facts_of, hub_of
from rtsmlm.drivers.micromanager.laser_presets import preset_of
from rtsmlm.drivers.micromanager.laser_properties import LaserProperties, lines_of, resolve
from rtsmlm.drivers.micromanager.power import SteadyPower
from rtsmlm.drivers.micromanager.property import get_text
from rtsmlm.errors import DeviceError, RtsmlmError
from rtsmlm.settings.lasers import LaserSettings

_AXES = {DeviceType.Stage: ("z",), DeviceType.XYStage: ("x", "y")}


@dataclass(frozen=True, slots=True)
class LoadedDevice:
    """A device of the configuration."""

    label: str
    adapter: str
    device: str
    """Name in its adapter."""
    kind: str
    """Camera, Shutter, Stage, ..."""
    axes: tuple[str, ...]
    """Axes that a [stages] section may name; empty if it is no stage."""


@dataclass(frozen=True, slots=True)
class FoundLaser:
    """A laser that a preset knows, as it is now."""

    name: str
    """Name that the block for the settings gives it."""
    properties: LaserProperties
    limits: tuple[float, float] | None
    """Least and most power; None if the device does not report them."""
    power: str
    """Present value of the power property, or the error of reading it."""
    emission: str
    """Present value of the on/off property; empty if there is none."""
    faults: dict[str, str]
    """Present values of the properties that report faults."""
    several: bool
    """True if its device holds other lasers too."""

    def toml(self) -> str:
        """Return the section for the settings, with the cap left to the user."""
        p = self.properties
        lines = [f"[lasers.{self.name}]", f"device = {json.dumps(p.device)}"]
        lines.append(f"preset = {json.dumps(p.preset)}")
        if self.several:
            lines.append(f"power_property = {json.dumps(p.power)}")
        most = f", at most {self.limits[1]:g}" if self.limits else ""
        lines.append(f"# max_power = ...  # your cap in {p.unit}{most}; never armed without it")
        return "\n".join(lines)


def devices_of(core: CMMCorePlus) -> Iterator[LoadedDevice]:
    """Yield all devices but the core itself."""
    for label in core.getLoadedDevices():
        kind = core.getDeviceType(label)
        if kind == DeviceType.Core:
            continue
        facts = facts_of(core, str(label))
        yield LoadedDevice(
            facts.label,
            facts.library,
            facts.device,
            kind.name.removesuffix("Device"),
            _AXES.get(kind, ()),
        )


def lasers_of(core: CMMCorePlus) -> Iterator[FoundLaser]:
    """Yield every laser that a preset fits."""
    taken: set[str] = set()
    for device in devices_of(core):
        facts = facts_of(core, device.label)
        preset = preset_of(facts.library, facts.device)
        if preset is None:
            continue
        lines = lines_of(preset, facts.properties)
        for line, power in lines.items():
            settings = LaserSettings(device=device.label, power_property=power)
            try:
                properties = resolve(facts, settings, hub=hub_of(core, device.label))
            except RtsmlmError:
                continue  # another device of this adapter, without emission of its own
            name = _free_name(f"{device.label}_{line}" if len(lines) > 1 else device.label, taken)
            yield _look(core, name, properties, several=len(lines) > 1)


def _look(core: CMMCorePlus, name: str, p: LaserProperties, *, several: bool) -> FoundLaser:
    owner = f"laser {name}"
    try:
        limits = SteadyPower(core, owner, p, None).limits()
    except DeviceError:
        limits = None
    return FoundLaser(
        name,
        p,
        limits,
        _said(core, owner, p.device, p.power),
        _said(core, owner, p.device, p.on) if p.on else "",
        {f.property: _said(core, owner, f.device, f.property) for f in p.faults},
        several,
    )


def _said(core: CMMCorePlus, owner: str, device: str, name: str) -> str:
    try:
        return get_text(core, owner, device, name)
    except DeviceError as error:
        return str(error)


def _free_name(label: str, taken: set[str]) -> str:
    name = plain = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_") or "laser"
    number = 2
    while name in taken:
        name, number = f"{plain}_{number}", number + 1
    taken.add(name)
    return name
