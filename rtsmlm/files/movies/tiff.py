"""TIFF of every kind as movies: plain, BigTIFF, ImageJ, OME (also split), Micro-Manager.

Frames that lie contiguously are read straight from the file, all others page by page.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError, RtsmlmError
from rtsmlm.files.limits import FREE_FRAME_BYTES, check_size
from rtsmlm.files.movies.account import StatedFrames
from rtsmlm.files.movies.checks import check_frame_shape, complete_frames, one_line
from rtsmlm.files.movies.flat import FlatMovie
from rtsmlm.files.movies.metadata import as_int
from rtsmlm.files.movies.movie import Movie, MovieFacts
from rtsmlm.files.movies.tiff_decode import decoded
from rtsmlm.files.movies.tiff_metadata import tiff_statements
from rtsmlm.files.movies.tiff_pages import (
    SeriesPages,
    chain_is_cut,
    check_axes,
    complete_pages,
    is_plain,
    main_series,
    readable_pages,
)


def open_tiff(path: Path) -> Movie:
    """Open a TIFF movie of any kind.

    Raises
    ------
    FileFormatError
        If it is damaged from the start, or holds more than one series of grey frames.
    """
    with _quiet_tifffile():
        try:
            tif = tifffile.TiffFile(path)
        # tifffile raises whatever its parser meets in a damaged file.
        except Exception as error:
            message = f"{path} is no readable TIFF file: {one_line(error)}"
            raise FileFormatError(message) from error
        try:
            movie = _open(path, tif)
        except RtsmlmError:
            tif.close()
            raise
        except Exception as error:
            tif.close()
            message = f"{path} is a damaged TIFF file: {one_line(error)}"
            raise FileFormatError(message) from error
    if not isinstance(movie, TiffMovie):
        tif.close()
    return movie


class TiffMovie(Movie):
    """A TIFF movie whose pages are scattered, compressed, or spread over files."""

    def __init__(
        self, facts: MovieFacts, tif: tifffile.TiffFile, pages: Sequence[tifffile.TiffPage]
    ) -> None:
        super().__init__(facts)
        self._tif: tifffile.TiffFile | None = tif
        self._pages = pages
        self._handles: list[tifffile.FileHandle] = []

    def _stored(self, start: int, stop: int) -> NDArray[Any]:
        if self._tif is None:
            raise FileFormatError(f"{self.path} is closed")
        frames = np.empty((stop - start, *self.shape), dtype=self.dtype)
        with _quiet_tifffile():
            for k in range(start, stop):
                page = self._pages[k]
                self._open_file_of(page)
                frames[k - start] = decoded(page, self.shape)
        return frames

    def _open_file_of(self, page: tifffile.TiffPage) -> None:
        """Open the file of a page and keep it open; tifffile would reopen it for every page."""
        handle = page.parent.filehandle
        if handle.closed:
            handle.open()
            self._handles.append(handle)

    def close(self) -> None:
        """Close the files. Safe to call more than once."""
        for handle in self._handles:
            handle.close()
        self._handles.clear()
        if self._tif is not None:
            self._tif.close()
        self._tif = None


def _open(path: Path, tif: tifffile.TiffFile) -> Movie:
    series = _series(path, tif)
    axes_note = () if series is None else check_axes(path, series)
    further = ["its end is damaged"] if series is None else []
    first = tif.pages.first if series is None else series.keyframe
    shape, dtype = _checked(path, first)
    n_series = 0 if series is None else math.prod(series.shape[:-2])
    said = (("its description", _stated_frames(tif) or 0), ("its series", n_series))
    stated = [StatedFrames(source, n) for source, n in said if n]
    pages = readable_pages(tif) if series is None else SeriesPages(series.pages, n_series)
    at = None if series is None or series.is_multifile else series.dataoffset
    # ImageJ writes one directory and leaves the rest to arithmetic above 4 GB; it also writes
    # the other directories last, so that a file that is cut short has lost them.
    if at is None and series is not None and len(pages) < (_stated_frames(tif) or 0):
        at = first.dataoffsets[0]
    statements = tiff_statements(tif, first)
    if at is not None and is_plain(first):
        n_bytes = math.prod(shape) * dtype.itemsize
        available = path.stat().st_size - at
        n_most = max(s.frames for s in stated)
        account = complete_frames(path, min(available, n_most * n_bytes), n_bytes, *stated)
        dtype = dtype.newbyteorder(tif.byteorder)
    else:
        at = None
        account = complete_pages(pages, path, *stated)
    if chain_is_cut(path, tif):
        further.append("cut short: its last page names another one, which is not there")
    facts = MovieFacts(
        path=path,
        kind=_kind(tif),
        shape=shape,
        n_frames=account.read,
        dtype=dtype,
        account=replace(account, further=(*account.further, *further)),
        stated=statements.stated,
        exposure_ms=statements.exposure_ms,
        details=statements.details,
        contradictions=tuple(statements.contradictions),
        notes=(*statements.notes, *axes_note),
    )
    if at is not None:
        return FlatMovie(facts, int(at))
    decoded(pages[0], shape)  # so that an unknown compression fails now, not in the run
    return TiffMovie(facts, tif, pages)


def _series(path: Path, tif: tifffile.TiffFile) -> tifffile.TiffPageSeries | None:
    """Return the movie among the series, None where the file is too damaged."""
    if not len(tif.pages):
        raise FileFormatError(f"{path} is a TIFF file without a complete image")
    try:
        return main_series(path, tif.series)
    except RtsmlmError:
        raise
    # Where the file's end is missing, tifffile fails; the first pages may still be there.
    except Exception:
        return None


def _checked(path: Path, page: tifffile.TiffPage) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Return the shape and type of a page, if it is a frame of a camera."""
    shape = int(page.imagelength), int(page.imagewidth)
    check_frame_shape(path, shape)
    if page.samplesperpixel != 1 or page.imagedepth != 1:
        raise FileFormatError(
            f"{path} has {page.samplesperpixel} samples per pixel; rtsmlm reads grey "
            "frames: export one channel"
        )
    if page.dtype is None:
        raise FileFormatError(
            f"{path} holds {page.bitspersample}-bit values of an unknown kind; export it "
            "as 16-bit unsigned"
        )
    n_bytes = math.prod(shape) * page.dtype.itemsize
    check_size(path, "frames", n_bytes, page.parent.filehandle.size, FREE_FRAME_BYTES)
    return shape, np.dtype(page.dtype)


def _stated_frames(tif: tifffile.TiffFile) -> int | None:
    """Return how many frames ImageJ or tifffile state."""
    if tif.is_imagej:
        return as_int((tif.imagej_metadata or {}).get("images"))
    shaped = tif.shaped_metadata if tif.is_shaped else None
    if shaped and isinstance(shaped[0].get("shape"), Sequence):
        return math.prod(int(n) for n in shaped[0]["shape"][:-2])
    return None


def _kind(tif: tifffile.TiffFile) -> str:
    flavours = {
        "OME-TIFF": tif.is_ome,
        "Micro-Manager TIFF": tif.is_micromanager,
        "ImageJ TIFF": tif.is_imagej,
    }
    name = next((name for name, is_it in flavours.items() if is_it), "TIFF")
    return f"{name} (BigTIFF)" if tif.is_bigtiff else name


@contextlib.contextmanager
def _quiet_tifffile() -> Iterator[None]:
    """Keep tifffile from logging a line per damaged tag; what matters is in our notes."""
    logger = logging.getLogger("tifffile")
    logger.addFilter(_drop)
    try:
        yield
    finally:
        logger.removeFilter(_drop)


def _drop(record: logging.LogRecord) -> bool:
    return False
