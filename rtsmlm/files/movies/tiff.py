"""TIFF of every kind as movies: plain, BigTIFF, ImageJ, OME (also split), Micro-Manager.

Frames that lie uncompressed are read straight from the file, all others page by page.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError, RtsmlmError
from rtsmlm.files.movies.checks import one_line
from rtsmlm.files.movies.flat import FlatMovie
from rtsmlm.files.movies.movie import Movie, MovieFacts
from rtsmlm.files.movies.tiff_decode import decoded
from rtsmlm.files.movies.tiff_frames import TiffFrames, tiff_frames
from rtsmlm.files.movies.tiff_metadata import tiff_statements
from rtsmlm.files.movies.tiff_page import Layout, Page


def open_tiff(path: Path) -> Movie:
    """Open a TIFF movie of any kind.

    Raises
    ------
    FileFormatError
        If it is damaged from the start, or holds more than one series of grey frames.
    """
    with _quiet_tifffile():
        try:
            return _open(path)
        except RtsmlmError:
            raise
        # Parsers raise whatever they meet in a damaged file.
        except Exception as error:
            message = f"{path} is a damaged TIFF file: {one_line(error)}"
            raise FileFormatError(message) from error


class TiffMovie(Movie):
    """A TIFF movie whose pages are compressed, packed, or cut into scattered pieces."""

    def __init__(self, facts: MovieFacts, frames: TiffFrames, first: tifffile.TiffFile) -> None:
        super().__init__(facts)
        self._frames = frames
        self._files = {0: first}
        self._keyframes: dict[tuple[int, Layout], tifffile.TiffPage] = {}
        self._closed = False

    def check_first(self) -> None:
        """Decode the first page, so that an unknown compression fails now and not in the run.

        Raises
        ------
        FileFormatError
            If it cannot be decoded.
        """
        try:
            decoded(self._page(self._frames.part_of[0], self._frames.pages[0]), self.shape)
        except ValueError as error:
            raise FileFormatError(f"{self.path} cannot be read: {one_line(error)}") from error

    def _stored(self, start: int, stop: int) -> NDArray[Any]:
        if self._closed:
            raise FileFormatError(f"{self.path} is closed")
        frames = np.empty((stop - start, *self.shape), dtype=self.dtype)
        with _quiet_tifffile():
            for k in range(start, stop):
                page = self._page(self._frames.part_of[k], self._frames.pages[k])
                frames[k - start] = decoded(page, self.shape)
        return frames

    def _page(self, part: int, page: Page) -> Any:
        """Return a page for tifffile, which decodes all of one layout as the first of them."""
        if part not in self._files:
            self._files[part] = tifffile.TiffFile(self._frames.parts[part].path)
        tif, key = self._files[part], (part, page.layout)
        if key not in self._keyframes:
            self._keyframes[key] = _page_at(tif, page)
        keyframe = self._keyframes[key]
        if keyframe.offset == page.at:
            return keyframe
        return tifffile.TiffFrame(tif, 0, offset=page.at, keyframe=keyframe)

    def close(self) -> None:
        """Close the files. Safe to call more than once."""
        for tif in self._files.values():
            tif.close()
        self._files.clear()
        self._closed = True


def _page_at(tif: tifffile.TiffFile, page: Page) -> tifffile.TiffPage:
    first = tif.pages.first
    if first.offset == page.at:
        return first
    tif.filehandle.seek(page.at)
    return tifffile.TiffPage(tif, 0)


def _open(path: Path) -> Movie:
    frames = tiff_frames(path)
    tif = tifffile.TiffFile(path)
    try:
        facts, is_plain = _facts(path, frames, tif)
        if not is_plain:
            movie = TiffMovie(facts, frames, tif)
            movie.check_first()
            return movie
    except BaseException:
        tif.close()
        raise
    tif.close()
    first = frames.pages[0].pixels_at
    if frames.behind_one_directory is not None:
        return FlatMovie(facts, first)
    offsets = np.array([page.pixels_at for page in frames.pages], np.int64)
    n_bytes = facts.shape[0] * facts.shape[1] * facts.dtype.itemsize
    if len(frames.parts) == 1 and (np.diff(offsets) == n_bytes).all():
        return FlatMovie(facts, first)
    return FlatMovie(
        facts,
        offsets,
        files=[part.path for part in frames.parts],
        file_of_frame=np.array(frames.part_of, np.int64),
    )


def _facts(path: Path, frames: TiffFrames, tif: tifffile.TiffFile) -> tuple[MovieFacts, bool]:
    """Return what is known of a movie, and whether its pixels lie bare in the files."""
    first, n_parts = frames.parts[0], len(frames.parts)
    layout, kind = first.layout, _kind(tif)
    dtype = layout.dtype
    if dtype is None:
        raise FileFormatError(f"{path} holds {layout.bits}-bit values of an unknown kind")
    layouts = {id(page.layout): page.layout for page in frames.pages}
    is_plain = all(each.is_plain for each in layouts.values())
    byte_order: Any = first.found.order if is_plain else "="
    statements = tiff_statements(tif, _page_at(tif, first.frames.pages[0]))
    facts = MovieFacts(
        path=path,
        kind=kind if n_parts == 1 else f"{kind} in {n_parts} files",
        shape=(layout.height, layout.width),
        n_frames=frames.n_frames,
        dtype=dtype.newbyteorder(byte_order),
        account=frames.account,
        files=tuple(part.path for part in frames.parts),
        stated=statements.stated,
        exposure_ms=statements.exposure_ms,
        frame_index=frames.frame_index,
        details=statements.details,
        contradictions=tuple(statements.contradictions),
        notes=(*statements.notes, *frames.notes),
    )
    return facts, is_plain


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
