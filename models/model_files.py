"""Files of a model folder, by the sha256 that its manifest states of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import Field

from rtsmlm.errors import FileFormatError
from rtsmlm.settings.base import Settings


class FileEntry(Settings):
    """A file beside the manifest."""

    name: str = Field(pattern=r"^[^./\\:\x00-\x1f][^/\\:\x00-\x1f]*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


def file_entry(path: Path) -> FileEntry:
    """Return name and sha256 of a file."""
    return FileEntry(name=path.name, sha256=_sha256(path))


def check_file(path: Path, sha256: str) -> None:
    """Refuse a file that is not the one that its manifest describes.

    Raises
    ------
    FileFormatError
        If it is missing or was changed.
    """
    if not path.is_file():
        raise FileFormatError(f"{path} is missing; install rtsmlm again or export the model again")
    if _sha256(path) != sha256:
        raise FileFormatError(
            f"{path} is not the file that its manifest describes (sha256 differs); install rtsmlm "
            "again or export the model again"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
