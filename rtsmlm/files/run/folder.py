"""The folder of a run: which file is called what, and how small files are written safely."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import platform
import shutil
import tomllib
from collections.abc import Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tomli_w

from rtsmlm.errors import ConfigError, SinkError
from rtsmlm.files.run.disk_sync import sync_folder
from rtsmlm.files.run.owner import RunLock
from rtsmlm.files.run.reserve import RESERVE_NAME
from rtsmlm.settings.experiment import folder_label
from rtsmlm.settings.names import checked_folder
from rtsmlm.settings.run import RunSettings

_REPORTED_PACKAGES = (
    "rtsmlm", "numpy", "numba", "scipy", "pyarrow", "pyzmq", "pymmcore", "pymmcore-plus",
    "ome-writers", "zarr", "pydantic",
)  # fmt: skip


class RunFolder:
    """Paths of one run; `create` makes a folder of our own, the constructor opens one to read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = path / "run.toml"
        self.localizations = path / "localizations.arrows"
        self.raw = path / "raw.ome.zarr"
        self.raw_index = path / "raw_index.bin"
        self.ledger = path / "ledger.json"
        self.latency = path / "latency.json"
        self.validity = path / "validity.json"
        self.window = path / "window.json"
        self.lasers = path / "lasers.csv"
        self.report = path / "report.html"
        self.log = path / "rtsmlm.log"
        self.analysis_log = path / "analysis.log"
        self._lock: RunLock | None = None
        self._is_made, self._started = False, ""
        self._before: frozenset[str] = frozenset()
        """What was there before this owner came."""

    @classmethod
    def create(cls, out: Path, name: str | None = None) -> RunFolder:
        """Make a new folder under `out`; without a name it is called by date and time.

        A folder that is there already is used if it holds no run. The result is its only owner,
        in all processes, until `release`.

        Raises
        ------
        ConfigError
            If a run of that name is there already, or is being made, since nothing that was
            recorded is overwritten, or if no folder may have that name.
        SinkError
            If the folder cannot be made.
        """
        if name is None:
            return cls.create_free(out, _date_and_time())
        folder = cls(checked_folder(out, name))
        folder.claim()
        return folder

    @classmethod
    def create_for(cls, settings: RunSettings) -> RunFolder:
        """Make the folder that a run asks for; without a name the sample stands behind the date.

        Raises
        ------
        ConfigError, SinkError
            As `create`.
        """
        results, label = settings.results, folder_label(settings.experiment.sample)
        if results.name is not None or not label:
            return cls.create(results.out, results.name)
        return cls.create_free(results.out, f"{_date_and_time()}_{label}")

    @classmethod
    def create_free(cls, out: Path, name: str) -> RunFolder:
        """Make a new folder under `out`, with a number after its name where that is taken."""
        first = checked_folder(out, name)
        for n in itertools.count(1):
            folder = cls(first if n == 1 else out / f"{name}_{n}")
            if folder.make():
                with contextlib.suppress(ConfigError):  # another run took it in between
                    folder.claim()
                    return folder
        raise AssertionError("unreachable")

    def make(self) -> bool:
        """Make the folder on disk; return False, and change nothing, if it is there already.

        Raises
        ------
        SinkError
            If it cannot be made.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir()
        except FileExistsError as error:
            if self.path.is_dir():
                return False
            raise SinkError(f"cannot make the run folder {self.path}: {error}") from error
        except OSError as error:
            raise SinkError(f"cannot make the run folder {self.path}: {_why(error)}") from error
        self._is_made = True
        return True

    def claim(self) -> None:
        """Become the owner of the folder, which is made if need be; an owner stays it.

        Raises
        ------
        ConfigError
            If it holds a run, or if another one owns it; nothing is touched then.
        SinkError
            If it cannot be made.
        """
        if self._lock is not None:
            return
        self._refuse_run()
        self.make()
        lock = RunLock(self.path)
        try:
            self._refuse_run()  # it may have come and gone in between
            self._before = frozenset(entry.name for entry in self.path.iterdir())
        except BaseException:
            lock.release()
            raise
        self._lock = lock

    def claim_existing(self) -> None:
        """Become the owner of a folder that holds a run, to complete its files.

        Raises
        ------
        ConfigError
            If the run goes on.
        SinkError
            If the folder cannot be written to.
        """
        if self._lock is None:
            self._lock = RunLock(self.path)
            self._before = frozenset(entry.name for entry in self.path.iterdir())

    def release(self) -> None:
        """Give the folder back, and remove it if it was made and is empty. May be repeated."""
        if self._lock is None:
            return
        self._lock.release()
        self._lock = None
        if self._is_made:
            with contextlib.suppress(OSError):
                self.path.rmdir()

    @property
    def run_files(self) -> tuple[Path, ...]:
        """Files and folders that hold what a run has recorded."""
        return (
            self.settings, self.localizations, self.raw, self.raw_index, self.ledger, self.lasers,
        )  # fmt: skip

    def _refuse_run(self) -> None:
        if any(os.path.lexists(path) for path in self.run_files):
            raise ConfigError(
                f"{self.path} holds a run already; choose another name (--out, results.name) or "
                "move the old run away"
            )

    def write_settings(
        self,
        settings: RunSettings,
        run: Mapping[str, Any],
        leave_out: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Write the settings in force, ready to be used as a configuration again.

        Parameters
        ----------
        settings
            Settings in force.
        run
            What is noted of the run, for its section [run].
        leave_out
            Sections that had no part in the run (True), or names of their values that had none.
        """
        exclude = {"run": True, **leave_out}
        data = settings.model_dump(mode="json", exclude_none=True, exclude=exclude)
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        self._started = self._started or self._started_before() or now
        when = {"started": self._started, "written": now}
        data["run"] = {**when, "versions": versions(), "machine": machine(), **run}
        write_text(self.settings, tomli_w.dumps(data))

    def _started_before(self) -> str:
        """Return when the run began, of a folder that has been written before; else nothing."""
        try:
            run = tomllib.loads(self.settings.read_text(encoding="utf-8")).get("run", {})
        except (OSError, ValueError):
            return ""
        return str(run.get("started", "")) if isinstance(run, dict) else ""

    def write_json(self, path: Path, data: Mapping[str, Any]) -> None:
        """Write one of the JSON files of the run."""
        write_text(path, json.dumps(data, indent=2, allow_nan=True) + "\n")

    def discard(self) -> None:
        """Take back a run that never got a frame, so that its name is free again.

        Only an owner does so, and only with what was not there before it came; logs with words
        stay.
        """
        if self._lock is None:
            return
        for path in (*self.run_files[:-1], self.path / RESERVE_NAME):
            if path.name in self._before:
                continue
            with contextlib.suppress(OSError):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        self.drop_empty_log()
        self.release()

    def drop_empty_log(self) -> None:
        """Remove the log of the analysis process if it is empty."""
        with contextlib.suppress(OSError):
            if self.analysis_log.stat().st_size == 0:
                self.analysis_log.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a small file atomically, so that no reader ever sees half of it.

    It is on the disk when this returns, and outlasts a power cut; where it cannot be written,
    nothing is left beside it.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        # A name of a file may hold bytes that are no text, which TOML has no form for.
        with partial.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise SinkError(f"cannot write {path}: {error.strerror or error}") from error


def _date_and_time() -> str:
    return datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")


def _why(error: OSError) -> str:
    """Return the reason of the system, with the limit where a name is too long."""
    reason = error.strerror or str(error)
    if error.errno == errno.ENAMETOOLONG:
        return f"{reason}; a file system takes names of 255 bytes"
    return reason


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
