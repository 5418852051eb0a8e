"""Which properties of a device make it a laser: a preset, or the settings in its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rtsmlm.drivers.micromanager.device_facts import DeviceFacts
from rtsmlm.drivers.micromanager.laser_presets import (
    LINE,
    LaserPreset,
    all_presets,
    preset_named,
    preset_of,
)
from rtsmlm.errors import ConfigError
from rtsmlm.settings.lasers import LaserSettings

_LINE_PATTERN = r"(\d+(?:_\d+)?)"


@dataclass(frozen=True, slots=True)
class Fault:
    """A property that reports a fault, and its value when there is none."""

    device: str
    property: str
    ok_values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LaserProperties:
    """What the properties of one laser mean."""

    device: str
    preset: str
    """Name of the preset, "none" if there is none."""
    power: str
    unit: str
    on: str | None = None
    on_value: str = ""
    off_value: str = ""
    readback: str | None = None
    faults: tuple[Fault, ...] = ()
    least: str | None = None
    most: str | None = None
    limits_factor: float = 1.0
    pulse_device: str = ""
    pulse: str | None = None
    """Property with the pulse length per frame in us."""
    shutter: str | None = None
    turns_off: bool | None = None
    simulated: bool = False
    outlives_process: bool = True
    note: str = ""


def resolve(
    device: DeviceFacts,
    settings: LaserSettings,
    *,
    hub: DeviceFacts | None = None,
    pulse_device: DeviceFacts | None = None,
) -> LaserProperties:
    """Work out which properties a laser has; what the settings state wins over its preset.

    Parameters
    ----------
    device
        The device that is the laser.
    settings
        What the user states of it.
    hub
        The hub that it hangs on.
    pulse_device
        The device with the pulse length, if another one.

    Raises
    ------
    ConfigError
        If there is no such preset, the device has no such property or the property no such
        value, or if several lasers of the device fit.
    """
    preset = _preset(device, settings)
    power, line = _power(device, settings, preset)
    unit = _unit(device, settings, preset, power)
    on, on_value, off_value = _switch(device, settings, preset, line)
    pulses = pulse_device or device
    if settings.pulse_property is not None:
        _demand(pulses, settings.pulse_property, "pulse_property")
    found = _presets_own(device, preset, line, unit)
    if settings.readback_property is not None:
        _demand(device, settings.readback_property, "readback_property")
    return LaserProperties(
        device=device.label,
        preset=preset.name if preset else "none",
        power=power,
        unit=unit,
        on=on,
        on_value=on_value,
        off_value=off_value,
        readback=settings.readback_property or found.get("readback"),
        faults=_faults(device, hub, settings, preset),
        least=found.get("least"),
        most=found.get("most"),
        limits_factor=preset.limits_factor if preset else 1.0,
        pulse_device=pulses.label,
        pulse=settings.pulse_property,
        shutter=settings.shutter,
        turns_off=preset.turns_off if preset else None,
        simulated=preset is not None and preset.simulated,
        outlives_process=preset is None or preset.outlives_process,
        note=preset.note if preset else "",
    )


def lines_of(preset: LaserPreset, properties: Mapping[str, Any]) -> dict[str, str]:
    """Return the power property of each laser of a device, by its line ("" for the only one)."""
    for template in preset.power:
        if LINE not in template:
            if template in properties:
                return {"": template}
            continue
        pattern = re.compile(re.escape(template).replace(re.escape(LINE), _LINE_PATTERN))
        found = {m[1]: name for name in properties if (m := pattern.fullmatch(name))}
        if found:
            return found
    return {}


def same_value(one: object, other: object) -> bool:
    """Return True if two values of a property mean the same: 1 and "1.0000", OK and Ok."""
    a, b = str(one).strip(), str(other).strip()
    if a.casefold() == b.casefold():
        return True
    try:
        return float(a) == float(b)
    except ValueError:
        return False


def _preset(device: DeviceFacts, settings: LaserSettings) -> LaserPreset | None:
    if settings.preset == "none":
        return None
    if settings.preset != "auto":
        if named := preset_named(settings.preset):
            return named
        there = ", ".join(preset.name for preset in all_presets())
        raise ConfigError(
            f"laser {device.label}: no preset {settings.preset!r}; there are auto, none, {there}"
        )
    return preset_of(device.library, device.device)


def _power(
    device: DeviceFacts, settings: LaserSettings, preset: LaserPreset | None
) -> tuple[str, str]:
    stated = settings.power_property
    if stated is not None:
        _demand(device, stated, "power_property")
        lines = lines_of(preset, device.properties) if preset else {}
        return stated, next((line for line, name in lines.items() if name == stated), "")
    if preset is None:
        raise ConfigError(
            f"laser {device.label}: no preset fits {device.device} of {device.library}; state "
            f"power_property and on_property, of {_listed(device)}"
        )
    lines = lines_of(preset, device.properties)
    if len(lines) > 1:
        raise ConfigError(
            f"laser {device.label} holds several lasers; state power_property, one of "
            f"{', '.join(lines.values())}"
        )
    for line, name in lines.items():
        return name, line
    raise ConfigError(
        f"laser {device.label}: preset {preset.name} expects {' or '.join(preset.power)}, but "
        f"the device has {_listed(device)}; state power_property"
    )


def _unit(
    device: DeviceFacts, settings: LaserSettings, preset: LaserPreset | None, power: str
) -> str:
    unit: str | None = settings.power_unit or (preset.unit if preset else None)
    if unit is None:
        raise ConfigError(f"laser {device.label}: state power_unit, no preset gives it")
    if settings.power_unit is None and power.endswith("[%]"):
        unit = "%"
    if unit == "us" and settings.pulse_property is not None:
        raise ConfigError(
            f"laser {device.label}: {power} is a pulse length itself, leave pulse_property out"
        )
    return unit


def _switch(
    device: DeviceFacts, settings: LaserSettings, preset: LaserPreset | None, line: str
) -> tuple[str | None, str, str]:
    own = settings.on_property is None and preset is not None
    name = settings.on_property
    if own and preset is not None:
        name = _filled(preset.on, line, device)
        if name is None and preset.on:
            raise ConfigError(
                f"laser {device.label}: preset {preset.name} expects "
                f"{' or '.join(preset.on)} to switch emission, but the device has "
                f"{_listed(device)}; state on_property"
            )
    if name is None:
        return None, "", ""
    _demand(device, name, "on_property")
    on = (settings.on_value,) if settings.on_value is not None else _values(preset, own, "on")
    off = (settings.off_value,) if settings.off_value is not None else _values(preset, own, "off")
    if not on or not off:
        raise ConfigError(f"laser {device.label}: state on_value and off_value of {name}")
    return name, _allowed(device, name, on), _allowed(device, name, off)


def _values(preset: LaserPreset | None, own: bool, which: str) -> tuple[str, ...]:
    if preset is None or not own:
        return ()
    return preset.on_values if which == "on" else preset.off_values


def _allowed(device: DeviceFacts, name: str, wanted: tuple[str, ...]) -> str:
    """Return the wanted value as the device writes it."""
    there = device.properties[name]
    if not there:
        # Without a list of values it is a number, where a preset knows one.
        return next((value for value in reversed(wanted) if value.isdigit()), wanted[0])
    for value in wanted:
        for own in there:
            if same_value(value, own):
                return own
    raise ConfigError(
        f"laser {device.label}: {name} takes {', '.join(there)}, not {' or '.join(wanted)}; "
        "state on_value and off_value"
    )


def _faults(
    device: DeviceFacts,
    hub: DeviceFacts | None,
    settings: LaserSettings,
    preset: LaserPreset | None,
) -> tuple[Fault, ...]:
    stated = settings.interlock_property
    if stated is not None:
        _demand(device, stated, "interlock_property")
        if not settings.ok_values:
            raise ConfigError(f"laser {device.label}: state ok_values of {stated}")
        return (Fault(device.label, stated, settings.ok_values),)
    faults: list[Fault] = []
    for fault in preset.faults if preset else ():
        where = hub if fault.of_hub else device
        name = _filled(fault.names, "", where) if where else None
        if where is not None and name is not None:
            ok = settings.ok_values if settings.ok_values and not faults else fault.ok_values
            faults.append(Fault(where.label, name, ok))
    return tuple(faults)


def _presets_own(
    device: DeviceFacts, preset: LaserPreset | None, line: str, unit: str
) -> dict[str, str]:
    # What is stated in mW is of no use to a power that is set in %.
    if preset is None or preset.unit != unit:
        return {}
    names = {"readback": preset.readback, "least": preset.least, "most": preset.most}
    found = {key: _filled(several, line, device) for key, several in names.items()}
    return {key: name for key, name in found.items() if name is not None}


def _filled(templates: tuple[str, ...], line: str, device: DeviceFacts) -> str | None:
    names = (template.replace(LINE, line) for template in templates)
    return next((name for name in names if name in device.properties), None)


def _demand(device: DeviceFacts, name: str, setting: str) -> None:
    if name not in device.properties:
        raise ConfigError(
            f"device {device.label} has no property {name!r} ({setting}); it has {_listed(device)}"
        )


def _listed(device: DeviceFacts) -> str:
    return ", ".join(device.properties) or "no properties"
