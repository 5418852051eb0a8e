"""The wheel holds every package on disk, and importing costs what it must."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def packages_on_disk() -> set[str]:
    names = set()
    for package, folder in SETUP["package-dir"].items():
        base = ROOT / folder
        names.add(package)
        names |= {
            ".".join((package, *init.parent.relative_to(base).parts))
            for init in base.rglob("__init__.py")
        }
    return names


def test_every_package_on_disk_is_shipped() -> None:
    assert set(SETUP["packages"]) == packages_on_disk()


def test_importing_the_package_loads_neither_numba_nor_the_core_nor_a_toolkit() -> None:
    code = (
        "import sys, rtsmlm; rtsmlm.__version__; "
        "print(sorted({'numba', 'pymmcore', 'zmq', 'PySide6', 'torch'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
