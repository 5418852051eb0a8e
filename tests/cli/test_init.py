"""`rtsmlm init`: few questions, sensible defaults, settings that run, and no light."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from pymmcore_plus.experimental.unicore import UniMMCore
from typer.testing import CliRunner, Result

from rtsmlm.cli import app
from rtsmlm.cli.init_interview import Interview
from rtsmlm.drivers.micromanager.adapters import find_adapters
from rtsmlm.drivers.micromanager.core import load_core, release_core
from rtsmlm.errors import ConfigError
from rtsmlm.session.devices import open_camera
from rtsmlm.settings.load import from_mapping, load


def init(out: Path, *arguments: object, answers: str | None = None) -> Result:
    return CliRunner().invoke(app, ["init", *map(str, arguments), "--out", str(out)], answers)


def test_the_defaults_make_settings_that_a_camera_opens_with(tmp_path: Path) -> None:
    done = init(tmp_path / "rig.toml", "hil_sim.cfg", "--yes")
    assert done.exit_code == 0, done.exception

    settings = load(tmp_path / "rig.toml")

    assert settings.lasers["activation"].device == "Laser405"
    assert settings.lasers["activation"].max_power == 100  # as the device states
    assert settings.lasers["readout"].device == "Laser640"
    assert settings.lasers["readout"].start_power == 0  # it excites nothing, which is said
    assert "set lasers.readout.start_power" in " ".join(done.output.split())
    assert settings.feedback.laser == "activation"
    assert settings.feedback.arm is False
    assert settings.camera.e_per_adu is None  # the simulated camera states its own
    camera = open_camera(settings)
    try:
        assert camera.exposure_ms == 10
        assert len(list(camera.stream(threading.Event(), 2))) == 2
    finally:
        camera.close()


class Recorder:
    """Hands all on to a core, and notes what commands it."""

    def __init__(self, core: UniMMCore) -> None:
        self.core = core
        self.commands: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.core, name)
        if not name.startswith(("set", "start", "snap", "define")):
            return found

        def command(*values: Any) -> Any:
            self.commands.append((name, values))
            return found(*values)

        return command


def test_no_property_of_a_laser_is_set_and_no_shutter_opens() -> None:
    settings = from_mapping({"micromanager": {"config": "hil_sim.cfg"}})
    core = load_core(settings.micromanager)
    recorder = Recorder(core)
    try:
        core.setAutoShutter(True)
        found = Interview(recorder, settings, {"dark": "yes"}, ask=None).run()  # type: ignore[arg-type]
        states = [str(core.getProperty(f"Laser{line}", "State")) for line in (405, 561, 640)]
    finally:
        release_core(core)

    assert "offset_adu" in found.values  # frames were recorded ...
    assert recorder.commands[0] == ("setAutoShutter", (False,))
    names = {name for name, _ in recorder.commands}
    assert not names & {"setProperty", "setShutterOpen", "setConfig", "setState"}
    assert not any("Laser" in str(value) for _, values in recorder.commands for value in values)
    assert states == ["0", "0", "0"]  # ... in the dark


def test_frames_in_the_dark_give_dark_value_and_read_noise(tmp_path: Path) -> None:
    done = init(
        tmp_path / "rig.toml", "hil_sim.cfg", "--yes", "--answer", "dark=yes",
        "--answer", "e_per_adu=0.46",
    )  # fmt: skip
    assert done.exit_code == 0, done.exception

    camera = load(tmp_path / "rig.toml").camera
    text = (tmp_path / "rig.toml").read_text(encoding="utf-8")

    # The lasers are off, so that what comes is the simulated camera's own: 100 ADU, 1.57 electrons.
    assert camera.offset_adu == pytest.approx(100, abs=1.0)
    assert camera.read_noise_e == pytest.approx(1.57, rel=0.25)
    assert "median of 100 frames in the dark" in text


def test_a_person_is_asked_at_most_ten_times_and_again_where_an_answer_cannot_be() -> None:
    asked: list[tuple[int, str]] = []

    def person(number: int, text: str, default: str, problem: str) -> str:
        asked.append((number, problem))
        if text.startswith("Pixel") and not problem:
            return "wide"
        return "108" if text.startswith("Pixel") else default

    settings = from_mapping({"micromanager": {"config": "hil_sim.cfg"}})
    core = load_core(settings.micromanager)
    try:
        found = Interview(core, settings, {}, ask=person).run()
    finally:
        release_core(core)

    assert max(number for number, _ in asked) <= 10
    assert [problem for _, problem in asked if problem] == [
        "'wide' is no answer to pixel_nm: could not convert string to float: 'wide'"
    ]
    assert found.values["pixel_nm"] == (108.0, "answered to rtsmlm init")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--answer", "colour=red"], "no question 'colour'"),
        (["--answer", "pixel_nm"], "not name=value"),
        (["--answer", "max_power=500"], "at most 100"),
        (["--answer", "steered=Laser999"], "one of"),
        (["--answer", "roi=1,2,3"], "four numbers"),
    ],
)
def test_an_answer_that_cannot_be_is_an_error_and_writes_nothing(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    done = init(tmp_path / "rig.toml", "hil_sim.cfg", "--yes", *arguments)

    assert isinstance(done.exception, ConfigError)
    assert complaint in str(done.exception)
    assert not (tmp_path / "rig.toml").exists()


def test_a_configuration_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text("# mine\n", encoding="utf-8")

    done = init(tmp_path / "rig.toml", "hil_sim.cfg", "--yes")

    assert "is there already" in str(done.exception)
    assert (tmp_path / "rig.toml").read_text(encoding="utf-8") == "# mine\n"


def test_without_a_terminal_it_says_how_to_do_without_questions(tmp_path: Path) -> None:
    done = init(tmp_path / "rig.toml", "hil_sim.cfg", answers="")

    assert isinstance(done.exception, ConfigError)
    assert "--yes" in str(done.exception)


def test_lasers_of_an_emu_configuration_are_added_for_the_user_to_complete(tmp_path: Path) -> None:
    properties = {"Laser 0 power percentage": "Laser405-PowerSetpoint"}
    one = {"configurationName": "a", "properties": properties}
    (tmp_path / "a.uicfg").write_text(json.dumps({"pluginConfigurations": [one]}))

    done = init(tmp_path / "rig.toml", "hil_sim.cfg", "--yes", "--emu", tmp_path / "a.uicfg")

    assert done.exit_code == 0, done.exception
    text = (tmp_path / "rig.toml").read_text(encoding="utf-8")
    assert '# power_property = "PowerSetpoint"' in text
    assert set(load(tmp_path / "rig.toml").lasers) == {"activation", "readout"}


@pytest.mark.skipif(find_adapters() is None, reason="needs device adapters, as mm-test-adapters")
def test_the_demo_of_micro_manager_gives_settings_that_load(tmp_path: Path) -> None:
    done = init(tmp_path / "rig.toml", "mm_demo.cfg", "--yes", "--answer", "roi=0,0,64,64")
    assert done.exit_code == 0, done.exception

    settings = load(tmp_path / "rig.toml")
    camera = open_camera(settings)
    try:
        assert camera.shape == (64, 64)
    finally:
        camera.close()
    assert settings.lasers == {}
