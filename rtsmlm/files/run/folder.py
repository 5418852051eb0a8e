"""The folder of a run: which file is called what, and how small files are written safely."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
from collections.abc import Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import tomli_w

from rtsmlm.errors import ConfigError, SinkError
from rtsmlm.settings.names import checked_folder
from rtsmlm.settings.run import RunSettings

_REPORTED_PACKAGES = (
    "rtsmlm", "numpy", "numba", "scipy", "pyarrow", "pyzmq", "pymmcore", "pymmcore-plus",
    "ome-writers", "zarr", "pydantic",
)  # fmt: skip


class RunFolder:
    """Paths of one run; `create` makes a new folder, the constructor opens an existing one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = path / "run.toml"
        self.localizations = path / "localizations.arrows"
        self.raw = path / "raw.ome.zarr"
        self.raw_index = path / "raw_index.bin"
        self.ledger = path / "ledger.json"
        self.latency = path / "latency.json"
        self.validity = path / "validity.json"
        self.lasers = path / "lasers.csv"
        self.log = path / "rtsmlm.log"
        self.analysis_log = path / "analysis.log"

    @classmethod
    def create(cls, out: Path, name: str | None = None) -> RunFolder:
        """Make a new folder under `out`; without a name it is called by date and time.

        A folder that is there already is used if it holds no run.

        Raises
        ------
        ConfigError
            If a run of that name is there already, since nothing that was recorded is overwritten,
            or if no folder may have that name.
        SinkError
            If the folder cannot be made.
        """
        if name is None:
            return cls.create_free(out, datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S"))
        path = checked_folder(out, name)
        folder = cls(path)
        if any(p.exists() for p in (folder.settings, folder.localizations, folder.raw)):
            raise ConfigError(
                f"{path} holds a run already; choose another name (--out, results.name) or move "
                "the old run away"
            )
        folder.make()
        return folder

    @classmethod
    def create_free(cls, out: Path, name: str) -> RunFolder:
        """Make a new folder under `out`, with a number after its name where that is taken."""
        path, n = checked_folder(out, name), 2
        while path.exists():
            path, n = out / f"{name}_{n}", n + 1
        folder = cls(path)
        folder.make()
        return folder

    def make(self) -> None:
        """Make the folder on disk; one that is there already is fine.

        Raises
        ------
        SinkError
            If it cannot be made.
        """
        path = self.path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(f"cannot make the run folder {path}: {error}") from error

    def write_settings(self, settings: RunSettings, run: Mapping[str, Any]) -> None:
        """Write the settings in force, ready to be used as a configuration again."""
        data = settings.model_dump(mode="json", exclude_none=True, exclude={"run"})
        data["run"] = {"versions": versions(), "machine": machine(), **run}
        write_text(self.settings, tomli_w.dumps(data))

    def write_json(self, path: Path, data: Mapping[str, Any]) -> None:
        """Write one of the JSON files of the run."""
        write_text(path, json.dumps(data, indent=2, allow_nan=True) + "\n")

    def discard(self) -> None:
        """Take back a run that never got a frame, so that its name is free again."""
        with contextlib.suppress(OSError):
            for path in (self.settings, self.localizations, self.raw_index):
                path.unlink(missing_ok=True)
            if self.raw.exists():
                shutil.rmtree(self.raw)
            self.drop_empty_log()
            if not any(self.path.iterdir()):
                self.path.rmdir()

    def drop_empty_log(self) -> None:
        """Remove the log of the analysis process if it is empty."""
        with contextlib.suppress(OSError):
            if self.analysis_log.stat().st_size == 0:
                self.analysis_log.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a small file atomically, so that no reader ever sees half of it.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        # A name of a file may hold bytes that are no text; they are written out.
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
        partial.replace(path)
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror or error}") from error


def free_mb(path: Path) -> float:
    """Return the free space of the disk that a path is or will be on, in MB."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free / 2**20


def versions() -> dict[str, str]:
    """Return the versions of the packages that matter for a result."""
    found = {"python": platform.python_version()}
    for name in _REPORTED_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Return what matters of the machine."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
