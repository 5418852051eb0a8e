"""The fixtures that a lab's own tests get from an installed rtsmlm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = """
import pytest

def test_simulated(rtsmlm_sim):
    assert rtsmlm_sim.hil.arm
    assert rtsmlm_sim.hil.microscope.shape == (256, 256)
    assert rtsmlm_sim.hil.settings.feedback.laser == "activation"
    result = rtsmlm_sim.check("read-back")
    assert result.passed, result.what

def test_real(rtsmlm_rig):
    assert rtsmlm_rig.check("laser-limits").passed

def test_light(rtsmlm_rig):
    assert rtsmlm_rig.check("read-back").passed
"""


def pytest_in(folder: Path, *options: str) -> str:
    (folder / "test_lab.py").write_text(TESTS, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-q", *options, str(folder)],
        capture_output=True, text=True, timeout=120, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_without_a_configuration_the_rig_is_skipped_and_the_simulated_one_is_there(
    tmp_path: Path,
) -> None:
    said = pytest_in(tmp_path)

    assert "1 passed, 2 skipped" in said
    assert "--rtsmlm-config rig.toml" in said


def test_with_a_configuration_what_needs_light_waits_for_arm(tmp_path: Path) -> None:
    dark = pytest_in(tmp_path, "--rtsmlm-config", "hil_sim.toml", "-k", "not simulated")
    lit = pytest_in(
        tmp_path, "--rtsmlm-config", "hil_sim.toml", "--rtsmlm-arm", "-k", "not simulated"
    )

    assert "1 passed, 1 skipped" in dark
    assert "read-back: not run: needs --arm" in dark
    assert "2 passed" in lit


def test_the_plugin_loads_nothing_heavy() -> None:
    code = (
        "import sys, rtsmlm.hil.pytest_plugin; "
        "print(sorted({'numpy', 'pydantic', 'numba', 'pymmcore', 'zmq'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
