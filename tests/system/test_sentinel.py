"""The sentinel: lasers go dark when the program dies or is silent, and none is armed without it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtsmlm.drivers.micromanager.lasers_only import (
    LaserConfiguration,
    lasers_alone,
    loaded_together,
    read_configuration,
)
from rtsmlm.errors import ConfigError, WorkerError
from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.realtime.clock import now_ns
from rtsmlm.safety import sentinel as sentinel_module
from rtsmlm.safety.sentinel import Sentinel
from rtsmlm.settings.camera import MicroManagerSettings
from rtsmlm.settings.lasers import LaserSettings

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
WAIT_S = 30.0

OWNER = """
import os, sys, time
from pathlib import Path
from rtsmlm.drivers.micromanager.core import load_core
from rtsmlm.drivers.micromanager.lasers_only import read_configuration
from rtsmlm.realtime.clock import now_ns
from rtsmlm.safety.sentinel import Sentinel
from rtsmlm.settings.camera import MicroManagerSettings
from rtsmlm.settings.lasers import LaserSettings
folder = Path(sys.argv[1])
micromanager = MicroManagerSettings(config=str(folder / "rig.cfg"))
lasers = {name: LaserSettings(device=name, max_power=90) for name in ("L405", "L640")}
sentinel = Sentinel(read_configuration(micromanager), lasers, 1.0)
sentinel.rehearse()
core = load_core(micromanager)
sentinel.rehearse()
sentinel.guard(str(folder / "lasers.csv"), now_ns(), {}, may_end_owner="may-end" in sys.argv)
for name in lasers:
    core.setProperty(name, "PowerSetpoint", 20)
    core.setProperty(name, "State", 1)
sentinel.heartbeat.light_is_possible = True
if "fork" in sys.argv and os.fork() == 0:
    time.sleep(60)
print(sentinel.pid, flush=True)
while True:
    sentinel.heartbeat.beat()
    time.sleep(0.1)
