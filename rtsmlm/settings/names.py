"""Which names a run folder may have: those that every system and every terminal takes."""

from __future__ import annotations

import re
from pathlib import Path

from rtsmlm.errors import ConfigError, printable

# Windows gives these to devices, with any suffix: a folder of that name cannot be opened there.
_RESERVED = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?", re.IGNORECASE
)

LONGEST_NAME = 200
"""Characters: file systems take 255 bytes, and names of files are made from it."""


def check_folder_name(name: str) -> None:
    """Raise `ValueError` unless a new folder may have this name on Linux, macOS and Windows."""
    shown = printable(name)
    if name in ("", ".", ".."):
        raise ValueError("the folder of a run needs a name of its own, such as out/cell_3")
    if shown != name:
        raise ValueError(f"the name '{shown}' holds control characters; leave them out")
    if name[-1] in ". ":
        raise ValueError(f"the name {name!r} ends in a stop or a blank, which Windows drops")
    if _RESERVED.fullmatch(name):
        raise ValueError(f"the name {name!r} is that of a device on Windows; choose another")
    if len(name) > LONGEST_NAME:
        raise ValueError(
            f"the name {name[:20]!r}... has {len(name)} characters; at most {LONGEST_NAME} fit"
        )


def checked_folder(parent: Path, name: str) -> Path:
    """Return the path of a folder that is to be made.

    Parameters
    ----------
    parent
        Where it is to be made; needs not be there yet.
    name
        Its name; empty for `/`, `.` and an empty path, which have none of their own.

    Raises
    ------
    ConfigError
        If the name is none for a folder, or the rest holds control characters.
    """
    try:
        check_folder_name(name)
        if (shown := printable(str(parent))) != str(parent):
            raise ValueError(f"the path '{shown}' holds control characters; leave them out")
    except ValueError as error:
        raise ConfigError(f"{error} (--out, --report, results.name)") from error
    return parent / name


def folder_name_of(text: str) -> str:
    """Return a name for a new folder that is as near to a text as may be, such as a file's name."""
    name = printable(text).replace("\\", "_")[:LONGEST_NAME].rstrip(". ")
    try:
        check_folder_name(name)
    except ValueError:
        return f"movie_{name}".rstrip("_")
    return name
