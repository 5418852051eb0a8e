"""Files that state how the runs of this user are reached on this machine, one for each armed run.

They lie in a folder that no other user can enter, and no other user can read them: who can read one
may switch the lasers of that run off.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs
from pydantic import TypeAdapter, ValidationError

from rtsmlm.errors import ConfigError
from rtsmlm.realtime.process_identity import ProcessIdentity, is_running

_FILE_MODE, _FOLDER_MODE = 0o600, 0o700
_OTHERS = 0o077
_OTHERS_WRITE = 0o022
_MOST_BYTES = 4096
_SUFFIX = ".control.json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ControlEntry:
    """One armed run of this user."""

    run_id: str
    run: str
    """Its name."""
    port: int
    """On 127.0.0.1."""
    token: str
    process: ProcessIdentity

    def write(self, folder: Path) -> None:
        """Write the file, readable by this user alone from its first byte on."""
        path = _path(folder, self.run_id)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
        new.replace(path)

    def remove(self, folder: Path) -> None:
        """Remove the file."""
        with suppress(OSError):
            _path(folder, self.run_id).unlink()


_ADAPTER = TypeAdapter(ControlEntry)


def _path(folder: Path, run_id: str) -> Path:
    return folder / f"{run_id}{_SUFFIX}"


def private_folder() -> Path:
    """Return the folder for such files, made if it is not there.

    Raises
    ------
    ConfigError
        If it cannot be made, or another user could enter or replace it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it may lie in the folder for temporary files
        folder = platformdirs.user_runtime_path("rtsmlm", appauthor=False)
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        check_private(folder)
    except OSError as error:
        raise ConfigError(f"the private folder {folder} cannot be made: {error}") from error
    return folder


def check_private(folder: Path) -> None:
    """Raise `ConfigError` if another user could enter the folder or put another in its place.

    On Windows the folder lies in the profile of the user, which others cannot enter.
    """
    if not hasattr(os, "geteuid"):
        return
    own, above = folder.lstat(), folder.parent.lstat()
    if not stat.S_ISDIR(own.st_mode) or own.st_uid != os.geteuid() or own.st_mode & _OTHERS:
        raise ConfigError(
            f"{folder} is not a folder of this user alone (mode 700); remove it and start again"
        )
    sticky = above.st_mode & stat.S_ISVTX
    if above.st_uid not in (0, os.geteuid()) or (above.st_mode & _OTHERS_WRITE and not sticky):
        raise ConfigError(
            f"{folder.parent} belongs to another user, who could replace {folder.name} in it; "
            "remove it and start again"
        )


def entries(folder: Path) -> list[ControlEntry]:
    """Return the runs whose process is there; files that cannot be trusted are left out."""
    found = [_read(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))]
    return [entry for entry in found if entry is not None and is_running(entry.process)]


def is_reachable(run_id: str) -> bool:
    """Return whether the run of this number can be asked to switch its lasers off."""
    try:
        return _path(private_folder(), run_id).is_file()
    except (OSError, ConfigError, ValueError):
        return False


def remove_stale(folder: Path) -> None:
    """Remove the files of runs whose process is gone."""
    for path in folder.glob(f"*{_SUFFIX}"):
        entry = _read(path)
        if entry is None or not is_running(entry.process):
            with suppress(OSError):
                path.unlink()


def _read(path: Path) -> ControlEntry | None:
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            if hasattr(os, "geteuid") and (state.st_uid != os.geteuid() or state.st_mode & _OTHERS):
                _log.warning("%s is not of this user alone, and is not used", path)
                return None
            return _ADAPTER.validate_json(file.read(_MOST_BYTES), strict=True)
    except (OSError, ValidationError) as error:
        _log.debug("%s cannot be read: %s", path, error)
        return None
