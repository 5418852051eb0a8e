"""A laser whose light outlives the process that steered it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pymmcore_plus.experimental.unicore import UniMMCore

from rtsmlm.drivers.micromanager.core import release_core
from rtsmlm.drivers.micromanager.laser import MicroManagerLaser
from rtsmlm.drivers.simulated.file_laser import FileLaser, light_mw
from rtsmlm.drivers.simulated.head_faults import (
    HeadFaults,
    faults_path,
    read_faults,
    write_faults,
)
from rtsmlm.drivers.simulated.head_file import HeadFile
from rtsmlm.drivers.simulated.light_watch import LightWatch
from rtsmlm.drivers.simulated.port_lock import PortLock
from rtsmlm.errors import DeviceError
from rtsmlm.realtime.clock import now_ns
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

    state = json.loads(light.read_text())
    assert (state["power_mw"], state["on"]) == (12.5, True)
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


# -- faults from outside ---------------------------------------------------------------------


def state_of(folder: Path) -> Path:
    return folder / "light.json"


def test_faults_are_obeyed_at_the_next_call_and_end_when_they_are_taken_back(
    tmp_path: Path,
) -> None:
    core, laser = opened(tmp_path)
    laser.set(10.0)

    write_faults(state_of(tmp_path), HeadFaults(refuse="set"))
    with pytest.raises(DeviceError, match="the head refuses"):
        laser.set(20.0)
    assert light_mw(state_of(tmp_path)) == 10.0
    write_faults(state_of(tmp_path))
    laser.set(20.0)

    assert light_mw(state_of(tmp_path)) == 20.0
    assert laser.make_safe() == []
    release_core(core)


def test_a_head_that_ignores_off_answers_that_it_is_off_and_shines_on(tmp_path: Path) -> None:
    core, laser = opened(tmp_path)
    laser.set(10.0)
    write_faults(state_of(tmp_path), HeadFaults(ignore_off=True))

    laser.make_safe()

    assert laser.setpoint() == 0.0
    assert light_mw(state_of(tmp_path)) > 0.0
    assert float(core.getProperty("UV", "PowerMeasured_mW")) > 0.0
    write_faults(state_of(tmp_path))
    laser.make_safe()
    assert light_mw(state_of(tmp_path)) == 0.0
    release_core(core)


def test_a_port_that_hangs_holds_the_call_until_the_fault_is_taken_back(tmp_path: Path) -> None:
    core, laser = opened(tmp_path)
    laser.set(10.0)
    write_faults(state_of(tmp_path), HeadFaults(hang="off", hang_s=60.0))
    call = threading.Thread(target=laser.make_safe)
    call.start()

    call.join(0.3)
    assert call.is_alive()
    assert light_mw(state_of(tmp_path)) > 0.0
    write_faults(state_of(tmp_path))
    call.join(10.0)

    assert not call.is_alive()
    assert light_mw(state_of(tmp_path)) == 0.0
    release_core(core)


def test_a_head_that_obeys_late_answers_at_once_and_shines_afterwards(tmp_path: Path) -> None:
    core, _ = opened(tmp_path)
    write_faults(state_of(tmp_path), HeadFaults(late_s=0.3))

    core.setProperty("UV", "State", 1)

    assert core.getProperty("UV", "State") == 1
    with LightWatch({"uv": state_of(tmp_path)}) as watch:
        assert watch.lit() == ()
        assert watch.wait_lit(10.0)
    release_core(core)


def test_the_echo_of_the_set_point_and_the_upper_limit_can_be_wrong(tmp_path: Path) -> None:
    core, laser = opened(tmp_path)
    laser.set(10.0)

    write_faults(state_of(tmp_path), HeadFaults(echo_mw=0.0, most_nan=True, interlock="OPEN"))

    assert laser.setpoint() == 0.0
    assert light_mw(state_of(tmp_path)) == 10.0
    assert math.isnan(float(core.getProperty("UV", "Maximum Laser Power")))
    assert core.getProperty("UV", "Interlock") == "OPEN"
    write_faults(state_of(tmp_path), HeadFaults(echo_mw=3.0))
    assert laser.setpoint() == 3.0
    release_core(core)


def test_a_power_meter_is_wrong_as_often_as_its_pattern_states_and_can_vanish(
    tmp_path: Path,
) -> None:
    core, laser = opened(tmp_path)
    laser.set(10.0)
    metered = MicroManagerLaser(
        core, "uv", LaserSettings(device="UV", readback_property="PowerMeasured_mW")
    )
    assert metered.readback() == 10.0

    write_faults(state_of(tmp_path), HeadFaults(meter_factor=5.0, meter_pattern="10010"))
    told = [metered.readback() for _ in range(5)]
    assert sorted(told) == [10.0, 10.0, 10.0, 50.0, 50.0]

    for how in ("nan", "text", "error"):
        write_faults(state_of(tmp_path), HeadFaults(meter_gone=how))
        with pytest.raises(DeviceError):
            metered.readback()
    release_core(core)


@pytest.mark.parametrize(
    "text", ["[]", '{"fire": true}', '{"hang": "often"}', '{"meter_pattern": ""}', "{"]
)
def test_a_misspelt_fault_is_an_error(tmp_path: Path, text: str) -> None:
    faults_path(state_of(tmp_path)).write_text(text, encoding="utf-8")

    with pytest.raises(DeviceError, match="fault"):
        read_faults(state_of(tmp_path))


# -- its port --------------------------------------------------------------------------------

OWNER = (
    "import sys\n"
    "from pathlib import Path\n"
    "from rtsmlm.drivers.simulated.port_lock import PortLock\n"
    "port = PortLock(Path(sys.argv[1]))\n"
    "print('mine', flush=True)\n"
    "sys.stdin.read()\n"
)


def exclusive(folder: Path) -> Path:
    path = config(folder)
    line = "#py Property,Core,Initialize,1\n"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(line, "#py Property,UV,Exclusive,1\n" + line), encoding="utf-8")
    return path


def test_a_port_with_one_owner_is_free_again_when_its_owner_was_killed(tmp_path: Path) -> None:
    path = exclusive(tmp_path)
    owner = subprocess.Popen(
        [sys.executable, "-P", "-c", OWNER, str(tmp_path / "light.json.port")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert owner.stdout is not None
    assert owner.stdin is not None
    assert owner.stdout.readline() == "mine\n"

    core = UniMMCore()
    with pytest.raises(Exception, match=r"light\.json\.port is in use by another program"):
        core.loadSystemConfiguration(path)
    core.unloadAllDevices()
    owner.kill()
    owner.wait()
    core.loadSystemConfiguration(path)

    with pytest.raises(DeviceError, match="in use by this program"):
        PortLock(tmp_path / "light.json.port")
    release_core(core)
    PortLock(tmp_path / "light.json.port").release()
    owner.stdin.close()
    owner.stdout.close()


# -- what is seen from outside ---------------------------------------------------------------


def test_the_watch_tells_when_a_laser_was_dark_for_good(tmp_path: Path) -> None:
    core, laser = opened(tmp_path)
    laser.set(10.0)
    with LightWatch({"uv": state_of(tmp_path)}) as watch:
        assert watch.lit() == ("uv",)
        start_ns = now_ns()
        assert watch.dark_after_s(start_ns) == {"uv": math.inf}
        laser.make_safe()
        assert watch.wait_dark(10.0)
        flickered_ns = now_ns()
        laser.set(5.0)
        assert watch.wait_lit(10.0)
        laser.make_safe()
        assert watch.wait_dark(10.0)

    assert watch.dark_after_s(start_ns)["uv"] > (flickered_ns - start_ns) / 1e9
    assert watch.dark_after_s(now_ns()) == {"uv": 0.0}
    assert watch.changes("uv")[0].light_mw == 10.0
    release_core(core)


def test_a_command_to_one_register_never_brings_light_back(tmp_path: Path) -> None:
    owner, other = HeadFile(state_of(tmp_path), 1.0), HeadFile(state_of(tmp_path), 1.0)
    owner.put_on(True)
    other.put_on(False)  # by another program, while this one was held between two commands

    owner.put_power(20.0)

    assert light_mw(state_of(tmp_path)) == 0.0
