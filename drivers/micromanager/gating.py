"""Whether the lasers are gated by the exposure signal of the camera, as far as a rig tells.

A laser that the exposure signal switches is dark whenever the camera is idle, whatever all programs
do. No software can see the cable: what is found here are settings without which there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pymmcore_plus import CMMCorePlus

from rtsmlm.settings.lasers import LaserSettings

PAGE = "docs/safety.md"
_MODULATION = re.compile(r"modulation|ext(ernal|\.)?[ _-]?trig|ttl|operating.?mode", re.IGNORECASE)
_IS_ON = re.compile(r"digital|ttl|ext|trig|gate|mixed|enable|^on$|^1$", re.IGNORECASE)
_IS_OFF = re.compile(r"off|disable|^cw|constant|internal|no trig|^0$", re.IGNORECASE)
_CAMERA_OUT = re.compile(r"out(put)?.?trig|trig\w*.?out|expose.?out|aux\w*.?out", re.IGNORECASE)
_CONTROLLERS = (
    "MicroFPGA",
    "TriggerScope",
    "TriggerScopeMM",
    "Arduino",
    "Teensy",
    "NIDAQ",
    "ESP32",
)
_TRIGGERS_BY_EXPOSURE = "MicroFPGA"
"""Its laser pulses begin with the exposure signal by design."""


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device of a configuration and what its properties are set to, as far as that is known."""

    library: str
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gating:
    """What is known of the gating of some lasers."""

    gated: Mapping[str, str]
    """By laser: which setting makes it follow a signal."""
    not_known: tuple[str, ...]
    controllers: tuple[str, ...] = ()
    """Adapters of hardware that could switch a laser by a signal."""
    camera_output: str = ""
    """Property of the camera that sets what its trigger output shows, and its value."""

    @property
    def sentence(self) -> str:
        """One sentence for a person: what the rig has, and what is recommended."""
        parts = []
        if self.gated:
            found = ", ".join(f"{name} ({why})" for name, why in self.gated.items())
            parts.append(f"{found}: see it dark while the camera is idle")
        if self.not_known:
            could = f", though {' and '.join(self.controllers)} could do it"
            names = ", ".join(self.not_known) + (could if self.controllers else "")
            parts.append(
                f"not known for {names}: let the exposure output of the camera switch the laser, "
                f"which is dark then whatever all programs do ({PAGE})"
            )
        if self.camera_output:
            parts.append(f"the camera has {self.camera_output}")
        return "; ".join(parts) or "no lasers are configured"


def gating_of(
    devices: Mapping[str, DeviceState], lasers: Mapping[str, LaserSettings], camera: str = ""
) -> Gating:
    """Work out which lasers follow a signal.

    Parameters
    ----------
    devices
        By label.
    lasers
        Those of the settings.
    camera
        Label of the camera, where it is known.
    """
    gated = {name: why for name, laser in lasers.items() if (why := _why_gated(devices, laser))}
    libraries = {state.library for state in devices.values()}
    outputs = [
        f"{name} = {value}"
        for name, value in _properties(devices, camera).items()
        if _CAMERA_OUT.search(name)
    ]
    return Gating(
        gated=gated,
        not_known=tuple(name for name in lasers if name not in gated),
        controllers=tuple(name for name in _CONTROLLERS if name in libraries),
        camera_output=outputs[0] if outputs else "",
    )


def _why_gated(devices: Mapping[str, DeviceState], laser: LaserSettings) -> str:
    for label in (laser.device, laser.pulse_device):
        state = devices.get(label or "")
        if state is not None and state.library == _TRIGGERS_BY_EXPOSURE:
            return f"pulses of {_TRIGGERS_BY_EXPOSURE}"
    for name, value in _properties(devices, laser.device).items():
        if _MODULATION.search(name) and _IS_ON.search(value) and not _IS_OFF.search(value):
            return f"{name} = {value}"
    return ""


def _properties(devices: Mapping[str, DeviceState], label: str) -> Mapping[str, str]:
    state = devices.get(label)
    return {} if state is None else state.properties


def devices_of_text(
    text: str, properties: Mapping[str, object] | None = None
) -> dict[str, DeviceState]:
    """Return the devices of a configuration file, without loading it.

    Parameters
    ----------
    text
        The file.
    properties
        What the settings set besides, by "Device.Property".
    """
    fields = [line.strip().removeprefix("#py ").split(",") for line in text.splitlines()]
    values: dict[str, dict[str, str]] = {}
    for f in fields:
        if f[0] == "Property" and len(f) > 3:
            values.setdefault(f[1], {})[f[2]] = f[3]
        if f[:3] == ["ConfigGroup", "System", "Startup"] and len(f) > 5:
            values.setdefault(f[3], {})[f[4]] = f[5]
    for key, value in (properties or {}).items():
        label, _, name = key.partition(".")
        values.setdefault(label, {})[name] = str(value)
    return {
        f[1]: DeviceState(f[2], values.get(f[1], {}))
        for f in fields
        if f[0] in {"Device", "pyDevice"} and len(f) > 3
    }


def devices_of_core(core: CMMCorePlus, asked: Iterable[str]) -> dict[str, DeviceState]:
    """Return the loaded devices; some are asked for those of their properties that matter here."""
    return {
        str(label): DeviceState(
            str(core.getDeviceLibrary(label)),
            _asked(core, label, _names(core, label)) if label in set(asked) else {},
        )
        for label in core.getLoadedDevices()
        if label != "Core"
    }


def _names(core: CMMCorePlus, label: str) -> list[str]:
    names = [str(name) for name in core.getDevicePropertyNames(label)]
    return [name for name in names if _MODULATION.search(name) or _CAMERA_OUT.search(name)]


def _asked(core: CMMCorePlus, label: str, names: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in names:
        with suppress(Exception):  # vendor code; what does not answer is not known
            found[name] = str(core.getProperty(label, name))
    return found
