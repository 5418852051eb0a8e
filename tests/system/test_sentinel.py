"""The sentinel: lasers go dark when the program dies, and none is armed without it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rtsmlm.drivers.micromanager.lasers_only import lasers_alone
from rtsmlm.errors import WorkerError
from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.realtime.clock import now_ns
from rtsmlm.safety import sentinel as sentinel_module
from rtsmlm.safety.sentinel import Sentinel, SentinelJob
from rtsmlm.settings.camera import MicroManagerSettings
from rtsmlm.settings.lasers import LaserSettings

OWNER = """
import sys, time
from pathlib import Path
from rtsmlm.safety.sentinel import Sentinel, SentinelJob
from rtsmlm.drivers.micromanager.core import load_core
job = SentinelJob.from_json(Path(sys.argv[1]).read_text())
sentinel = Sentinel(job)
sentinel.wait_ready()
core = load_core(job.micromanager)
core.setProperty("Laser", "PowerSetpoint", 20)
core.setProperty("Laser", "State", 1)
print("shining", flush=True)
time.sleep(60)
"""


def _is_on(state: Path) -> bool:
    return bool(json.loads(state.read_text())["on"])


@pytest.fixture
def job(tmp_path: Path) -> SentinelJob:
    config = tmp_path / "rig.cfg"
    config.write_text(
        "\n".join(
            [
                "#py Property,Core,Initialize,0",
                "#py pyDevice,Laser,rtsmlm.drivers.simulated.file_laser,FileLaser",
                "#py pyDevice,Camera,rtsmlm.drivers.simulated.camera,SimCamera",
                f"#py Property,Laser,StateFile,{tmp_path / 'laser.json'}",
                "#py Property,Core,Initialize,1",
                "#py Property,Laser,State,1",
            ]
        )
    )
    return SentinelJob(
        micromanager=MicroManagerSettings(config=str(config)),
        lasers={"activation": LaserSettings(device="Laser", max_power=50)},
        log=tmp_path / "lasers.csv",
        start_ns=now_ns(),
    )


def test_a_killed_program_leaves_no_light(job: SentinelJob, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(job.to_json())
    owner = subprocess.Popen(
        [sys.executable, "-P", "-c", OWNER, str(tmp_path / "job.json")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "shining\n"
    assert _is_on(tmp_path / "laser.json")

    owner.kill()
    owner.wait()
    owner.stdout.close()

    deadline = time.monotonic() + 20
    while _is_on(tmp_path / "laser.json"):
        assert time.monotonic() < deadline, "the laser stayed on"
        time.sleep(0.02)
    while not (tmp_path / "lasers.csv").exists() or not list(read_laser_log(job.log)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    [row] = read_laser_log(job.log)
    assert row["actuator"] == "activation"
    assert row["kind"] == "trip"
    assert "the program is gone; dark by the sentinel" in row["reason"]


def test_dismissed_it_leaves_the_laser_alone(job: SentinelJob, tmp_path: Path) -> None:
    sentinel = Sentinel(job)
    sentinel.wait_ready()
    assert sentinel.alive

    sentinel.dismiss()

    assert not sentinel.alive
    assert not (tmp_path / "lasers.csv").exists()
    sentinel.dismiss()


def test_while_it_is_on_guard_no_thread_waits_for_it(job: SentinelJob) -> None:
    sentinel = Sentinel(job)
    try:
        sentinel.wait_ready()

        # One that did would keep a crashed program from ending, and its lasers on.
        deadline = time.monotonic() + 20
        while any("sentinel" in thread.name for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert sentinel.alive
    finally:
        sentinel.dismiss()


@pytest.mark.parametrize(
    ("program", "why"),
    [
        # As one that hangs while it imports a driver.
        ("import threading; threading.Event().wait()", r"the laser sentinel did not answer within"),
        ("raise ImportError('no such driver')", "it ended; its errors are above"),
        ("print('Hello from the driver')", "it wrote 'Hello from the driver' instead of 'ready'"),
    ],
)
def test_one_that_does_not_come_up_is_killed_and_one_sentence(
    job: SentinelJob, monkeypatch: pytest.MonkeyPatch, program: str, why: str
) -> None:
    def command(module: str) -> list[str]:
        assert module == "rtsmlm.safety.sentinel"
        return [sys.executable, "-P", "-c", program]

    monkeypatch.setattr(sentinel_module, "module_command", command)
    monkeypatch.setattr(sentinel_module, "_READY_S", 1.0 if "wait" in program else 30.0)
    sentinel = Sentinel(job)

    with pytest.raises(WorkerError, match=f"^the lasers are not armed: no laser sentinel, {why}"):
        sentinel.wait_ready()

    assert not sentinel.alive
    sentinel.dismiss()  # as the end of the run does


def test_only_lasers_and_what_they_hang_on_are_loaded_and_nothing_is_switched() -> None:
    alone = lasers_alone(
        """
        # a rig
        Device,COM5,SerialManager,COM5
        Device,COM6,SerialManager,COM6
        Device,OBIS,CoherentOBIS,CoherentObis
        Device,Camera,HamamatsuHam,HamamatsuHam_DCAM
        Device,Hub,DemoCamera,DHub
        Device,Gate,DemoCamera,DShutter
        Property,OBIS,Port,COM5
        Property,COM5,BaudRate,115200
        Property,COM6,BaudRate,9600
        Parent,Gate,Hub
        Property,Core,Initialize,1
        Property,OBIS,State,1
        Property,COM5,Verbose,0
        ConfigGroup,Laser,On,OBIS,State,1
        """,
        ["OBIS", "Gate"],
    )

    assert alone.splitlines() == [
        "Device,COM5,SerialManager,COM5",
        "Device,OBIS,CoherentOBIS,CoherentObis",
        "Device,Hub,DemoCamera,DHub",
        "Device,Gate,DemoCamera,DShutter",
        "Property,OBIS,Port,COM5",
        "Property,COM5,BaudRate,115200",
        "Parent,Gate,Hub",
        "Property,Core,Initialize,1",
    ]
