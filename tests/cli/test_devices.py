"""`rtsmlm devices`: what is a laser, what it means, and sections that the settings take."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from pymmcore_plus.experimental.unicore import UniMMCore
from typer.testing import CliRunner, Result

from rtsmlm.cli.devices import devices
from rtsmlm.drivers.micromanager import core as mm_core
from rtsmlm.settings.load import from_mapping, packaged


@pytest.fixture
def rtsmlm_devices() -> Callable[..., Result]:
    app = typer.Typer()
    app.command()(devices)

    def run(*arguments: str | Path) -> Result:
        return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(a) for a in arguments])

    return run


def with_lasers(folder: Path, sections: str) -> Path:
    path = folder / "rig.toml"
    path.write_text(f'[micromanager]\nconfig = "hil_sim.cfg"\n{sections}', encoding="utf-8")
    return path


def sections_of(output: str) -> str:
    """The sections that are printed for the settings."""
    return output[output.index("\n[lasers.") :]


def test_the_simulated_microscope_has_three_lasers_and_two_stages(
    rtsmlm_devices: Callable[..., Result],
) -> None:
    done = rtsmlm_devices(packaged("hil_sim.cfg"))

    assert done.exit_code == 0
    for expected in (
        r"Laser405 .* SimLaser405 .* laser \(sim-laser\)",
        r"Laser640 .* PowerSetpoint = 84.0 mW .* 1 to 100 mW .* State = 0 \(on 1, off 0\)",
        r"PowerMeasured_mW .* Interlock = OK .* NO",
        r"XYStage .* stage, axis x or y",
        r"ZStage .* stage, axis z",
        r"note: Laser405 shines on when its device is unloaded",
    ):
        assert re.search(expected, done.output), expected


@pytest.mark.parametrize("name", ["hil_sim.cfg", "hil_mm_demo.cfg"])
def test_the_sections_it_prints_are_settings(
    rtsmlm_devices: Callable[..., Result], name: str, tmp_path: Path
) -> None:
    pytest.importorskip("mm_test_adapters")
    done = rtsmlm_devices(packaged(name))

    printed = sections_of(done.stdout)
    settings = from_mapping(tomllib.loads(printed))

    assert len(settings.lasers) == {"hil_sim.cfg": 3, "hil_mm_demo.cfg": 2}[name]
    assert all(laser.max_power is None for laser in settings.lasers.values())
    rig = tmp_path / "rig.toml"
    rig.write_text(f'{printed}\n[micromanager]\nconfig = "{name}"\n', encoding="utf-8")
    again = rtsmlm_devices(rig)
    assert again.exit_code == 0
    assert "lasers of the settings" in again.stdout


def test_a_real_adapter_is_told_by_its_library(rtsmlm_devices: Callable[..., Result]) -> None:
    pytest.importorskip("mm_test_adapters")

    found = json.loads(rtsmlm_devices(packaged("hil_mm_demo.cfg"), "--json").stdout)

    lasers = {laser["name"]: laser for laser in found["lasers"]}
    assert set(lasers) == {"activation", "readout"}
    assert lasers["activation"]["limits"] == [0.0, 10.0]
    assert lasers["activation"]["properties"]["power"] == "Voltage"
    assert lasers["activation"]["properties"]["turns_off"] is False
    assert {d["label"]: d["axes"] for d in found["devices"] if d["axes"]} == {
        "XY": ["x", "y"],
        "Z": ["z"],
    }
    assert found["settings"] == {}


def test_settings_are_resolved_and_a_wrong_one_fails(
    rtsmlm_devices: Callable[..., Result], tmp_path: Path
) -> None:
    rig = with_lasers(
        tmp_path,
        '[lasers.uv]\ndevice = "Laser405"\n[lasers.red]\ndevice = "Laser999"\n',
    )

    done, as_json = rtsmlm_devices(rig), rtsmlm_devices(rig, "--json")

    assert done.exit_code == as_json.exit_code == 1
    assert "error: lasers.red: no device 'Laser999' is loaded" in done.output
    found = json.loads(as_json.stdout)["settings"]
    assert found["uv"]["power"] == "PowerSetpoint"
    assert found["uv"]["faults"] == [
        {"device": "Laser405", "property": "Interlock", "ok_values": ["OK"]}
    ]
    assert "Laser999" in found["red"]["error"]


def test_it_sets_no_property(
    rtsmlm_devices: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []

    def load(settings: object) -> UniMMCore:
        core = mm_core_load(settings)
        for name in ("setProperty", "setShutterOpen", "setAutoShutter", "setPosition"):
            monkeypatch.setattr(core, name, lambda *a, name=name: commands.append(name))
        return core

    mm_core_load = mm_core.load_core
    monkeypatch.setattr(mm_core, "load_core", load)

    assert rtsmlm_devices(packaged("hil_sim.cfg")).exit_code == 0
    assert commands == []


def test_a_configuration_without_lasers_says_so_by_leaving_them_out(
    rtsmlm_devices: Callable[..., Result],
) -> None:
    pytest.importorskip("mm_test_adapters")

    done = rtsmlm_devices(packaged("mm_demo.cfg"))

    assert done.exit_code == 0
    assert "DStage" in done.stdout
    assert "[lasers." not in done.stdout
