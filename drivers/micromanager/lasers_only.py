"""Lasers of a configuration and nothing else: a core for them, made from a text in memory.

What the sentinel needs at the worst moment is read before: no file is opened here but by
`read_configuration` and `configuration_of`, which are called before a laser is armed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pymmcore_plus import CMMCorePlus
from pymmcore_plus.experimental.unicore.core._config import load_from_string

from rtsmlm.drivers.micromanager.adapters import make_core
from rtsmlm.drivers.micromanager.core import check_modules, release_core
from rtsmlm.drivers.micromanager.library_log import refuse_logged_failures
from rtsmlm.errors import DeviceError
from rtsmlm.plugins import CoreSource
from rtsmlm.settings.camera import MicroManagerSettings
from rtsmlm.settings.lasers import LaserSettings
from rtsmlm.settings.load import packaged

OURS = "micromanager"
"""Driver of a laser that is found on a core; others need no configuration."""


@dataclass(frozen=True, slots=True)
class LaserConfiguration:
    """A Micro-Manager configuration in memory; plain data."""

    text: str
    source: str
    """Where it is from, for messages."""
    adapter_paths: tuple[str, ...] = ()
    python_modules: tuple[str, ...] = ()
    """Modules of Python devices that may be imported beside our own."""


def read_configuration(micromanager: MicroManagerSettings) -> LaserConfiguration:
    """Read the configuration file that the settings name.

    Raises
    ------
    ConfigError
        If there is none.
    DeviceError
        If it cannot be read.
    """
    path = Path(micromanager.config)
    path = path if path.is_file() else packaged(micromanager.config)
    folders = tuple(str(folder) for folder in micromanager.adapter_paths)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DeviceError(f"the configuration {path} cannot be read: {error}") from error
    return LaserConfiguration(text, str(path), folders, tuple(micromanager.python_modules))


def configuration_of(core: CMMCorePlus, like: LaserConfiguration) -> LaserConfiguration:
    """Return the configuration of a core as it is, for a program that has loaded no file.

    Adapters and modules are found where they are for another configuration.

    Raises
    ------
    DeviceError
        If the core cannot write it.
    """
    with tempfile.TemporaryDirectory(prefix="rtsmlm-") as folder:
        path = Path(folder) / "core.cfg"
        try:
            core.saveSystemConfiguration(str(path))
            text = path.read_text(encoding="utf-8")
        except Exception as error:  # adapters raise whatever they like
            reason = " ".join(str(error).split())
            raise DeviceError(f"the core cannot write its configuration: {reason}") from error
    return replace(like, text=text, source="the core of this program")


def labels_of(laser: LaserSettings) -> set[str]:
    """Return the labels of all devices that a laser names."""
    named = (laser.device, laser.shutter, laser.pulse_device)
    return {label for label in named if label is not None}


def names_devices(configuration: LaserConfiguration, labels: Iterable[str]) -> bool:
    """Tell whether all devices of these labels are in the configuration."""
    return set(labels) <= _devices(_fields(configuration.text))


def lasers_alone(text: str, labels: Iterable[str]) -> str:
    """Return the part of a Micro-Manager configuration that loads some devices and sets nothing.

    Hubs and ports on which they depend are kept, with what must be set before they start.

    Parameters
    ----------
    text
        A configuration file.
    labels
        Labels of the devices.
    """
    wanted = devices_needed(text, labels)
    fields = _fields(text)
    before = _n_before_start(fields)
    lines = [line.strip() for line in text.splitlines()]
    kept = [
        line
        for k, (line, f) in enumerate(zip(lines, fields, strict=True))
        if f[:3] == ["Property", "Core", "Initialize"]
        or (len(f) > 1 and f[1] in wanted and (f[0] in {"Device", "pyDevice", "Parent"}))
        or (f[0] == "Property" and k < before and len(f) > 1 and f[1] in wanted)
    ]
    return "\n".join(kept) + "\n"


def devices_needed(text: str, labels: Iterable[str]) -> set[str]:
    """Return the labels of devices with those of the hubs and ports on which they depend."""
    fields = _fields(text)
    devices, before = _devices(fields), _n_before_start(fields)
    wanted = set(labels)
    while True:
        hubs = {f[2] for f in fields if f[0] == "Parent" and len(f) > 2 and f[1] in wanted}
        ports = {
            f[3]
            for f in fields[:before]
            if f[0] == "Property" and len(f) > 3 and f[1] in wanted and f[3] in devices
        }
        if (more := wanted | hubs | ports) == wanted:
            return wanted
        wanted = more


def loaded_together(
    configuration: LaserConfiguration, lasers: Mapping[str, LaserSettings]
) -> list[dict[str, LaserSettings]]:
    """Return lasers in groups that share a hub or a port; no two groups have a device in common."""
    groups: list[tuple[set[str], dict[str, LaserSettings]]] = []
    for name, laser in lasers.items():
        if laser.driver == OURS:
            needed = devices_needed(configuration.text, labels_of(laser))
        else:
            needed = {f"{laser.driver}:{laser.device}"}
        members = {name: laser}
        apart = []
        for devices, others in groups:
            if devices & needed:
                needed, members = needed | devices, {**others, **members}
            else:
                apart.append((devices, others))
        groups = [*apart, (needed, members)]
    return [members for _, members in groups]


def _fields(text: str) -> list[list[str]]:
    return [line.strip().removeprefix("#py ").strip().split(",") for line in text.splitlines()]


def _devices(fields: Iterable[list[str]]) -> set[str]:
    return {f[1] for f in fields if f[0] in {"Device", "pyDevice"} and len(f) > 1}


def _n_before_start(fields: list[list[str]]) -> int:
    """Return how many lines come before the devices are started."""
    begins = [k for k, f in enumerate(fields) if f[:4] == ["Property", "Core", "Initialize", "1"]]
    return begins[0] if begins else len(fields)


@contextmanager
def core_of_lasers(
    configuration: LaserConfiguration, lasers: Iterable[LaserSettings]
) -> Iterator[CoreSource]:
    """Give out a core that holds the lasers and nothing else, and release it in the end.

    It is loaded when the first driver asks for it: lasers with a driver of their own need no
    Micro-Manager. One that cannot be loaded raises `RtsmlmError` to everyone who asks.

    Parameters
    ----------
    configuration
        That of the whole microscope.
    lasers
        Those to be loaded, with their shutters and pulse devices.
    """
    labels = {label for laser in lasers if laser.driver == OURS for label in labels_of(laser)}
    loaded: list[CMMCorePlus | Exception] = []

    def core() -> CMMCorePlus:
        if not loaded:
            try:
                loaded.append(_load(configuration, labels))
            except Exception as error:  # drivers raise what they like; no second try takes as long
                loaded.append(error)
        if isinstance(loaded[0], Exception):
            raise loaded[0]
        return loaded[0]

    try:
        yield core
    finally:
        if loaded and not isinstance(loaded[0], Exception):
            release_core(loaded[0])


def _load(configuration: LaserConfiguration, labels: Iterable[str]) -> CMMCorePlus:
    text = lasers_alone(configuration.text, labels)
    core = make_core(configuration.adapter_paths)
    try:
        check_modules(core, text, configuration.python_modules)
        with refuse_logged_failures():
            load_from_string(core, text, configuration.source)
    except Exception as error:  # adapters and Python devices raise whatever they like
        release_core(core)
        reason = " ".join(str(error).split())
        raise DeviceError(
            f"the lasers of {configuration.source} could not be loaded: {reason}"
        ) from error
    return core
