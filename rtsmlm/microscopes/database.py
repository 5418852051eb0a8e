"""The files of the microscope database: those of rtsmlm, and those of the user before them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from rtsmlm.errors import ConfigError
from rtsmlm.microscopes.known_camera import KnownCamera

OWN_FOLDER_VARIABLE = "RTSMLM_MICROSCOPES"
"""Environment variable with another folder of own microscopes, such as one that a lab shares."""
SHIPPED = "rtsmlm"
"""Origin of what comes with rtsmlm; of all else it is the path of the file."""
_MOST_BYTES = 1 << 20


class MicroscopeFile(BaseModel):
    """A file of the database."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cameras: tuple[KnownCamera, ...] = ()
    lasers: tuple[dict[str, object], ...] = ()
    """Kinds of lasers; the drivers know what they mean."""


def own_folder() -> Path:
    """Return the folder of the user's own microscopes; it needs not be there."""
    if folder := os.environ.get(OWN_FOLDER_VARIABLE):
        return Path(folder)
    import platformdirs

    return platformdirs.user_config_path("rtsmlm", appauthor=False) / "microscopes"


def known_cameras() -> Iterator[tuple[KnownCamera, str]]:
    """Yield the cameras of the database with where each is from, the user's own first.

    Raises
    ------
    ConfigError
        If a file of the user cannot be read, or states a figure without its source.
    """
    for file in _own_files():
        for camera in _read(file).cameras:
            yield camera, str(file)
    for camera in _shipped("cameras.toml").cameras:
        yield camera, SHIPPED


def known_lasers() -> Iterator[tuple[Mapping[str, object], str]]:
    """Yield what is stated of kinds of lasers with where each is from, the user's own first.

    Raises
    ------
    ConfigError
        If a file of the user cannot be read.
    """
    for file in _own_files():
        for laser in _read(file).lasers:
            yield laser, str(file)
    for laser in _shipped("lasers.toml").lasers:
        yield laser, SHIPPED


def _own_files() -> list[Path]:
    folder = own_folder()
    return sorted(folder.glob("*.toml")) if folder.is_dir() else []


@cache
def _shipped(name: str) -> MicroscopeFile:
    text = resources.files("rtsmlm.microscopes").joinpath(name).read_text(encoding="utf-8")
    return MicroscopeFile.model_validate(tomllib.loads(text))


def _read(file: Path) -> MicroscopeFile:
    """Return what a file of the user states."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes")
        return MicroscopeFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise ConfigError(f"the microscope {file} is wrong: {fault(error)}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"cannot read the microscope {file}: {error}; correct it or take it out of the folder"
        ) from error


def fault(error: ValidationError) -> str:
    """Return what is wrong with the first value that is."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "[key]")
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"
