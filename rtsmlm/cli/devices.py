"""`rtsmlm devices`: which lasers and stages a configuration holds, and what to call them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rtsmlm.cli.console import console, fail, warn
from rtsmlm.errors import RtsmlmError
from rtsmlm.settings.load import from_mapping, load
from rtsmlm.settings.run import RunSettings

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

    from rtsmlm.drivers.micromanager.device_survey import FoundLaser, LoadedDevice
    from rtsmlm.drivers.micromanager.laser_properties import LaserProperties


def devices(
    config: Annotated[
        Path | None,
        typer.Argument(
            help="Run configuration (TOML) or Micro-Manager configuration (.cfg); none takes the "
            "packaged demo."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """List devices, find the lasers, and print their sections for the settings.

    Loads the configuration; sets no property and opens no shutter beyond what that does.
    """
    from rtsmlm.drivers.micromanager.core import load_core, release_core
    from rtsmlm.drivers.micromanager.device_survey import devices_of, lasers_of

    settings = _settings(config)
    core = load_core(settings.micromanager)
    try:
        loaded, lasers = list(devices_of(core)), list(lasers_of(core))
        stated = dict(_stated(core, settings))
    finally:
        release_core(core)
    failed = [name for name, found in stated.items() if isinstance(found, str)]
    if as_json:
        console.print_json(json.dumps(_as_data(settings, loaded, lasers, stated)))
    else:
        _print(settings, loaded, lasers, stated)
    if failed:
        raise typer.Exit(1)


def _settings(config: Path | None) -> RunSettings:
    if config is not None and config.suffix.lower() == ".cfg":
        return from_mapping({"micromanager": {"config": str(config)}}, str(config))
    return load(config or Path("demo.toml"))


def _stated(
    core: CMMCorePlus, settings: RunSettings
) -> Iterator[tuple[str, LaserProperties | str]]:
    """Yield what the sections [lasers] mean: properties, or the sentence why there are none."""
    from rtsmlm.drivers.micromanager.laser import properties_of

    for name, laser in settings.lasers.items():
        if laser.driver != "micromanager":
            continue
        try:
            yield name, properties_of(core, laser)
        except RtsmlmError as error:
            yield name, str(error)


def _print(
    settings: RunSettings,
    loaded: list[LoadedDevice],
    lasers: list[FoundLaser],
    stated: dict[str, LaserProperties | str],
) -> None:
    console.print(_device_table(settings, loaded, lasers))
    if lasers:
        console.print(_laser_table(lasers))
    for laser in lasers:
        if laser.properties.turns_off is not True:
            warn(_stays_on(laser))
        if laser.properties.note:
            warn(f"{laser.properties.device}: {laser.properties.note}")
    if stated:
        console.print(_stated_table(stated))
    for name, found in stated.items():
        if isinstance(found, str):
            fail(f"lasers.{name}: {found}")
    if lasers:
        console.print("\nFor the settings, once you have decided on the caps:")
    for laser in lasers:
        console.print(f"\n{laser.toml()}", markup=False)


def _stays_on(laser: FoundLaser) -> str:
    p = laser.properties
    if p.turns_off is None:
        return f"{p.device}: whether it goes dark when its device is unloaded is not known; try it"
    return (
        f"{p.device} shines on when its device is unloaded or the program dies; gate it by the "
        "camera (digital modulation) where you can"
    )


def _device_table(
    settings: RunSettings, loaded: list[LoadedDevice], lasers: list[FoundLaser]
) -> Table:
    table = _table(
        f"devices of {Path(settings.micromanager.config).name}",
        "label", "kind", "adapter", "device", "can be",
    )  # fmt: skip
    presets = {laser.properties.device: laser.properties.preset for laser in lasers}
    for device in loaded:
        roles = [f"laser ({presets[device.label]})"] if device.label in presets else []
        roles += [f"stage, axis {' or '.join(device.axes)}"] if device.axes else []
        _row(table, device.label, device.kind, device.adapter, device.device, ", ".join(roles))
    return table


def _laser_table(lasers: list[FoundLaser]) -> Table:
    table = _table(
        "lasers",
        "device", "power", "limits", "emission", "measured", "interlock", "off when unloaded",
    )  # fmt: skip
    for laser in lasers:
        p = laser.properties
        limits = laser.limits
        _row(
            table,
            p.device,
            f"{p.power} = {laser.power} {p.unit}",
            f"{limits[0]:g} to {limits[1]:g} {p.unit}" if limits else "not stated",
            f"{p.on} = {laser.emission} (on {p.on_value}, off {p.off_value})" if p.on else "none",
            p.readback or "no",
            ", ".join(f"{name} = {value}" for name, value in laser.faults.items()) or "not stated",
            {True: "yes", False: "NO", None: "not known"}[p.turns_off],
        )
    return table


def _stated_table(stated: dict[str, LaserProperties | str]) -> Table:
    table = _table(
        "lasers of the settings", "name", "device", "preset", "power", "emission", "measured",
        "interlock", "pulses", "shutter",
    )  # fmt: skip
    for name, p in stated.items():
        if isinstance(p, str):
            _row(table, name, "wrong, see below", *[""] * 7)
            continue
        _row(
            table,
            name,
            p.device,
            p.preset,
            f"{p.power} ({p.unit})",
            f"{p.on} = {p.on_value} or {p.off_value}" if p.on else "none",
            p.readback or "no",
            ", ".join(f"{f.device}.{f.property}" for f in p.faults) or "none",
            f"{p.pulse_device}.{p.pulse}" if p.pulse else "none",
            p.shutter or "none",
        )
    return table


def _table(title: str, *headings: str) -> Table:
    table = Table(title=escape(title), title_justify="left", show_lines=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _row(table: Table, *cells: str) -> None:
    table.add_row(*(escape(cell) for cell in cells))


def _as_data(
    settings: RunSettings,
    loaded: list[LoadedDevice],
    lasers: list[FoundLaser],
    stated: dict[str, LaserProperties | str],
) -> dict[str, object]:
    return {
        "config": settings.micromanager.config,
        "devices": [asdict(device) for device in loaded],
        "lasers": [asdict(laser) | {"toml": laser.toml()} for laser in lasers],
        "settings": {
            name: {"error": found} if isinstance(found, str) else asdict(found)
            for name, found in stated.items()
        },
    }
