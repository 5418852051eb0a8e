"""OME-XML of a TIFF file: which plane of which image lies in which page of which file.

Read by its attributes alone, with no XML parser: metadata that are cut, or written by hand, still
say what they hold, and nothing in them can expand.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import MAX_INDEX_ENTRIES
from rtsmlm.files.movies.metadata import as_int
from rtsmlm.files.movies.tiff_pages import check_axes

_TAG = re.compile(r"<(?:\w+:)?(OME|Image|Pixels|TiffData|UUID|BinaryOnly)\b([^<>]*)>([^<>]{0,200})")
_ATTRIBUTE = re.compile(r"""([\w:]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_AXES = "CZT"


class Plane(NamedTuple):
    """One plane of an image, and where it is to lie."""

    number: int
    """Along the axis of the frames, from 0."""
    file: str
    """Name of its file, empty for the file that was opened."""
    page: int
    """Number of the directory in that file."""


class _Block(NamedTuple):
    """One TiffData element: planes that follow each other in pages that do, too."""

    first: int
    """Number of its first plane in the order of the image."""
    page: int
    n_planes: int
    file: str
    is_own: bool


@dataclass(slots=True)
class OmeImage:
    """One image, which in Micro-Manager and ome-writers is one stage position."""

    name: str
    sides: dict[str, int] = field(default_factory=dict)
    """Planes along C, Z and T."""
    order: str = _AXES
    """Axes of the planes, the fastest first."""
    blocks: list[_Block] = field(default_factory=list)

    @property
    def n_planes(self) -> int:
        return math.prod(self.sides.values())

    def places(self, number: int) -> dict[str, int]:
        """Return the place of a plane along each axis."""
        places = {}
        for axis in self.order:
            number, places[axis] = divmod(number, self.sides[axis])
        return places


@dataclass(slots=True)
class OmeXml:
    """What the OME-XML of a file states."""

    images: list[OmeImage] = field(default_factory=list)
    elsewhere: str = ""
    """Name of the file that has the metadata, where this one only refers to it."""


@dataclass(frozen=True, slots=True)
class FrameSeries:
    """The planes of one image that are a movie, by rising number."""

    image: OmeImage
    planes: list[Plane]
    axis: str
    n_stated: int
    others: tuple[tuple[str, str], ...] = ()
    """Planes that lie in other files and belong to other channels or slices: what, and where."""


def parse_ome(xml: str, name: str) -> OmeXml:
    """Return what OME-XML states.

    Parameters
    ----------
    xml
        The text of the first page.
    name
        Of the file it is from.
    """
    found, root_id = OmeXml(), ""
    waiting: dict[str, str] | None = None  # a TiffData element whose UUID may follow

    def flush(uuid: Mapping[str, str], uuid_text: str) -> None:
        nonlocal waiting
        if waiting is not None and found.images and found.images[-1].sides:
            image = found.images[-1]
            file = uuid.get("FileName", "")
            is_own = not uuid or file == name or bool(root_id and uuid_text.strip() == root_id)
            image.blocks.append(_block(image, waiting, "" if is_own else file, is_own=is_own))
        waiting = None

    for tag, text, content in _TAG.findall(xml):
        attributes = {key: a or b for key, a, b in _ATTRIBUTE.findall(text)}
        if tag == "UUID":
            flush(attributes, content)
            continue
        flush({}, "")
        if tag == "OME":
            root_id = attributes.get("UUID", "")
        elif tag == "BinaryOnly":
            found.elsewhere = attributes.get("MetadataFile", "")
        elif tag == "Image":
            found.images.append(OmeImage(attributes.get("Name") or attributes.get("ID", "")))
        elif tag == "Pixels" and found.images and not found.images[-1].sides:
            _set_sides(found.images[-1], attributes)
        elif tag == "TiffData":
            waiting = attributes
    flush({}, "")
    found.images = [image for image in found.images if image.sides]
    return found


def _set_sides(image: OmeImage, attributes: Mapping[str, str]) -> None:
    sides = {axis: as_int(attributes.get(f"Size{axis}")) or 1 for axis in _AXES}
    if all(n >= 1 for n in sides.values()):
        image.sides = sides
        order = [axis for axis in attributes.get("DimensionOrder", "") if axis in _AXES]
        image.order = "".join(dict.fromkeys([*order, *_AXES]))


def _block(image: OmeImage, attributes: Mapping[str, str], file: str, *, is_own: bool) -> _Block:
    def number(key: str, default: int) -> int:
        value = as_int(attributes.get(key))
        return default if value is None or value < 0 else value

    first, step = 0, 1
    for axis in image.order:
        first += step * min(number(f"First{axis}", 0), image.sides[axis] - 1)
        step *= image.sides[axis]
    # Without numbers a block holds all planes that there are; with one of them, one plane.
    alone = 1 if "IFD" in attributes else image.n_planes - first
    n = min(number("PlaneCount", alone), image.n_planes - first, MAX_INDEX_ENTRIES)
    return _Block(first, number("IFD", 0), n, file, is_own)


def image_in_file(path: Path, ome: OmeXml) -> tuple[OmeImage | None, tuple[str, ...]]:
    """Return the image of the file that was opened, and the names of others that lie in it.

    None where the file names are gone and nothing tells which of several images it is.

    Raises
    ------
    FileFormatError
        If the file holds several movies.
    """
    own = [image for image in ome.images if any(block.is_own for block in image.blocks)]
    if not own:
        return (ome.images[0] if len(ome.images) == 1 else None), ()
    movies = [image for image in own if _n_own(image) > 1] or own[:1]
    if len(movies) > 1:
        found = ", ".join(f"{image.name or '?'}: {_n_own(image)} planes" for image in movies[:5])
        raise FileFormatError(
            f"{path} holds {len(movies)} images or positions ({found}); rtsmlm reads one: "
            "export it as its own movie"
        )
    return movies[0], tuple(image.name for image in own if image is not movies[0])


def _n_own(image: OmeImage) -> int:
    return sum(block.n_planes for block in image.blocks if block.is_own)


def frame_series(path: Path, image: OmeImage, n_pages: int) -> FrameSeries:
    """Return the planes of an image that belong to the movie in the file that was opened.

    Parameters
    ----------
    path
        The file, for the error.
    image
        Its image.
    n_pages
        Pages in it: no more planes can lie in it.

    Raises
    ------
    FileFormatError
        If the file holds several channels or slices of a time series.
    """
    slowest_first = image.order[::-1]
    long = [axis for axis in slowest_first if image.sides[axis] > 1]
    if len(long) <= 1:  # nearly all images: the number of a plane is its place
        planes = [Plane(*plane) for plane in _expanded(image, n_pages)]
        axis = long[0] if long else "T"
        return FrameSeries(image, sorted(planes), axis, image.sides[axis])
    own = [number for number, file, _ in _expanded(image, n_pages) if not file]
    places = [image.places(p) for p in own] or [dict.fromkeys(_AXES, 0)]
    vary = [axis for axis in slowest_first if len({place[axis] for place in places}) > 1]
    check_axes(path, [(image.sides[axis], axis) for axis in vary])
    several = [axis for axis in slowest_first if image.sides[axis] > 1]
    axis = vary[0] if vary else ("T" if "T" in several or not several else several[0])
    fixed = {other: places[0][other] for other in _AXES if other != axis}
    planes, others = list[Plane](), dict[str, str]()
    for number, file, page in _expanded(image, n_pages):
        place = image.places(number)
        if all(place[other] == at for other, at in fixed.items()):
            planes.append(Plane(place[axis], file, page))
        elif file:
            label = ", ".join(f"{o} {place[o]}" for o in fixed if place[o] != fixed[o])
            others.setdefault(label, file)
    planes.sort()
    return FrameSeries(image, planes, axis, image.sides[axis], tuple(others.items()))


def _most(block: _Block, n_pages: int) -> int:
    return max(0, min(block.n_planes, n_pages - block.page)) if block.is_own else block.n_planes


def _expanded(image: OmeImage, n_pages: int) -> Iterator[tuple[int, str, int]]:
    room = MAX_INDEX_ENTRIES
    for block in image.blocks:
        n = min(_most(block, n_pages), room)
        room -= n
        for k in range(n):
            yield block.first + k, block.file, block.page + k
