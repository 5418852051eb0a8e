"""A Micro-Manager configuration runs no Python but that of rtsmlm and of modules named for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtsmlm.drivers.micromanager.core import load_core, release_core
from rtsmlm.errors import DeviceError
from rtsmlm.settings.camera import MicroManagerSettings

MARK = "import pathlib; pathlib.Path({!r}).write_text('it ran')\n"
LINES = [
    "#py pyDevice,X,labname_devices,D",
    "#py   pyDevice,X,labname_devices.inner,D",
    "pyDevice,X,labname_devices,D",
    "Device,X,labname_devices,D",
    "#py Device,X,labname_devices,D",
    "# a comment\x0b#py pyDevice,X,labname_devices,D",
    "  \t#py pyDevice,X,labname_devices,D\r",
]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that is written once a module that can be imported is imported."""
    package = tmp_path / "labname_devices"
    package.mkdir()
    ran = tmp_path / "ran.txt"
    for name in ("__init__.py", "inner.py"):
        (package / name).write_text(MARK.format(str(ran)))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield ran
    for name in [name for name in sys.modules if name.startswith("labname_devices")]:
        del sys.modules[name]


def config(folder: Path, text: str) -> MicroManagerSettings:
    path = folder / "rig.cfg"
    path.write_text(text + "\n")
    return MicroManagerSettings(config=str(path))


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_module_that_is_not_named_is_refused_before_it_is_imported(
    module: Path, tmp_path: Path, line: str
) -> None:
    settings = config(tmp_path, f"#py Property,Core,Initialize,0\n{line}")

    with pytest.raises(
        DeviceError, match=r"rig\.cfg: line \d: device 'X' .*micromanager\.python_modules"
    ):
        load_core(settings)

    assert not module.exists()


def test_a_module_that_is_named_is_imported(module: Path, tmp_path: Path) -> None:
    settings = config(tmp_path, "#py pyDevice,X,labname_devices.inner,D")
    named = settings.model_copy(update={"python_modules": ("labname_devices",)})

    with pytest.raises(DeviceError, match="Could not find class 'D'"):
        load_core(named)

    assert module.exists()


@pytest.mark.parametrize("name", ["rtsmlmx", "rtsmlm_evil.devices"])
def test_a_name_that_only_begins_like_an_allowed_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DeviceError, match=name):
        load_core(config(tmp_path, f"#py pyDevice,X,{name},D"))


def test_the_devices_of_rtsmlm_need_no_mention() -> None:
    release_core(load_core(MicroManagerSettings()))


def test_run_as_a_module_nothing_is_imported_from_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text(MARK.format(str(tmp_path / "ran.txt")))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}

    done = subprocess.run(
        [sys.executable, "-m", "rtsmlm.cli", "--version"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.stdout.startswith("rtsmlm "), done.stderr
    assert not (tmp_path / "ran.txt").exists()


def test_a_program_of_the_user_keeps_its_own_folder_in_the_path(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import rtsmlm\nimport beside\nprint(beside.VALUE)\n")
    (tmp_path / "beside.py").write_text("VALUE = 'found'\n")

    done = subprocess.run(
        [sys.executable, "-m", "mine"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.stdout.strip() == "found", done.stderr
