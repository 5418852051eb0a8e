"""Finds architectures and models by name: those that ship, those of other packages, a folder."""

from __future__ import annotations

from importlib import resources
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.models.architecture import Architecture
from rtsmlm.models.manifest import MANIFEST_NAME, Manifest, read_manifest
from rtsmlm.settings.run import is_written_as_path

GROUP = "rtsmlm.network"


def architecture_of(name: str) -> Architecture:
    """Return the architecture of a name.

    Raises
    ------
    ConfigError
        If there is none of this name, or its package does not load.
    """
    found = {offer.name: offer for offer in entry_points(group=GROUP)}
    if name not in found:
        raise ConfigError(
            f"no architecture named {name!r}; installed: {', '.join(sorted(found)) or 'none'}. "
            "A model of another one needs the package that brings it"
        )
    offer = found[name]
    try:
        return cast(Architecture, offer.load())
    except Exception as error:  # whatever a foreign module does while it is imported
        raise ConfigError(
            f"the architecture {name!r} ({offer.value}) cannot be imported: {error}"
        ) from error


def model_folders() -> dict[str, Path]:
    """Return the folders of all models that are installed, by name.

    These are the ones that ship with rtsmlm, and those that lie in the folder `weights` beside
    the module of an architecture of another package.
    """
    folders = _in(Path(str(resources.files("rtsmlm.models"))) / "weights")
    for offer in entry_points(group=GROUP):
        package = offer.module.rpartition(".")[0]
        if package and not package.startswith("rtsmlm."):
            try:
                folders |= _in(Path(str(resources.files(package))) / "weights")
            except (ImportError, TypeError):  # a package that is half removed offers no model
                continue
    return folders


def _in(base: Path) -> dict[str, Path]:
    return {path.parent.name: path.parent for path in sorted(base.glob(f"*/{MANIFEST_NAME}"))}


def is_path(name: str) -> bool:
    """Tell whether the name of a localizer is meant as the path of a model folder."""
    if not name:
        return False
    return is_written_as_path(name) or (Path(name) / MANIFEST_NAME).is_file()


def neighbours_of(name: str) -> int:
    """Return how many frames before and after a frame a localizer may look at, at least one.

    Parameters
    ----------
    name
        As in `localizer.name`; what is wrong with it is said where the localizer is opened.
    """
    try:
        return max(read_manifest(find_model(name)).neighbours, 1)
    except (ConfigError, FileFormatError):
        return 1  # a fit, or a localizer of another package


def find_model(name: str) -> Path:
    """Return the folder of a model.

    Parameters
    ----------
    name
        Name of an installed model, or path of a folder with `manifest.toml`.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if is_path(name):
        folder = Path(name).expanduser()
        if (folder / MANIFEST_NAME).is_file():
            return folder.resolve()
        what = "has no manifest.toml" if folder.is_dir() else "is not a folder"
        raise ConfigError(
            f"{folder} {what}, so that it is no model; rtsmlm export writes model folders"
        )
    folders = model_folders()
    if name not in folders:
        raise ConfigError(
            f"no model named {name!r}; there are {', '.join(sorted(folders)) or 'none'}, or give "
            "the path of a model folder"
        )
    return folders[name]


def manifest_if_model(name: str) -> Manifest | None:
    """Return the manifest of a model; None for a name that is none, or a folder that is damaged.

    Parameters
    ----------
    name
        As `find_model` takes it. What is wrong with it is said where the model is opened.
    """
    try:
        return read_manifest(find_model(name))
    except (ConfigError, FileFormatError):
        return None
