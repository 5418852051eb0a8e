"""Files of Micro-Manager: summary, index map, and which frame a page is."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.files.limits import MAX_METADATA_BYTES
from rtsmlm.files.movies.metadata import as_int
from rtsmlm.files.movies.tiff_page import Directories, Page
from rtsmlm.files.movies.tiff_pages import check_axes

_INDEX_MAP, _INDEX_MAP_HEAD, _SUMMARY_HEAD, _NDTIFF = 54773648, 3453623, 2355492, 483729
_AXES = {"C": "ChannelIndex", "Z": "SliceIndex", "T": "FrameIndex", "P": "PositionIndex"}
_SIDES = {"C": "Channels", "Z": "Slices", "T": "Frames"}
_OLD_NAMES = {"C": "Channel", "Z": "Slice", "T": "Frame"}


@dataclass(frozen=True, slots=True)
class MicroManagerFile:
    """What a file of Micro-Manager states of itself, apart from its pages."""

    summary: Mapping[str, object] = field(default_factory=dict)
    index: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    """Channel, slice, frame and position of each directory, by where it lies."""


@dataclass(frozen=True, slots=True)
class FrameNumbers:
    """Which frames the pages of a file are."""

    axis: str
    """T time, C channel, Z slice, or P position."""
    numbers: NDArray[np.int64]
    """(n,)"""
    fixed: tuple[tuple[str, int], ...]
    """Place along each other axis."""


def micromanager_file(found: Directories) -> MicroManagerFile:
    """Return summary and index map of a file, empty where there are none."""
    if found.is_big:
        return MicroManagerFile()
    is_map, map_at = struct.unpack_from(f"{found.order}II", found.head, 8)
    if is_map == _NDTIFF:  # then two numbers of its version, a mark, and the summary
        (n_summary,) = struct.unpack_from(f"{found.order}I", found.head, 24)
        return MicroManagerFile(_json(found, 28, n_summary))
    is_summary, n_summary = struct.unpack_from(f"{found.order}II", found.head, 32)
    if is_summary != _SUMMARY_HEAD:
        return MicroManagerFile()
    index: dict[int, tuple[int, int, int, int]] = {}
    if is_map == _INDEX_MAP and map_at:
        is_head, n = struct.unpack(f"{found.order}II", found.read((map_at, 8)).ljust(8, b"\0"))
        n_rows = min(n, len(found.pages)) if is_head == _INDEX_MAP_HEAD else 0
        raw = found.read((map_at + 8, 20 * n_rows))
        rows = np.frombuffer(raw, f"{found.order}u4", len(raw) // 20 * 5).reshape(-1, 5)
        index = {at: (c, z, t, p) for c, z, t, p, at in rows.tolist()}
    return MicroManagerFile(_json(found, 40, n_summary), index)


def page_tags(found: Directories, page: Page) -> dict[str, object]:
    """Return the metadata of a page, empty where there are none."""
    return _json(found, *page.metadata)


def _json(found: Directories, at: int, n_bytes: int) -> dict[str, object]:
    if not 0 < n_bytes <= MAX_METADATA_BYTES:
        return {}
    try:
        text = found.read((at, n_bytes)).rstrip(b"\0").decode("utf-8", errors="replace")
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def frame_numbers(
    found: Directories, pages: Sequence[Page], own: MicroManagerFile
) -> FrameNumbers | None:
    """Return which frames the pages are; None where the file does not say it of each.

    The index map says it; in a file that was not finished, the metadata of the pages do.

    Raises
    ------
    FileFormatError
        If the pages are of several channels, slices or positions.
    """
    if own.index and all(page.at in own.index for page in pages):
        return _along_one_axis(found.path, [own.index[page.at] for page in pages], "CZTP")
    if not pages[0].metadata[1]:
        return None
    first, last = (_place(page_tags(found, page)) for page in (pages[0], pages[-1]))
    if first is None or last is None:
        return None
    differ = [k for k in range(4) if first[k] != last[k]]
    # In most files one number counts up, and the first and the last page prove it.
    if len(differ) == 1 and last[differ[0]] - first[differ[0]] == len(pages) - 1:
        k = differ[0]
        return _numbers("CZTP", k, np.arange(first[k], last[k] + 1), first)
    each = [_place(page_tags(found, page)) for page in pages]
    known = [place for place in each if place is not None]
    return _along_one_axis(found.path, known, "CZTP") if len(known) == len(each) else None


def _place(tags: Mapping[str, object]) -> tuple[int, int, int, int] | None:
    """Return channel, slice, frame and position of a page by its metadata."""
    axes = tags.get("Axes")
    if isinstance(axes, dict):
        named = [axes.get(name) for name in ("channel", "z", "time", "position")]
        numbers = [as_int(place) for place in named]
        # Channels may have names: any number will do that is the same for the same name.
        channel = numbers[0] if numbers[0] is not None else zlib.crc32(str(named[0]).encode())
        z, t, p = (n or 0 for n in numbers[1:])
        return None if numbers[1:] == [None] * 3 else (channel, z, t, p)
    place = [
        as_int(tags.get(key, tags.get(_OLD_NAMES.get(axis, "")))) for axis, key in _AXES.items()
    ]
    frame = place[2]
    return None if frame is None else (place[0] or 0, place[1] or 0, frame, place[3] or 0)


def _along_one_axis(
    path: Path, places: Sequence[tuple[int, int, int, int]], axes: str
) -> FrameNumbers | None:
    table = np.array(places, np.int64)
    several = [(len(set(table[:, k].tolist())), axes[k]) for k in (3, 2, 1, 0)]
    check_axes(path, several)
    k = next((axes.index(axis) for n, axis in several if n > 1), 2)
    if (np.diff(table[:, k]) <= 0).any():
        return None
    return _numbers(axes, k, table[:, k], places[0])


def _numbers(axes: str, k: int, numbers: NDArray[np.int64], place: Sequence[int]) -> FrameNumbers:
    fixed = tuple((axes[other], place[other]) for other in range(4) if other != k)
    return FrameNumbers(axes[k], numbers, fixed)


def planned_frames(summary: Mapping[str, object], axis: str) -> int | None:
    """Return how many frames the acquisition was to have along an axis, None if not stated."""
    planned = as_int(summary.get(_SIDES.get(axis, "Frames")))
    return planned if planned is not None and planned > 0 else None
