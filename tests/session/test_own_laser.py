"""A laser with a driver of a lab's own: no Micro-Manager, and the same safety as any other."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.drivers.micromanager.lasers_only import LaserConfiguration
from rtsmlm.errors import ConfigError, WorkerError
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.realtime.clock import now_ns
from rtsmlm.safety import sentinel as sentinel_module
from rtsmlm.safety.sentinel import Sentinel
from rtsmlm.safety.turning_dark import groups_of, turn_dark
from rtsmlm.session.devices import open_actuators
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings

DRIVER = """
    import json
    from pathlib import Path

    class BenchLaser:
        unit = "%"

        def __init__(self, name, path, most):
            self.name, self.path, self.most, self.log = name, path, most, []
            self._write("opened")

        def _write(self, call):
            self.log.append(call)
            power = getattr(self, "power", 0.0)
            self.path.write_text(json.dumps({"power": power, "log": self.log}))

        def limits(self):
            return 1.0, self.most

        def set(self, value):
            self.power = value
            self._write(f"set {value:g}")

        def make_safe(self):
            self.power = 0.0
            self._write("safe")
            return []

        def setpoint(self):
            return getattr(self, "power", 0.0)

        def readback(self):
            return None

        def fault(self):
            return None

        def close(self):
            self._write("closed")

    def open_laser(name, settings, core):
        if settings.device == "stuck port":
            raise OSError("port is busy")
        return BenchLaser(name, Path(settings.device), settings.options["most"])
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package with a laser driver, for this process and those that it starts."""
    site = tmp_path / "site"
    facts = site / "my_lab-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-lab\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[rtsmlm.laser]\nbench = my_lab_laser:open_laser\n")
    (site / "my_lab_laser.py").write_text(textwrap.dedent(DRIVER))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.delitem(sys.modules, "my_lab_laser", raising=False)
    return tmp_path / "laser.json"


def state_of(lab: Path) -> Any:
    return json.loads(lab.read_text())


def armed(lab: Path, quick_settings: Callable[..., RunSettings], *more: str) -> RunSettings:
    return quick_settings(
        "lasers.activation.driver=bench",
        f"lasers.activation.device='{lab.as_posix()}'",
        "lasers.activation.options={most = 80.0}",
        "lasers.activation.max_power=40",
        "lasers.activation.start_power=25",
        "feedback.laser=activation",
        "feedback.arm=true",
        "feedback.tick_s=0.2",
        "acquisition.frames=60",
        *more,
    )


def test_it_is_armed_driven_written_down_and_dark_at_the_end_without_a_core(
    lab: Path, quick_settings: Callable[..., RunSettings], spot_camera: Any
) -> None:
    camera = spot_camera(period_s=0.02)
    settings = armed(lab, quick_settings)
    lasers, stages = open_actuators(settings, camera)

    with Session(
        camera, settings, lasers=lasers, stages=stages, arm=True, owns_devices=True
    ) as run:
        assert run.wait(60)
        assert state_of(lab)["power"] == 0.0, "dark as soon as the camera has ended"
    log = state_of(lab)["log"]
    rows = list(read_laser_log(run.folder.lasers))

    assert run.report.ok, run.report.failures
    assert any(call.startswith("set ") for call in log), "it was lit"
    assert log[-2:] == ["safe", "closed"]
    assert rows[0]["kind"] == "arm"
    assert rows[-1]["kind"] == "dark"
    assert {row["unit"] for row in rows} == {"%"}
    with open_movie(run.folder.path) as movie:
        assert movie.activation_unit == "%", "40 % are not read back as 40 mW"
        assert movie.activation_power is not None
        seen = {float(f"{power:.6g}") for power in movie.activation_power.tolist()}
        assert seen <= {0.0, *(float(row["sent"]) for row in rows)}


def test_a_cap_beyond_its_own_limit_is_refused_before_any_light(
    lab: Path, quick_settings: Callable[..., RunSettings], spot_camera: Any
) -> None:
    camera = spot_camera()
    settings = armed(lab, quick_settings, "lasers.activation.options={most = 30.0}")
    lasers, stages = open_actuators(settings, camera)
    session = Session(camera, settings, lasers=lasers, stages=stages, arm=True, owns_devices=True)

    with pytest.raises(ConfigError, match="30"):
        session.start()

    assert not any(call.startswith("set ") for call in state_of(lab)["log"])
    assert state_of(lab)["log"][-1] == "closed"


NO_CORE = LaserConfiguration("", "no_such_rig.cfg")


def test_the_sentinel_makes_it_safe_when_the_program_is_gone(
    lab: Path, quick_settings: Callable[..., RunSettings], tmp_path: Path
) -> None:
    sentinel = Sentinel(NO_CORE, armed(lab, quick_settings).lasers, 1.0)
    sentinel.rehearse()
    assert state_of(lab)["log"] == ["opened", "safe", "closed"], "it was tried"
    sentinel.guard(str(tmp_path / "lasers.csv"), now_ns(), {"activation": "%"}, may_end_owner=False)

    sentinel._child.close(60)  # its input ends, as when the main process dies
    sentinel.heartbeat.close()

    assert state_of(lab)["log"] == ["opened", "safe", "closed"]
    [row] = read_laser_log(tmp_path / "lasers.csv")
    assert row["actuator"] == "activation"
    assert "dark by the sentinel" in row["reason"]
    assert (row["sent"], row["unit"]) == ("0", "%")


def test_a_laser_that_does_not_open_keeps_no_other_from_going_dark(
    lab: Path, quick_settings: Callable[..., RunSettings]
) -> None:
    settings = armed(
        lab,
        quick_settings,
        "lasers.stuck={driver = 'bench', device = 'stuck port'}",
        "lasers.obis={device = 'OBIS'}",
    )
    stuck_first = dict(sorted(settings.lasers.items(), reverse=True))
    assert next(iter(stuck_first)) == "stuck"

    failed = turn_dark(groups_of(NO_CORE, stuck_first), 30.0)

    assert sorted(failed) == ["obis", "stuck"]
    assert failed["stuck"] == "port is busy"
    assert "OBIS" in failed["obis"], "only this one needs Micro-Manager"
    assert state_of(lab)["log"] == ["opened", "safe", "closed"]


def test_a_laser_of_micro_manager_beside_a_camera_without_a_core_is_a_wrong_setting(
    lab: Path, quick_settings: Callable[..., RunSettings], spot_camera: Any
) -> None:
    settings = armed(lab, quick_settings, "lasers.obis.device=OBIS")

    with pytest.raises(ConfigError, match="belongs to no Micro-Manager core"):
        open_actuators(settings, spot_camera())

    assert state_of(lab)["log"] == ["opened", "closed"], "what was opened before is released"


def test_no_laser_is_lit_where_the_sentinel_hangs_while_it_starts(
    lab: Path,
    quick_settings: Callable[..., RunSettings],
    spot_camera: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hangs = [sys.executable, "-P", "-c", "import threading; threading.Event().wait()"]
    monkeypatch.setattr(sentinel_module, "module_command", lambda module: hangs)
    monkeypatch.setattr(sentinel_module, "_READY_S", 0.2)
    camera = spot_camera()
    settings = armed(lab, quick_settings)
    lasers, stages = open_actuators(settings, camera)
    session = Session(camera, settings, lasers=lasers, stages=stages, arm=True, owns_devices=True)

    with pytest.raises(WorkerError, match=r"not armed: .* did not answer within 0\.2 s"):
        session.start()
    session.close()

    assert not [call for call in state_of(lab)["log"] if call.startswith("set ")]
