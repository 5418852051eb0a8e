"""What a Micro-Manager core knows of a device without asking the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rtsmlm.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """A device, its adapter and its properties."""

    label: str
    library: str
    device: str
    """Name of the device in its adapter."""
    properties: Mapping[str, tuple[str, ...]]
    """The values that each property allows; empty where any will do."""


def facts_of(core: Any, label: str) -> DeviceFacts:
    """Return what the core knows of a device.

    Raises
    ------
    ConfigError
        If no device of this label is loaded.
    """
    loaded = [str(other) for other in core.getLoadedDevices()]
    if label not in loaded:
        raise ConfigError(
            f"no device {label!r} is loaded; the configuration has {', '.join(loaded) or 'none'} "
            "(see rtsmlm devices)"
        )
    return DeviceFacts(
        label,
        str(core.getDeviceLibrary(label)),
        str(core.getDeviceName(label)),
        {
            str(name): tuple(str(v) for v in core.getAllowedPropertyValues(label, name))
            for name in core.getDevicePropertyNames(label)
        },
    )


def hub_of(core: Any, label: str) -> DeviceFacts | None:
    """Return what the core knows of the hub of a device; None if it has none."""
    try:
        hub = str(core.getParentLabel(label))
        return facts_of(core, hub) if hub else None
    except Exception:  # some cores know no hubs, and some devices name one that is not there
        return None
