"""A recording that is spread over several TIFF files: which of those beside it go on with it.

Micro-Manager splits at 4 GB into `X.ome.tif`, `X_1.ome.tif`, ...; a user who renames them keeps
the numbers. A file is taken for a part only if its contents say so, never for its name alone.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.tiff_directory import read_directories
from rtsmlm.files.movies.tiff_micromanager import (
    FrameNumbers,
    MicroManagerFile,
    frame_numbers,
    micromanager_file,
)
from rtsmlm.files.movies.tiff_page import Directories, Layout
from rtsmlm.files.movies.tiff_pages import FramePages, frame_pages

_SUFFIX = re.compile(r"(\.ome)?\.(tiff?|btf|tf2|tf8)$", re.IGNORECASE)
_NUMBER = re.compile(r"_(\d{1,4})$")
NDTIFF_STACK = "_NDTiffStack"
"""In the names of the files of an NDTiff data set."""


@dataclass(frozen=True, slots=True)
class Part:
    """One TIFF file of a recording, with the pages of it that are frames."""

    found: Directories
    frames: FramePages
    own: MicroManagerFile
    numbers: FrameNumbers | None

    @property
    def path(self) -> Path:
        """The file."""
        return self.found.path

    @property
    def layout(self) -> Layout:
        """Of its first frame."""
        return self.frames.pages[0].layout


@dataclass(slots=True)
class PartsFound:
    """The parts of a recording in their order, and what is wrong with those beside it."""

    parts: list[Part]
    further: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def open_part(path: Path) -> Part:
    """Read the directories of a TIFF file.

    Raises
    ------
    FileFormatError
        If it holds no movie.
    """
    found = read_directories(path)
    frames = frame_pages(found)
    own = micromanager_file(found)
    return Part(found, frames, own, frame_numbers(found, frames.pages, own))


def parts_beside(first: Part, listed: Sequence[str]) -> PartsFound:
    """Return the parts of a recording that begins with a file, itself included.

    Parameters
    ----------
    first
        The file that was opened.
    listed
        Names of the other files by its metadata, in their order. Where they are not there, those
        are tried that continue the name of the file: `_1`, `_2`, ...
    """
    result = PartsFound([first])
    candidates = [first.path.with_name(name) for name in listed]
    if not candidates or not all(path.is_file() for path in candidates):
        candidates = numbered_beside(first.path) or [p for p in candidates if p.is_file()]
    for path in candidates:
        try:
            if not path.stat().st_size:
                raise FileFormatError("it has 0 bytes")
            part = open_part(path)
        except (FileFormatError, OSError) as error:
            text = str(error).replace(str(path), "it")
            result.further.append(f"{path.name} beside it is left out: {text}")
            continue
        if reason := _why_not(result.parts[-1], part):
            result.notes.append(f"{path.name} beside it is not read: {reason}")
            break
        result.parts.append(part)
    return result


def earlier_part(part: Part) -> Path | None:
    """Return the first file of a recording of which this one is a later part, else None."""
    stem, suffix = _split(part.path.name)
    base = part.path.with_name(_NUMBER.sub("", stem) + suffix)
    if base == part.path or not base.is_file():
        return None
    try:
        first = open_part(base)
    except (FileFormatError, OSError):
        return None
    return None if _why_not(first, part) else base


def _split(name: str) -> tuple[str, str]:
    found = _SUFFIX.search(name)
    return (name[: found.start()], found[0]) if found else (name, "")


def numbered_beside(path: Path) -> list[Path]:
    """Return the files `X_1`, `X_2`, ... beside a file X, by rising number; some may be missing."""
    stem, suffix = _split(path.name)
    found = {
        int(number[1]): other
        for other in path.parent.glob(f"{glob.escape(stem)}_*{glob.escape(suffix)}")
        if (number := re.fullmatch(r"_(\d{1,4})", other.name[len(stem) : -len(suffix) or None]))
    }
    return [found[number] for number in sorted(found)]


def _why_not(before: Part, part: Part) -> str | None:
    """Return why a file does not go on with a recording, None if it does."""
    if part.layout[:5] != before.layout[:5] or part.found.order != before.found.order:
        return (
            f"its frames have {part.layout.height} x {part.layout.width} pixels of "
            f"{part.layout.bits} bits"
        )
    if part.own.summary != before.own.summary:
        return "it is of another acquisition"
    if part.numbers is None or before.numbers is None:
        is_set = NDTIFF_STACK in part.path.name and NDTIFF_STACK in before.path.name
        return None if is_set else "nothing in it says that it goes on"
    if (part.numbers.axis, part.numbers.fixed) != (before.numbers.axis, before.numbers.fixed):
        return "it is of another channel, slice or position"
    if part.numbers.numbers[0] <= before.numbers.numbers[-1]:
        return "its frame numbers do not go on"
    return None
