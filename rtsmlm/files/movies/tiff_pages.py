"""Which pages of a TIFF file are the frames, and which of them are complete."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tifffile

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.account import MovieAccount, StatedFrames

# Axes that tifffile gives to planes whose meaning the file does not state.
_UNNAMED_AXES = set("IQ")


class SeriesPages(Sequence[tifffile.TiffPage]):
    """The pages of a series, of which a file may hold fewer than the series states."""

    def __init__(self, pages: Any, n: int) -> None:
        self._pages = pages
        # Files of a split OME movie that are not there leave None in the list.
        found = pages.index(None) if isinstance(pages, list) and None in pages else len(pages)
        self._n = min(n, found)

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, item: Any) -> Any:
        return self._pages[item]


def main_series(path: Path, every: Sequence[tifffile.TiffPageSeries]) -> tifffile.TiffPageSeries:
    """Return the one series that is a movie; thumbnails and maps beside it do not count."""
    movies = [s for s in every if math.prod(s.shape[:-2]) > 1] or list(every[:1])
    if len(movies) > 1:
        found = ", ".join(f"{s.name or s.index}: {s.shape}" for s in movies[:5])
        raise FileFormatError(
            f"{path} holds {len(movies)} series of images ({found}); rtsmlm reads one: "
            "export it as its own movie"
        )
    return movies[0]


def check_axes(path: Path, series: tifffile.TiffPageSeries) -> tuple[str, ...]:
    """Raise unless the planes are one series; return a note where they have several axes."""
    axes, shape = str(series.axes), tuple(series.shape)
    if axes[-2:] != "YX":
        raise FileFormatError(f"{path} holds images with axes {axes}; rtsmlm reads grey frames")
    several = [(n, axis) for n, axis in zip(shape[:-2], axes[:-2], strict=True) if n > 1]
    if len(several) <= 1:
        return ()
    found = " x ".join(f"{n} {axis}" for n, axis in several)
    if {axis for _, axis in several} <= _UNNAMED_AXES:
        planes = " x ".join(str(n) for n, _ in several)
        return (f"{planes} planes, read in the order of the file",)
    raise FileFormatError(
        f"{path} holds {found} planes (T time, C channel, Z slice, P or R position); "
        "rtsmlm reads one series of frames: export one channel, slice and position as its "
        "own movie"
    )


def is_plain(page: tifffile.TiffPage) -> bool:
    """Return whether the pixels of a page are one uncompressed block."""
    return (
        page.dtype is not None
        and page.compression == 1
        and page.predictor == 1
        and page.fillorder == 1
        and bool(page.is_contiguous)
        and page.bitspersample == 8 * page.dtype.itemsize
    )


def readable_pages(tif: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """Return the pages of a damaged file up to the first that cannot be parsed."""
    pages: list[Any] = []
    for number in range(len(tif.pages)):
        try:
            page = tif.pages[number]
            if page.dataoffsets and tuple(page.shape) == tuple(tif.pages.first.shape):
                pages.append(page)
        # What a directory of random bytes raises is anything.
        except Exception:
            break
    return pages


def complete_pages(
    pages: Sequence[tifffile.TiffPage], path: Path, *stated: StatedFrames
) -> MovieAccount:
    """Return how many pages from the first on are complete.

    Raises
    ------
    FileFormatError
        If not even the first is complete.
    """
    n_frames = len(pages)
    # Cut-off pages are the last ones: so only these are checked, not all of 100 000.
    while n_frames and not is_complete(pages[n_frames - 1]):
        n_frames -= 1
    if not n_frames:
        raise FileFormatError(f"{path} holds no complete frame: its pixels lie beyond its end")
    in_file = StatedFrames("the list of pages", len(pages))
    return MovieAccount(read=n_frames, present=n_frames, stated=(in_file, *stated))


def is_complete(page: tifffile.TiffPage | None) -> bool:
    """Return whether all pixels of a page lie within its file."""
    if page is None:
        return False
    size = page.parent.filehandle.size
    ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
    return bool(ends) and max(ends) <= size and min(page.databytecounts) > 0


def chain_is_cut(path: Path, tif: tifffile.TiffFile) -> bool:
    """Return whether the last directory of a file points to one that is not there."""
    at = tif.pages.next_page_offset
    if not at:
        return False
    with path.open("rb") as file:
        file.seek(at)
        return any(file.read(8 if tif.is_bigtiff else 4))
