"""The configuration that `rtsmlm init` writes: plain TOML, with a reason beside each value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime

import tomli_w

from rtsmlm.cli.init_interview import Answers
from rtsmlm.drivers.micromanager.device_survey import FoundLaser
from rtsmlm.settings.camera import MicroManagerSettings

_LEFT_OPEN = {
    "offset_adu": "by the first frames; set it from frames in the dark",
    "e_per_adu": "by the first frames; set it from the data sheet of the camera",
    "em_gain": "1, or as camera or file state",
    "read_noise_e": "1.6, or as the first frames show",
}


def configuration_of(
    core: MicroManagerSettings,
    found: Answers,
    emu: Mapping[str, Mapping[str, str]],
    emu_name: str = "",
) -> str:
    """Return the text of a configuration.

    Parameters
    ----------
    core
        Settings that the core was loaded with.
    found
        What is known of the microscope.
    emu
        Sections [lasers] by an EMU configuration, which are added as comments.
    emu_name
        Name of that file.
    """
    today = datetime.now().astimezone().date().isoformat()
    lines = [
        f"# Written by rtsmlm init on {today}. Every setting that there is, with its meaning:",
        "# configs/example_rig.toml, or the page of the settings.",
        "",
        "[micromanager]",
        f"config = {json.dumps(core.config)}",
        f"camera = {json.dumps(found.camera)}",
    ]
    if core.adapter_paths:
        lines.append(f"adapter_paths = {json.dumps([p.as_posix() for p in core.adapter_paths])}")
    if core.python_modules:
        lines.append(f"python_modules = {json.dumps(list(core.python_modules))}")
    if found.roi:
        lines.append(f"roi = {json.dumps(list(found.roi))}  # x, y, width, height on the chip")
    lines += ["", "[acquisition]", f"exposure_ms = {found.exposure_ms:g}"]
    lines += ["# frames = 20000  # without it the run lasts until it is stopped", "", "[camera]"]
    lines += _camera(found)
    lines += [
        "",
        "[psf]",
        'sigma_nm = "auto"  # measured on the first frames; write the number of run.toml here',
        "",
        "[localizer]",
        'name = "auto"  # the best for this PSF that keeps up with the camera',
    ]
    lines += _lasers(found)
    if emu:
        text = tomli_w.dumps({"lasers": {name: dict(section) for name, section in emu.items()}})
        lines += ["", f"# Lasers by {emu_name}; each needs power_unit and your max_power:"]
        lines += [f"# {line}".rstrip() for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def _camera(found: Answers) -> Iterator[str]:
    for name in ("pixel_nm", "offset_adu", "e_per_adu", "em_gain", "read_noise_e"):
        if name in found.values:
            value, source = found.values[name]
            yield f"{name} = {value:g}  # {source}"
        elif name in found.stated:
            yield f"# {name} = {found.stated[name]:g}  # the camera states it itself"
        elif name in _LEFT_OPEN:
            yield f"# {name} is left open: {_LEFT_OPEN[name]}"
    yield "# rtsmlm calibrate camera measures all of them, and maps of every pixel."


def _lasers(found: Answers) -> Iterator[str]:
    if found.steered is not None:
        yield from _laser("activation", found.steered, found.max_power)
        yield "start_power = 0.0  # dark until the loop asks for light"
    if found.readout is not None:
        limits = found.readout.limits
        yield from _laser("readout", found.readout, limits[1] if limits else None)
        yield "start_power = 0.0  # the power that you excite with, once you have chosen it"
    if found.steered is not None:
        yield from (
            "",
            "[feedback]",
            'laser = "activation"',
            "arm = false  # it only watches; armed by true here and --arm on the command line",
            "target_per_um2 = 0.1  # emitters per frame and um2",
        )


def _laser(name: str, laser: FoundLaser, cap: float | None) -> Iterator[str]:
    p = laser.properties
    yield ""
    yield f"[lasers.{name}]"
    yield f"device = {json.dumps(p.device)}"
    yield f"preset = {json.dumps(p.preset)}"
    if laser.several:
        yield f"power_property = {json.dumps(p.power)}"
    by = f"the device takes {laser.limits[0]:g} to {laser.limits[1]:g}" if laser.limits else "yours"
    if cap is None:
        yield f"# max_power = ...  # your cap in {p.unit}; never armed without it"
    else:
        yield f"max_power = {cap:g}  # {p.unit}, never exceeded; {by}"
