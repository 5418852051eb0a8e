"""Which pages of a TIFF file are the frames: pages of one shape and type are one movie.

What else there is, thumbnails, colour previews and pages of another shape, is counted and named.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import FREE_FRAME_BYTES, check_size
from rtsmlm.files.movies.account import LeftOut, count
from rtsmlm.files.movies.checks import check_frame_shape
from rtsmlm.files.movies.tiff_page import Directories, Layout, Page

_SMALL = 4
"""A page of so many times fewer pixels than the frames is a thumbnail."""


class FramePages(NamedTuple):
    """The pages of a file that are frames of a movie."""

    pages: list[Page]
    """Complete ones, in the order of the file."""
    numbers: list[int]
    """Places of `pages` among all directories of the file, from 0."""
    n_cut: int
    """Pages of the same kind whose pixels lie beyond the end of the file."""
    left_out: tuple[LeftOut, ...]


def frame_pages(found: Directories) -> FramePages:
    """Return the pages of a file that are one movie, and what else there is.

    Raises
    ------
    FileFormatError
        If there is none, if two movies are in the file, or if its pages are no grey frames.
    """
    path = found.path
    if not found.pages:
        raise FileFormatError(f"{path} is a TIFF file without a complete image")
    groups: dict[tuple[int, ...], list[int]] = {}
    layouts = {id(page.layout): page.layout for page in found.pages}
    kinds = {key: groups.setdefault(_kind(layout), []) for key, layout in layouts.items()}
    for k, page in enumerate(found.pages):
        kinds[id(page.layout)].append(k)
    grey = {
        kind: places for kind, places in groups.items() if _is_grey(found.pages[places[0]].layout)
    }
    full = {
        kind: places
        for kind, places in grey.items()
        if not all(found.pages[k].is_reduced for k in places)
    }
    candidates = full or grey or groups
    chosen = max(candidates, key=lambda kind: (len(groups[kind]), kind[0] * kind[1]))
    layout = found.pages[groups[chosen][0]].layout
    _check_rivals(path, chosen, candidates)
    _check(found, layout)
    size = found.size_bytes
    there = [k for k in groups[chosen] if found.pages[k].pixels_end <= size]
    if not there:
        raise FileFormatError(f"{path} holds no complete frame: its pixels lie beyond its end")
    left_out = tuple(
        LeftOut(_named(found.pages[places[0]].layout, len(places)), _why(layout, kind, chosen))
        for kind, places in groups.items()
        if kind != chosen
    )
    pages = [found.pages[k] for k in there]
    return FramePages(pages, there, len(groups[chosen]) - len(there), left_out)


def check_axes(path: Path, several: Sequence[tuple[int, str]]) -> None:
    """Raise unless at most one axis has several planes.

    Parameters
    ----------
    path
        The file.
    several
        Number of planes and name of each axis, the slowest first.
    """
    found = " x ".join(f"{n} {axis}" for n, axis in several if n > 1)
    if " x " in found:
        raise FileFormatError(
            f"{path} holds {found} planes (T time, C channel, Z slice, P or R position); "
            "rtsmlm reads one series of frames: export one channel, slice and position as its "
            "own movie"
        )


def _kind(layout: Layout) -> tuple[int, ...]:
    """Return what pages of one movie have in common: shape and type of their values."""
    return (
        layout.height, layout.width, layout.bits, layout.sample_format, layout.samples, layout.depth
    )  # fmt: skip


def _is_grey(layout: Layout) -> bool:
    return layout.samples == 1 and layout.depth == 1


def _check_rivals(
    path: Path, chosen: tuple[int, ...], candidates: dict[tuple[int, ...], list[int]]
) -> None:
    """Raise if another kind of page may as well be the movie."""
    n_chosen = len(candidates[chosen])
    area = chosen[0] * chosen[1]
    rivals = [
        kind
        for kind, places in candidates.items()
        if kind != chosen and 2 * len(places) >= n_chosen > 1
        and len(places) > 1 and _SMALL * kind[0] * kind[1] > area
    ]  # fmt: skip
    if rivals:
        found = ", ".join(
            f"{count(len(candidates[kind]), 'page')} of {kind[0]} x {kind[1]} with {kind[2]} bits"
            for kind in (chosen, *rivals[:4])
        )
        raise FileFormatError(
            f"{path} holds {1 + len(rivals)} series of images ({found}); rtsmlm reads one: "
            "export it as its own movie"
        )


def _check(found: Directories, layout: Layout) -> None:
    """Raise unless a page can be a frame of a camera."""
    path = found.path
    check_frame_shape(path, (layout.height, layout.width))
    if not _is_grey(layout):
        raise FileFormatError(
            f"{path} has {layout.samples} samples per pixel; rtsmlm reads grey "
            "frames: export one channel"
        )
    if layout.dtype is None:
        raise FileFormatError(
            f"{path} holds {layout.bits}-bit values of an unknown kind; export it "
            "as 16-bit unsigned"
        )
    n_bytes = math.prod((layout.height, layout.width)) * np.dtype(layout.dtype).itemsize
    check_size(path, "frames", n_bytes, found.size_bytes, FREE_FRAME_BYTES)


def _named(layout: Layout, n: int) -> str:
    colour = "" if _is_grey(layout) else f", {layout.samples} samples per pixel"
    kind = {2: "signed", 3: "float"}.get(layout.sample_format, "unsigned")
    return (
        f"{count(n, 'page')} of {layout.height} x {layout.width} pixels "
        f"({layout.bits}-bit {kind}{colour})"
    )


def _why(layout: Layout, kind: tuple[int, ...], chosen: tuple[int, ...]) -> str:
    size = f"{layout.height} x {layout.width}"
    if kind[:2] != chosen[:2]:
        return f"the frames have {size} pixels"
    return f"the frames have {layout.bits} bits" if kind[2] != chosen[2] else "of another type"
