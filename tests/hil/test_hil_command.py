"""`rtsmlm hil` as a person uses it, on rigs that are well and on rigs that are not."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STUCK = """
from rtsmlm.drivers.simulated.laser import SimLaser405

class StuckLaser(SimLaser405):
    def set_open(self, open):
        if open:
            super().set_open(True)
"""


def rtsmlm_hil(
    *arguments: str | Path, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    return subprocess.run(
        [sys.executable, "-P", "-m", "rtsmlm.cli", "hil", *map(str, arguments)],
        capture_output=True, text=True, timeout=280, check=False, env=environment,
    )  # fmt: skip


def results_in(folder: Path) -> dict[str, str]:
    data = json.loads((folder / "hil.json").read_text(encoding="utf-8"))
    return {result["name"]: result["result"] for result in data["results"]}


def bench(folder: Path, device: str, library: str, *lines: str, preset: str = "auto") -> Path:
    """Write a rig with one laser."""
    (folder / "bench.cfg").write_text(
        "\n".join(
            [
                "#py Property,Core,Initialize,0",
                "#py pyDevice,Camera,rtsmlm.drivers.simulated.camera,SimCamera",
                f"#py pyDevice,UV,{library},{device}",
                *lines,
                "#py Property,Core,Initialize,1",
                "#py Property,Core,Camera,Camera",
                "#py Property,Camera,Width,64",
                "#py Property,Camera,Height,64",
                "#py Property,Camera,Exposure,10",
            ]
        ),
        encoding="utf-8",
    )
    rig = folder / "bench.toml"
    rig.write_text(
        f"[micromanager]\nconfig = 'bench.cfg'\npython_modules = ['{library}']\n"
        "[psf]\nsigma_nm = 130\n"
        f"[lasers.uv]\ndevice = 'UV'\nmax_power = 50\npreset = '{preset}'\n"
        "[feedback]\nlaser = 'uv'\narm = true\n[hil]\ndark_s = 2\n",
        encoding="utf-8",
    )
    return rig


@pytest.mark.slow
def test_a_killed_program_leaves_no_light_and_ctrl_c_neither(tmp_path: Path) -> None:
    state = f"#py Property,UV,StateFile,{tmp_path / 'light.json'}"
    rig = bench(tmp_path, "FileLaser", "rtsmlm.drivers.simulated.file_laser", state)

    done = rtsmlm_hil(
        rig, "--arm", "--report", tmp_path / "report", "--only", "program-killed", "--only",
        "ctrl-c",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert results_in(tmp_path / "report") == {"ctrl-c": "passed", "program-killed": "passed"}
    assert json.loads((tmp_path / "light.json").read_text())["on"] is False


@pytest.mark.slow
def test_a_laser_that_does_not_go_off_is_named_and_the_exit_code_is_1(tmp_path: Path) -> None:
    (tmp_path / "stuck_laser.py").write_text(STUCK, encoding="utf-8")
    rig = bench(tmp_path, "StuckLaser", "stuck_laser", preset="sim-laser")

    done = rtsmlm_hil(
        rig, "--arm", "--report", tmp_path / "report", "--only", "lasers-off", path=tmp_path
    )

    assert done.returncode == 1
    assert "failed: lasers-off" in done.stderr
    assert "uv did not get dark" in done.stdout.replace("\n", " ")
    assert results_in(tmp_path / "report") == {"lasers-off": "failed"}


def test_a_measured_power_that_lies_is_named(tmp_path: Path) -> None:
    done = rtsmlm_hil(
        "hil_sim.toml", "--arm", "--report", tmp_path, "--only", "read-back", "--only",
        "laser-limits", "--set", "micromanager.properties.Laser405.FaultReadback_mW=50",
    )  # fmt: skip

    assert done.returncode == 1
    assert "failed: read-back" in done.stderr
    # It is not armed at all, as it is not seen dark after it was switched off.
    assert "not confirmed dark: 50 mW are measured" in done.stdout.replace("\n", " ")
    assert results_in(tmp_path) == {"laser-limits": "passed", "read-back": "failed"}


@pytest.mark.slow
def test_the_loop_of_the_simulated_rig_settles_and_its_course_is_on_the_page(
    tmp_path: Path,
) -> None:
    done = rtsmlm_hil(
        "hil_sim.toml", "--arm", "--report", tmp_path, "--only", "laser-limits", "--only",
        "step-response", "--set", "hil.step_s=12", "--set", "hil.bias=0.1",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert results_in(tmp_path) == {"laser-limits": "passed", "step-response": "passed"}
    data = json.loads((tmp_path / "hil.json").read_text(encoding="utf-8"))
    found = data["results"][1]["details"]
    assert 0 <= found["settle_s"] <= 30
    assert max(found["course"]["target_per_um2"]) == pytest.approx(0.1), "doubled"
    assert max(found["course"]["power"]) > 2.0
    assert "<polygon" in (tmp_path / "hil.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mm_test_adapters") is None, reason="needs adapters")
def test_the_stand_in_of_the_demo_camera_passes_without_a_response(tmp_path: Path) -> None:
    done = rtsmlm_hil(
        "hil_mm_demo.toml", "--arm", "--report", tmp_path, "--set", "hil.dark_s=2",
        "--only", "read-back", "--only", "analysis-killed", "--only", "step-response",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "no response" in done.stdout
    assert set(results_in(tmp_path).values()) == {"passed"}


def test_a_report_is_never_overwritten_and_a_misspelling_makes_no_folder(tmp_path: Path) -> None:
    (tmp_path / "hil.json").write_text("{}", encoding="utf-8")

    again = rtsmlm_hil("--report", tmp_path)
    wrong = rtsmlm_hil("--report", tmp_path / "new", "--only", "fire")

    assert again.returncode == wrong.returncode == 1
    assert "holds a report already" in again.stderr
    assert "no drill 'fire'" in wrong.stderr
    assert not (tmp_path / "new").exists()


def test_faults_at_random_need_light(tmp_path: Path) -> None:
    done = rtsmlm_hil("--soak", "3", "--report", tmp_path / "new")

    assert done.returncode == 1
    assert "--soak needs --arm" in done.stderr
    assert not (tmp_path / "new").exists()
