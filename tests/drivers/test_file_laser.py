"""A laser whose light outlives the process that steered it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pymmcore_plus.experimental.unicore import UniMMCore

from rtsmlm.drivers.micromanager.core import release_core
from rtsmlm.drivers.micromanager.laser import MicroManagerLaser
from rtsmlm.drivers.simulated.file_laser import FileLaser, light_mw
from rtsmlm.errors import DeviceError
from rtsmlm.settings.lasers import LaserSettings


def config(folder: Path) -> Path:
    path = folder / "bench.cfg"
    path.write_text(
        "#py Property,Core,Initialize,0\n"
        "#py pyDevice,UV,rtsmlm.drivers.simulated.file_laser,FileLaser\n"
        "#py Property,Core,Initialize,1\n"
        f"#py Property,UV,StateFile,{folder / 'light.json'}\n",
        encoding="utf-8",
    )
    return path


def opened(folder: Path) -> tuple[UniMMCore, MicroManagerLaser]:
    core = UniMMCore()
    core.loadSystemConfiguration(config(folder))
    return core, MicroManagerLaser(core, "uv", LaserSettings(device="UV"))


def test_light_is_in_the_file_and_stays_when_the_device_is_unloaded(tmp_path: Path) -> None:
    light = tmp_path / "light.json"
    assert light_mw(light) == 0.0
    core, laser = opened(tmp_path)
    assert light_mw(light) == 0.0
    assert laser.limits() == (1.0, 100.0)

    laser.set(12.5)
    release_core(core)

    assert json.loads(light.read_text()) == {"power_mw": 12.5, "on": True}
    assert light_mw(light) == 12.5
    core, laser = opened(tmp_path)
    assert laser.setpoint() == 12.5  # it is as it was left
    assert laser.make_safe() == []
    assert light_mw(light) == 0.0
    assert json.loads(light.read_text())["power_mw"] == 1.0
    assert [p.name for p in tmp_path.glob("*.partial")] == []
    release_core(core)


def test_a_killed_process_leaves_the_light_on(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from pymmcore_plus.experimental.unicore import UniMMCore\n"
        "from rtsmlm.drivers.micromanager.laser import MicroManagerLaser\n"
        "from rtsmlm.settings.lasers import LaserSettings\n"
        "core = UniMMCore()\n"
        "core.loadSystemConfiguration(sys.argv[1])\n"
        "MicroManagerLaser(core, 'uv', LaserSettings(device='UV')).set(33.0)\n"
        "os._exit(9)\n"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(config(tmp_path))], timeout=60, check=False
    )

    assert done.returncode == 9
    assert light_mw(tmp_path / "light.json") == 33.0


def test_a_power_beyond_the_head_is_refused(tmp_path: Path) -> None:
    core, laser = opened(tmp_path)

    for power in (0.5, 100.5):
        with pytest.raises(ValueError, match="not within the allowed range"):
            core.setProperty("UV", "PowerSetpoint", power)
        with pytest.raises(DeviceError, match="1 to 100 mW"):
            laser.set(power)

    assert laser.setpoint() == 0.0
    release_core(core)


def test_without_a_file_it_is_dark_and_takes_no_command() -> None:
    core = UniMMCore()
    core.loadPyDevice("UV", FileLaser())
    core.initializeDevice("UV")

    assert core.getProperty("UV", "State") == 0
    with pytest.raises(DeviceError, match="set its property StateFile first"):
        core.setProperty("UV", "State", 1)
    release_core(core)


def test_a_file_of_something_else_is_an_error(tmp_path: Path) -> None:
    other = tmp_path / "light.json"
    other.write_text("[]", encoding="utf-8")

    with pytest.raises(DeviceError, match="is no state file of a laser"):
        light_mw(other)
