"""Setting up a Micro-Manager core: adapters, configuration, properties, calibration."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pymmcore
from pymmcore_plus import CMMCorePlus, DeviceType
from pymmcore_plus.experimental.unicore import UniMMCore

from rtsmlm.calibration import StatedCalibration, UsualValue
from rtsmlm.drivers.micromanager.adapters import adapter_advice, make_core
from rtsmlm.drivers.micromanager.library_log import refuse_logged_failures
from rtsmlm.errors import ConfigError, DeviceError, sentence
from rtsmlm.microscopes.usual import is_objective, usual_values
from rtsmlm.settings.camera import MicroManagerSettings
from rtsmlm.settings.load import packaged

logger = logging.getLogger(__name__)

_PY_PREFIX = "#py "

_STATED_PROPERTIES = {
    "pixel_nm": "PixelSize_nm",
    "offset_adu": "Offset_ADU",
    "e_per_adu": "ElectronsPerADU",
    "em_gain": "EMGain",
    "read_noise_e": "ReadNoise_e",
}
# The demo camera of Micro-Manager draws photons and read noise only in this mode.
_DEMO_NOISE_PROPERTIES = {
    "e_per_adu": "Photon Conversion Factor",
    "read_noise_e": "ReadNoise (electrons)",
}


def load_core(settings: MicroManagerSettings) -> UniMMCore:
    """Create a core and load a configuration with C++ or Python devices into it.

    Raises
    ------
    ConfigError
        If there is no such configuration file.
    DeviceError
        If an adapter or a device cannot be loaded, or would come from a Python module that
        `micromanager.python_modules` does not name; nothing is imported then.
    """
    for folder in settings.adapter_paths:
        if not folder.is_dir():
            raise DeviceError(
                f"micromanager.adapter_paths names {folder}, which is no folder; name the "
                "folder of Micro-Manager, or none to have it found"
            )
    path = Path(settings.config)
    if not path.is_file():
        path = packaged(settings.config)
    core = make_core(settings.adapter_paths)
    text = ""
    try:
        text = path.read_text()
        check_modules(core, text, settings.python_modules)
        with refuse_logged_failures():
            core.loadSystemConfiguration(str(path.resolve()))
    except Exception as error:  # adapters and Python devices raise whatever they like
        release_core(core)
        advice = adapter_advice(settings.adapter_paths, text)
        reason = f"Micro-Manager could not load {path}: {_one_line(error)}"
        raise DeviceError(f"{reason}. {advice}" if advice else reason) from error
    return core


def check_modules(core: UniMMCore, text: str, python_modules: Iterable[str]) -> None:
    """Raise `DeviceError` if a configuration would import a Python module that is not allowed.

    pymmcore-plus imports what a line names as its library, with or without `#py`, wherever no
    device adapter of that name is found; so this is checked before the first line is carried out.
    """
    adapters = set(core.getDeviceAdapterNames())
    allowed = ("rtsmlm", *python_modules)
    # Read, cut into lines and taken apart as pymmcore-plus does it, or lines would escape.
    for number, found in enumerate(text.splitlines(), start=1):
        line = found.strip().removeprefix(_PY_PREFIX).lstrip()
        kind, *values = line.split(",")
        if kind not in {"Device", "pyDevice"} or len(values) < 2 or values[1] in adapters:
            continue
        module = values[1]
        if any(module == name or module.startswith(f"{name}.") for name in allowed):
            continue
        raise DeviceError(
            f"line {number}: device {values[0]!r} needs the device adapter {module!r}, which is "
            "not found here (a Python module of that name must be named in "
            "micromanager.python_modules before it may run)"
        )


def as_core(core: object) -> CMMCorePlus:
    """Return what a `CoreSource` gave, once it is known to be a Micro-Manager core.

    Raises
    ------
    ConfigError
        If it is not a Micro-Manager core.
    """
    if not isinstance(core, CMMCorePlus):
        raise ConfigError(
            f"a Micro-Manager core is needed, but the camera belongs to {core!r}; use a driver "
            "that needs none, or a camera of Micro-Manager"
        )
    return core


def release_core(core: CMMCorePlus) -> None:
    """Unload all devices of a core; a device that refuses is logged, not raised."""
    try:
        core.unloadAllDevices()
        # The core notifies its listeners from a thread of its own. If that still talks to
        # Python while the interpreter ends, the process aborts.
        pymmcore.CMMCore.registerCallback(core, None)
    except Exception as error:  # the last step: nothing more can be done
        logger.warning("devices could not be unloaded: %s", _one_line(error))


def choose_camera(core: CMMCorePlus, label: str | None) -> str:
    """Make the camera of this label current, or return the label of the current one.

    Raises
    ------
    DeviceError
        If there is no such camera, or none at all.
    """
    current = str(core.getCameraDevice())
    if label is None and current:
        return current
    cameras = [str(c) for c in core.getLoadedDevicesOfType(DeviceType.Camera)]
    if label is None or label not in cameras:
        wanted = f"camera {label!r}" if label else "current camera"
        raise DeviceError(
            f"the Micro-Manager core has no {wanted}; its cameras: "
            f"{', '.join(cameras) or 'none'} (micromanager.camera)"
        )
    if label != current:
        try:
            core.setCameraDevice(label)
        except Exception as error:  # vendor code
            raise DeviceError(
                f"{label!r} cannot become the current camera: {_one_line(error)}"
            ) from error
    return label


def set_properties(core: CMMCorePlus, properties: Mapping[str, str | float | int | bool]) -> None:
    """Set device properties in their order.

    Parameters
    ----------
    core
        The core whose devices are meant.
    properties
        Values by "Device.Property"; labels and names may hold stops themselves.

    Raises
    ------
    DeviceError
        If there is no such property or the device refuses the value; names what it allows.
    """
    for key, value in properties.items():
        label, name = _split(core, key)
        text = str(int(value)) if isinstance(value, bool) else str(value)
        try:
            # The core itself takes a value for either and does nothing with it.
            if core.isPropertyReadOnly(label, name):
                raise ValueError("it cannot be set")
            if core.isPropertyPreInit(label, name):
                raise ValueError("it must be set before the device starts, in the .cfg file")
            before = core.getProperty(label, name)
            core.setProperty(label, name, text)
        except Exception as error:  # vendor code
            raise DeviceError(
                f"property {key} refused the value {text!r}{_allowed(core, label, name)}: "
                f"{_one_line(error)}"
            ) from error
        logger.info("%s: %s -> %s", key, before, text)


def stated_calibration(core: CMMCorePlus, camera: str) -> StatedCalibration:
    """Return the calibration from the camera's properties and the core's pixel size."""
    wanted = dict(_STATED_PROPERTIES)
    there = set(core.getDevicePropertyNames(camera))
    is_demo = _text(lambda: core.getDeviceLibrary(camera)) == "DemoCamera"
    if is_demo and _text(lambda: core.getProperty(camera, "Mode")) == "Noise":
        wanted |= _DEMO_NOISE_PROPERTIES
    stated: dict[str, float] = {}
    for field, name in wanted.items():
        if name in there:
            # A comma stands for the stop in adapters that print numbers in the local way.
            with suppress(ValueError):
                stated[field] = float(str(core.getProperty(camera, name)).replace(",", "."))
    if "pixel_nm" not in stated:
        with suppress(Exception):  # no pixel size is no fault
            stated["pixel_nm"] = float(core.getPixelSizeUm()) * 1000
    binning = _text(lambda: core.getProperty(camera, "Binning"))
    region = None
    if binning in ("", "1", "1x1"):  # of binned pixels, adapters state it in either kind of pixel
        with suppress(Exception):  # no region is no fault
            x, y, width, height = (int(side) for side in core.getROI(camera))
            region = (x, y, width, height)
    binned = re.fullmatch(r"(\d+)x(\d+)", binning)
    if binned is not None and "pixel_nm" in stated and binned[1] != binned[2]:
        # The core multiplies its pixel size by one number; which one, the adapter decides.
        side_nm = stated["pixel_nm"] / min(int(binned[1]), int(binned[2]))
        stated["pixel_nm"] = side_nm * int(binned[1])
        stated["pixel_height_nm"] = side_nm * int(binned[2])
    side = int(binned[1]) if binned is not None else int(binning) if binning.isdigit() else 1
    usual = _usual(core, camera, max(side, 1))
    return StatedCalibration(**stated, region=region, parts=(), usual=usual)


def _usual(core: CMMCorePlus, camera: str, binning: int) -> tuple[UsualValue, ...]:
    """Return what cameras of this model have, by the microscope database."""
    tags = {
        f"{camera}-{name}": _text(partial(core.getProperty, camera, name))
        for name in core.getDevicePropertyNames(camera)
    }
    for label in filter(is_objective, core.getLoadedDevices()):
        if "Label" in core.getDevicePropertyNames(label):
            tags[f"{label}-Label"] = _text(partial(core.getProperty, label, "Label"))
    adapter = (
        _text(lambda: core.getDeviceLibrary(camera)),
        _text(lambda: core.getDeviceName(camera)),
        _text(lambda: core.getDeviceDescription(camera)),
    )
    return usual_values(camera, tags, binning=binning, more_names=adapter)


def describe_camera(core: CMMCorePlus, camera: str) -> dict[str, str]:
    """Return names, versions and all properties of a camera, as text."""
    facts: dict[str, Callable[[], Any]] = {
        "camera": lambda: camera,
        "adapter": lambda: core.getDeviceLibrary(camera),
        "device": lambda: core.getDeviceName(camera),
        "description": lambda: core.getDeviceDescription(camera),
        "core": core.getVersionInfo,
        "device interface": core.getAPIVersionInfo,
        "exposure_ms": lambda: core.getExposure(camera),
        "binning": lambda: core.getProperty(camera, "Binning"),
        "roi": lambda: ", ".join(str(v) for v in core.getROI(camera)),
        "circular_buffer_mb": core.getCircularBufferMemoryFootprint,
    }
    text = {name: _text(fact) for name, fact in facts.items()}
    for name in core.getDevicePropertyNames(camera):
        text[f"{camera}.{name}"] = _text(partial(core.getProperty, camera, name))
    return text


def _split(core: CMMCorePlus, key: str) -> tuple[str, str]:
    labels = sorted(core.getLoadedDevices(), key=len, reverse=True)
    for label in labels:
        if key.startswith(f"{label}."):
            name = key[len(label) + 1 :]
            if not core.hasProperty(label, name):
                raise DeviceError(
                    f"device {label} has no property {name!r}; it has "
                    f"{', '.join(core.getDevicePropertyNames(label))}"
                )
            return str(label), name
    raise DeviceError(
        f"micromanager.properties names {key!r}, but no device of that label is loaded; "
        f"loaded: {', '.join(sorted(labels))} (write it as Device.Property)"
    )


def _allowed(core: CMMCorePlus, label: str, name: str) -> str:
    with suppress(Exception):  # only decoration of another error
        if core.isPropertyReadOnly(label, name):
            return " (it is read-only)"
        if values := core.getAllowedPropertyValues(label, name):
            return f" (allowed: {', '.join(values)})"
        if core.hasPropertyLimits(label, name):
            low = core.getPropertyLowerLimit(label, name)
            high = core.getPropertyUpperLimit(label, name)
            return f" (limits: {low:g} to {high:g})"
    return ""


def _text(fact: Callable[[], Any]) -> str:
    try:
        return str(fact())
    except Exception:  # Python devices lack some facts, adapters refuse some at times
        return ""


def _one_line(error: Exception) -> str:
    return sentence(str(error)).rstrip(".")
