"""Which pages of which files are the frames of a TIFF movie, and the account of all others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.account import (
    LeftOut,
    MovieAccount,
    StatedFrames,
    count,
    missing_numbers,
)
from rtsmlm.files.movies.tiff_micromanager import planned_frames
from rtsmlm.files.movies.tiff_ome import FrameSeries, OmeXml, frame_series, image_in_file, parse_ome
from rtsmlm.files.movies.tiff_page import Page
from rtsmlm.files.movies.tiff_pages import check_axes
from rtsmlm.files.movies.tiff_parts import (
    NDTIFF_STACK,
    Part,
    earlier_part,
    numbered_beside,
    open_part,
    parts_beside,
)
from rtsmlm.files.movies.tiff_text import stacks

_AXIS_NAMES = {"C": "channels", "Z": "slices", "P": "positions"}


@dataclass(slots=True)
class TiffFrames:
    """The frames of a movie in their order."""

    parts: list[Part]
    """The files; the first is the one that was opened."""
    pages: list[Page] = field(default_factory=list)
    part_of: list[int] = field(default_factory=list)
    """Which of `parts` a page is in."""
    numbers: list[int] | None = None
    """Frame numbers that the files state, None where they state none."""
    behind_one_directory: int | None = None
    """Frames that follow each other from the first page on, where directories are missing."""
    stated: list[StatedFrames] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    further: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def n_frames(self) -> int:
        return self.behind_one_directory or len(self.pages)

    @property
    def account(self) -> MovieAccount:
        """What is stated, present and read."""
        stated = list(self.stated)
        if self.behind_one_directory is None:
            n_listed = len(self.pages) + sum(part.frames.n_cut for part in self.parts)
            stated.append(StatedFrames("the list of pages", n_listed))
        return MovieAccount(
            read=self.n_frames,
            present=self.n_frames,
            stated=tuple(stated),
            left_out=tuple(self.left_out),
            further=tuple(self.further),
        )

    @property
    def frame_index(self) -> NDArray[np.int64] | None:
        """Frame numbers, shape (n_frames,); None where they count from 0."""
        if self.numbers is None or self.numbers == list(range(len(self.numbers))):
            return None
        return np.array(self.numbers, np.int64)

    def add(self, part: int, pages: Iterable[Page], numbers: Iterable[int] | None = None) -> None:
        """Append frames of a part, with their numbers if those are known."""
        before = len(self.pages)
        self.pages += pages
        self.part_of += [part] * (len(self.pages) - before)
        if numbers is not None:
            self.numbers = [*(self.numbers or ()), *numbers]


def tiff_frames(path: Path) -> TiffFrames:
    """Return the frames of the movie that a file is or begins.

    Raises
    ------
    FileFormatError
        If it holds no movie, or several.
    """
    part = open_part(path)
    text = _text(part, part.found.pages[0])
    ome = parse_ome(text, path.name) if "<OME" in text[:4000] or ":OME" in text[:4000] else OmeXml()
    if part.own.summary or part.numbers is not None or NDTIFF_STACK in path.name:
        frames = _micromanager(part, ome)
    elif ome.images or ome.elsewhere:
        frames = _ome(part, _complete_ome(part, ome))
    else:
        frames = _plain(part)
    for each in frames.parts:
        _damage(frames, each, several=len(frames.parts) > 1)
    if frames.numbers is not None and (missing := missing_numbers(sorted(frames.numbers))):
        frames.further.append(missing)
    return frames


def _text(part: Part, page: Page) -> str:
    return part.found.read(page.description).rstrip(b"\0").decode("utf-8", errors="replace")


def _damage(frames: TiffFrames, part: Part, *, several: bool) -> None:
    name = f"{part.path.name} " if several else ""
    frames.left_out += part.frames.left_out
    if part.found.next_at:
        frames.further.append(
            f"{name}cut short: its last page names another one, which is not there"
        )
    if part.found.n_damaged:
        n = part.found.n_damaged
        frames.left_out.append(LeftOut(count(n, "page"), "its directory describes no image"))


def _plain(part: Part) -> TiffFrames:
    """Return the frames of a file by its pages, its texts being that of ImageJ or tifffile."""
    frames, pages = TiffFrames([part]), part.found.pages
    shape = part.layout.height, part.layout.width
    texts = stacks(len(pages), shape, lambda k: _text(part, pages[k]))
    n_stated = sum(text.n_frames for text in texts)
    if texts:
        frames.stated.append(StatedFrames(texts[0].source, n_stated))
    several = [text for text in texts if text.n_frames > 1]
    for text in several:
        named = [(n, axis) for n, axis in text.axes if axis not in "?IQ"]
        check_axes(part.path, named)
        if text.axes and not named:
            planes = " x ".join(str(n) for n, _ in text.axes)
            frames.notes.append(f"{planes} planes, read in the order of the file")
    if len(several) > 1:
        sizes = " and ".join(str(text.n_frames) for text in several[:5])
        frames.further.append(
            f"the file holds {len(several)} stacks, of {sizes} frames, which are read one behind "
            "the other"
        )
    n_planes = part.frames.pages[0].n_planes
    if n_planes > 1 and len(part.frames.pages) == 1:
        n_stated = n_planes
        frames.stated.append(StatedFrames("the MetaMorph tag", n_planes))
    frames.add(0, part.frames.pages)
    frames.behind_one_directory = _behind_one_directory(part, n_stated)
    return frames


def _behind_one_directory(part: Part, n_stated: int) -> int | None:
    """Return how many frames follow the first page without directories, None where none do.

    ImageJ writes one directory and leaves the rest to arithmetic above 4 GB; it and tifffile also
    write all directories but the first one last, so that a file that is cut short has lost them.
    """
    pages, found = part.frames.pages, part.found
    layout, first = pages[0].layout, pages[0].pixels_at
    n_bytes = layout.height * layout.width * layout.bits // 8
    if n_stated <= len(found.pages) or not layout.is_plain or len(pages) != len(found.pages):
        return None
    if any(page.pixels_at != first + k * n_bytes for k, page in enumerate(pages)):
        return None
    # The directories that are there, and the one that is not, must leave room for all frames.
    others = [page.at for page in pages[1:]] + ([found.next_at] if found.next_at else [])
    end = first + n_stated * n_bytes
    is_proven = all(at >= end for at in others) and not first <= pages[0].at < end
    if not is_proven or not (found.next_at or len(pages) == 1):
        return None
    there = min(n_stated, (found.size_bytes - first) // n_bytes)
    return there if there > len(pages) else None


def _micromanager(part: Part, ome: OmeXml) -> TiffFrames:
    """Return the frames of a recording of Micro-Manager, which may go on in files beside it."""
    image, _ = image_in_file(part.path, ome)
    listed = list(dict.fromkeys(b.file for b in image.blocks if b.file)) if image else []
    beside = parts_beside(part, listed)
    frames = TiffFrames(beside.parts, further=beside.further, notes=beside.notes)
    for k, each in enumerate(beside.parts):
        numbers = None if each.numbers is None else each.numbers.numbers.tolist()
        frames.add(k, each.frames.pages, numbers)
    if any(each.numbers is None for each in beside.parts):
        frames.numbers = None
    axis = part.numbers.axis if part.numbers else "T"
    if axis in _AXIS_NAMES:
        frames.notes.append(f"the frames are {_AXIS_NAMES[axis]} by their metadata")
    if (planned := planned_frames(part.own.summary, axis)) is not None:
        frames.stated.append(StatedFrames("the plan of the acquisition", planned))
    if image and axis in image.sides:
        frames.stated.append(StatedFrames("the OME-XML", image.sides[axis]))
    missing = [name for name in listed if not part.path.with_name(name).is_file()]
    if missing and len(beside.parts) <= len(listed):
        frames.further.append(f"files that the OME-XML names are missing: {', '.join(missing[:5])}")
    if len(beside.parts) == 1 and (base := earlier_part(part)):
        frames.further.append(f"it is a later part of {base.name}; open that for all frames")
    if NDTIFF_STACK in part.path.name:
        frames.further.append("NDTiff.index is missing; pages are read in the order of the files")
    return frames


def _complete_ome(part: Part, ome: OmeXml) -> OmeXml:
    """Return the metadata that a file refers to, or what it has itself where they are missing."""
    if not ome.elsewhere:
        return ome
    path = part.path.with_name(Path(ome.elsewhere).name)
    try:
        if path.suffix.lower() in (".ome", ".xml"):
            return parse_ome(path.read_text("utf-8", errors="replace"), part.path.name)
        other = open_part(path)
        return parse_ome(_text(other, other.found.pages[0]), part.path.name)
    except (FileFormatError, OSError):
        return ome


def _ome(part: Part, ome: OmeXml) -> TiffFrames:
    """Return the frames of the image that the OME-XML says to be in the file that was opened."""
    image, inside = image_in_file(part.path, ome)
    if image is None:
        frames = _plain(part)
        if ome.elsewhere:
            frames.further.append(f"its OME-XML lies in {ome.elsewhere}, which is missing")
        elif ome.images:
            frames.further.append(
                "its OME-XML names other files only; the pages are read in the order of the file"
            )
        return frames
    series = frame_series(part.path, image, len(part.found.pages))
    frames = TiffFrames([part], stated=[StatedFrames("the OME-XML", series.n_stated)])
    if len(ome.images) > 1 + len(inside):
        frames.notes.append(
            f"image {image.name!r} of the {len(ome.images)} that the OME-XML describes is read"
        )
    frames.left_out += [LeftOut(f"image {name!r}", "it lies beside the movie") for name in inside]
    frames.left_out += [
        LeftOut(where, f"it lies in {file}") for where, file in series.others[:5]
    ]  # fmt: skip
    if series.axis in _AXIS_NAMES and series.n_stated > 1:
        frames.notes.append(f"the frames are {_AXIS_NAMES[series.axis]} by their metadata")
    numbered = list(_numbered_pages(frames, series))
    is_known = {(k, page.at) for _, k, page in numbered}
    frames.numbers = []
    for number, k, page in numbered:
        frames.add(k, [page], [number])
    # Pages of which the OME-XML does not know follow the last of their file.
    rest = [page for page in part.frames.pages if (0, page.at) not in is_known]
    if rest and not inside:
        frames.add(0, rest, range(series.n_stated, series.n_stated + len(rest)))
    if not frames.pages:
        raise FileFormatError(f"{part.path} holds no page that its OME-XML names")
    return frames


def _numbered_pages(frames: TiffFrames, series: FrameSeries) -> Iterable[tuple[int, int, Page]]:
    """Yield number, part and page of each plane of a series that is there."""
    part, parts, missing = frames.parts[0], {"": 0}, list[str]()
    pages = [dict(zip(part.frames.numbers, part.frames.pages, strict=True))]
    for number, file, at in series.planes:
        if file in missing:
            continue
        if file not in parts:
            path = part.path.with_name(Path(file).name)
            try:
                other = open_part(path)
            except (FileFormatError, OSError):
                missing.append(file)
                continue
            if other.layout[:5] != part.layout[:5] or other.found.order != part.found.order:
                missing.append(file)
                continue
            parts[file] = len(frames.parts)
            frames.parts.append(other)
            pages.append(dict(zip(other.frames.numbers, other.frames.pages, strict=True)))
        if at in pages[parts[file]]:
            yield number, parts[file], pages[parts[file]][at]
    if missing:
        names = ", ".join(missing[:5])
        beside = ", ".join(path.name for path in numbered_beside(part.path)[:5])
        hint = f"; {beside} may be of them, but nothing in it says so" if beside else ""
        frames.further.append(
            f"files that the OME-XML names are missing or are of another kind: {names}{hint}"
        )