"""


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    lines = ["#py Property,Core,Initialize,0"]
    for name in ("L405", "L640"):
        lines.append(f"#py pyDevice,{name},rtsmlm.drivers.simulated.file_laser,FileLaser")
        lines.append(f"#py Property,{name},StateFile,{tmp_path / name}.json")
    lines += [
        "#py pyDevice,Camera,rtsmlm.drivers.simulated.camera,SimCamera",
        "#py Property,Core,Initialize,1",
        "#py Property,L405,State,1",
    ]
    (tmp_path / "rig.cfg").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def configuration(rig: Path) -> LaserConfiguration:
    return read_configuration(MicroManagerSettings(config=str(rig / "rig.cfg")))


LASERS = {name: LaserSettings(device=name, max_power=90) for name in ("L405", "L640")}


class Owner:
    """A program with two lasers on, and its sentinel."""

    def __init__(self, rig: Path, *arguments: str) -> None:
        self.rig = rig
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", OWNER, str(rig), *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.sentinel_pid = int(self.process.stdout.readline())
        self.process.stdout.close()
        assert self.lit == ["L405", "L640"]

    @property
    def lit(self) -> list[str]:
        return [
            name for name in LASERS if json.loads((self.rig / f"{name}.json").read_text())["on"]
        ]

    def wait_dark(self) -> None:
        deadline = time.monotonic() + WAIT_S
        while self.lit:
            assert time.monotonic() < deadline, f"{self.lit} stayed on"
            time.sleep(0.01)

    def reasons(self, n: int) -> dict[str, str]:
        """Return the reason in the audit for each laser, once there are so many rows."""
        deadline = time.monotonic() + WAIT_S
        log = self.rig / "lasers.csv"
        while not log.exists() or len(rows := list(read_laser_log(log))) < n:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return {row["actuator"]: row["reason"] for row in rows}


@pytest.fixture
def owners(rig: Path) -> Iterator[list[Owner]]:
    made: list[Owner] = []
    yield made
    for owner in made:
        owner.process.kill()
        owner.process.wait()


def test_a_killed_program_leaves_no_light(rig: Path, owners: list[Owner]) -> None:
    owners.append(owner := Owner(rig))

    owner.process.kill()

    owner.wait_dark()
    assert all(
        "the program is gone; dark by the sentinel" in why for why in owner.reasons(2).values()
    )


@posix
def test_a_child_of_the_killed_program_does_not_keep_the_light(
    rig: Path, owners: list[Owner]
) -> None:
    owners.append(owner := Owner(rig, "fork"))

    owner.process.kill()

    owner.wait_dark()


@posix
def test_a_stopped_program_is_dark_and_goes_on_later(rig: Path, owners: list[Owner]) -> None:
    owners.append(owner := Owner(rig))

    owner.process.send_signal(signal.SIGSTOP)

    owner.wait_dark()
    assert all("no beat of the program for" in why for why in owner.reasons(2).values())
    owner.process.send_signal(signal.SIGCONT)
    assert owner.process.poll() is None


def test_the_configuration_may_be_gone_by_then(rig: Path, owners: list[Owner]) -> None:
    owners.append(owner := Owner(rig))
    (rig / "rig.cfg").unlink()

    owner.process.kill()

    owner.wait_dark()


@posix
def test_what_ends_the_program_from_the_keyboard_does_not_end_the_sentinel(
    rig: Path, owners: list[Owner]
) -> None:
    owners.append(owner := Owner(rig))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP):
        os.kill(owner.sentinel_pid, number)

    owner.process.kill()

    owner.wait_dark()


def test_dismissed_it_leaves_the_lasers_alone(rig: Path, configuration: LaserConfiguration) -> None:
    sentinel = Sentinel(configuration, LASERS, 1.0)
    sentinel.rehearse()
    assert sentinel.unreachable == {}
    assert sentinel.beside_owner == ("L405", "L640")
    sentinel.guard(str(rig / "lasers.csv"), now_ns(), {}, may_end_owner=False)
    assert sentinel.alive

    sentinel.dismiss()

    assert not sentinel.alive
    assert not (rig / "lasers.csv").exists()
    sentinel.dismiss()


def test_a_rehearsal_switches_off_what_was_left_on(
    rig: Path, configuration: LaserConfiguration
) -> None:
    (rig / "L640.json").write_text(json.dumps({"power_mw": 84.0, "on": True}))
    sentinel = Sentinel(configuration, LASERS, 1.0)
    try:
        sentinel.rehearse()

        assert json.loads((rig / "L640.json").read_text())["on"] is False
    finally:
        sentinel.dismiss()


def test_a_laser_that_it_cannot_reach_is_not_armed(configuration: LaserConfiguration) -> None:
    lasers = {**LASERS, "other": LaserSettings(device="L999", max_power=5)}
    sentinel = Sentinel(configuration, lasers, 1.0)
    try:
        sentinel.rehearse()

        assert sorted(sentinel.unreachable) == ["other"]
        with pytest.raises(ConfigError, match=r"^other is not armed: .*L999.*micromanager.config"):
            sentinel.guard("lasers.csv", now_ns(), {}, may_end_owner=True)
    finally:
        sentinel.dismiss()


def test_while_it_is_on_guard_no_thread_waits_for_it(
    rig: Path, configuration: LaserConfiguration
) -> None:
    sentinel = Sentinel(configuration, LASERS, 1.0)
    try:
        sentinel.rehearse()
        sentinel.guard(str(rig / "lasers.csv"), now_ns(), {}, may_end_owner=False)

        # One that did would keep a crashed program from ending, and its lasers on.
        deadline = time.monotonic() + WAIT_S
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
    configuration: LaserConfiguration, monkeypatch: pytest.MonkeyPatch, program: str, why: str
) -> None:
    def command(module: str) -> list[str]:
        assert module == "rtsmlm.safety.sentinel_process"
        return [sys.executable, "-P", "-c", program]

    monkeypatch.setattr(sentinel_module, "module_command", command)
    monkeypatch.setattr(sentinel_module, "_READY_S", 1.0 if "wait" in program else 30.0)
    sentinel = Sentinel(configuration, LASERS, 1.0)

    with pytest.raises(WorkerError, match=f"^the lasers are not armed: no laser sentinel, {why}"):
        sentinel.wait_ready()

    assert not sentinel.alive
    sentinel.dismiss()  # as the end of the run does


def test_lasers_on_one_port_are_loaded_together_and_others_apart() -> None:
    text = """
        Device,COM5,SerialManager,COM5
        Device,A,CoherentOBIS,CoherentObis
        Device,B,CoherentOBIS,CoherentObis
        Device,C,Toptica_iBeamSmartCW,iBeamSmartCW
        Property,A,Port,COM5
        Property,B,Port,COM5
        Property,Core,Initialize,1
    """
    lasers = {name: LaserSettings(device=name) for name in "ABC"}
    lasers["own"] = LaserSettings(driver="mine", device="COM9")

    groups = loaded_together(LaserConfiguration(text, "rig.cfg"), lasers)

    assert sorted(sorted(group) for group in groups) == [["A", "B"], ["C"], ["own"]]


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
