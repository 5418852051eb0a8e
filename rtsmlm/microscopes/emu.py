"""Which properties are which laser, by an EMU configuration (`.uicfg`) of Micro-Manager.

EMU maps the controls of a window, such as those of htSMLM, to device properties: "Laser 0 power
percentage" to "Luxx405-Power", with the values of "Laser 0 enable" beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from rtsmlm.errors import ConfigError

_UNALLOCATED = {"", "Unallocated", "None", "Enter value"}
_MOST_BYTES = 8 << 20
_LASER = re.compile(r"Laser (\d+) (.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EmuLaser:
    """A laser of an EMU configuration; what is not allocated is empty."""

    number: int
    title: str
    """What the window calls it, such as 405."""
    device: str
    """Label of its device."""
    power: str
    """Property of that device that sets the power."""
    on: str
    """Property of that device that switches emission."""
    on_value: str
    off_value: str


def read_emu(path: Path, labels: Collection[str] = ()) -> list[EmuLaser]:
    """Return the lasers of an EMU configuration: of its default one, else of its first.

    Parameters
    ----------
    path
        The file.
    labels
        Labels of the devices, where they are known: properties are written "Device-Property", and
        both may hold hyphens.

    Raises
    ------
    ConfigError
        If it cannot be read, or is no such file.
    """
    found = _configuration(path)
    properties = _texts(found.get("properties"))
    parameters = _texts(found.get("parameters"))
    controls: dict[int, dict[str, str]] = {}
    for key, value in properties.items():
        if (match := _LASER.fullmatch(key)) and value not in _UNALLOCATED:
            controls.setdefault(int(match[1]), {})[match[2].lower()] = value
    lasers = []
    for number, of_laser in sorted(controls.items()):
        device, power = _split(of_laser.get("power percentage", ""), labels)
        switch, on = _split(of_laser.get("enable", of_laser.get("operation", "")), labels)
        if not device and not switch:
            continue
        key = "enable" if "enable" in of_laser else "operation"
        is_same = not device or not switch or device == switch
        lasers.append(
            EmuLaser(
                number,
                parameters.get(
                    f"Laser {number} - Name", parameters.get(f"Laser {number} - Title", "")
                ),
                device or switch,
                power,
                on if is_same else "",
                of_laser.get(f"{key} - on value", "") if is_same else "",
                of_laser.get(f"{key} - off value", "") if is_same else "",
            )
        )
    return lasers


def emu_sections(lasers: Collection[EmuLaser]) -> dict[str, dict[str, str]]:
    """Return the sections [lasers] of the settings that the lasers of a configuration are."""
    sections: dict[str, dict[str, str]] = {}
    for laser in lasers:
        name = re.sub(r"[^a-z0-9]+", "_", laser.title.lower()).strip("_")
        name = f"laser_{name}" if name[:1].isdigit() else name or f"laser_{laser.number}"
        section = {"device": laser.device}
        if laser.power:
            section["power_property"] = laser.power
        if laser.on and laser.on_value and laser.off_value:
            section |= {
                "on_property": laser.on,
                "on_value": laser.on_value,
                "off_value": laser.off_value,
            }
        sections[name if name not in sections else f"{name}_{laser.number}"] = section
    return sections


def _configuration(path: Path) -> Mapping[str, object]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes")
        raw = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        found = [one for one in raw["pluginConfigurations"] if isinstance(one, dict)]
        default = raw.get("defaultConfigurationName")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"cannot read the EMU configuration {path}: {error}") from error
    if not found:
        raise ConfigError(f"the EMU configuration {path} holds none of a plugin; save one in EMU")
    return next((one for one in found if one.get("configurationName") == default), found[0])


def _texts(value: object) -> dict[str, str]:
    items = value.items() if isinstance(value, Mapping) else ()
    return {str(k): str(v).strip() for k, v in items}


def _split(text: str, labels: Collection[str]) -> tuple[str, str]:
    """Return device and property of "Device-Property"."""
    for label in sorted(labels, key=len, reverse=True):
        if text.startswith(f"{label}-"):
            return label, text.removeprefix(f"{label}-")
    device, _, name = text.partition("-")
    return (device, name) if name else ("", "")
