"""The directories of a TIFF file, one `Page` each, read without a look at any pixel.

Which pages are one movie is decided on these, since what libraries make of a file's description
leaves pages out in silence, or takes directories for pixels.
"""

from __future__ import annotations

import os
import struct
from io import FileIO
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import MAX_LISTED_SEGMENTS, MAX_PAGES, MAX_SEGMENTS
from rtsmlm.files.movies.tiff_page import Directories, Layout, Page
from rtsmlm.files.movies.tiff_runs import DirectoryTemplate, template_of
from rtsmlm.files.movies.tiff_tags import (
    BITS,
    COMPRESSION,
    DEPTH,
    DESCRIPTION,
    FILL_ORDER,
    FORMAT,
    HEIGHT,
    METAMORPH,
    MICROMANAGER,
    PREDICTOR,
    ROWS_PER_STRIP,
    SAMPLES,
    SIZES,
    STRIP_BYTES,
    STRIP_OFFSETS,
    SUBFILE_TYPE,
    TILE_BYTES,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_WIDTH,
    TYPES,
    WIDTH,
)

_MOST_TAGS = 4096
_NEAR_BYTES = 1 << 16
_MOST_STRIDE = 2048
# Looking for runs costs more than it gives where there are only short ones.
_SHORT_RUN, _MOST_SHORT_RUNS = 8, 8


_Tags: TypeAlias = dict[int, tuple[int, int, bytes]]
"""Kind, number of values, and value or its place, by the number of a tag."""


def read_directories(path: Path) -> Directories:
    """Follow the chain of directories of a TIFF file, as far as it goes.

    Raises
    ------
    FileFormatError
        If the file has no TIFF header, or lists more pages than can be.
    """
    with FileIO(path) as file:
        head = file.read(40).ljust(40, b"\0")
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        version = struct.unpack_from(f"{order}H", head, 2)[0] if order else 0
        if order is None or version not in (42, 43):
            raise FileFormatError(f"{path} is no TIFF file")
        is_big = version == 43
        first = (
            struct.unpack_from(f"{order}Q", head, 8)
            if is_big
            else (struct.unpack_from(f"{order}I", head, 4))
        )
        found = Directories(path, os.fstat(file.fileno()).st_size, order, is_big, head)
        _Reader(file, found).follow(first[0])
    return found


class _Reader:
    """Reads one directory after the other."""

    def __init__(self, file: FileIO, found: Directories) -> None:
        self._file = file
        self._found = found
        self._order = found.order
        self._endian: Literal["little", "big"] = "little" if found.order == "<" else "big"
        big = found.is_big
        self._count = struct.Struct(f"{found.order}{'Q' if big else 'H'}")
        self._pointer = struct.Struct(f"{found.order}{'Q' if big else 'I'}")
        self._entry = struct.Struct(f"{found.order}HH{'Q8s' if big else 'I4s'}")
        self._near, self._near_at = b"", 0
        self._n_listed = 0
        self._layouts: dict[Layout, Layout] = {}
        self._template: DirectoryTemplate | None = None
        self._short_runs = _MOST_SHORT_RUNS

    def follow(self, at: int) -> None:
        found, seen, before = self._found, set[int](), 0
        while at:
            if at in seen or not (read := self._directory(at)):
                found.next_at = at
                return
            seen.add(at)
            body, following = read
            try:
                found.pages.append(self._page(at, body))
            except (KeyError, ValueError, IndexError, struct.error):
                found.n_damaged += 1
            if len(seen) > MAX_PAGES:
                raise FileFormatError(f"{found.path} lists more than {MAX_PAGES} pages")
            stride, at = following - at, following
            if stride == before and 0 < stride <= _MOST_STRIDE:
                run = self._run(at, stride)
                places = {page.at for page in run}
                if seen.isdisjoint(places):
                    found.pages += run
                    seen |= places
                    at += stride * len(run)
            before = stride

    def _run(self, at: int, stride: int) -> list[Page]:
        """Return the pages of directories that lie together, empty where they do not agree.

        Writers that know how many there will be put all of them behind the pixels.
        """
        if self._template is None or not self._template.is_bare or not self._short_runs:
            return []
        self._file.seek(at)
        run = self._template.read_run(at, self._file.read(_NEAR_BYTES), stride, self._count.size)
        if len(run) < _SHORT_RUN:
            self._short_runs -= 1
        return run

    def _bytes(self, at: int, n: int) -> bytes:
        """Return bytes of the file; directories that lie together are read together."""
        start = at - self._near_at
        if start >= 0 and start + n <= len(self._near):
            return self._near[start : start + n]
        is_near = 0 <= start <= _NEAR_BYTES
        self._file.seek(at)
        self._near = self._file.read(max(n, _NEAR_BYTES if is_near else 512))
        self._near_at = at
        return self._near[:n]

    def _directory(self, at: int) -> tuple[bytes, int] | None:
        """Return the entries of a directory and where the next one lies, None if there is none."""
        head = self._bytes(at, self._count.size)
        if at >= self._found.size_bytes or len(head) < self._count.size:
            return None
        (n,) = self._count.unpack(head)
        n_bytes = n * self._entry.size
        body = self._bytes(at + len(head), n_bytes + self._pointer.size) if n <= _MOST_TAGS else b""
        if not n or len(body) < n_bytes:
            return None
        # The file may end with its last directory, before the pointer behind it.
        rest = body[n_bytes:]
        following = self._pointer.unpack(rest)[0] if len(rest) == self._pointer.size else 0
        return body[:n_bytes], following

    def _numbers(self, entry: tuple[int, int, bytes]) -> NDArray[np.int64]:
        kind, n, value = entry
        dtype = np.dtype(self._order + TYPES[kind])
        if n > MAX_SEGMENTS:
            raise ValueError("too many values")
        if n * dtype.itemsize > len(value):
            self._n_listed += n
            if self._n_listed > MAX_LISTED_SEGMENTS:
                raise FileFormatError(f"{self._found.path} lists too many strips or tiles")
            value = self._bytes(self._pointer.unpack(value)[0], n * dtype.itemsize)
        return np.frombuffer(value, dtype, n).astype(np.int64)

    def _page(self, at: int, body: bytes) -> Page:
        template = self._template
        if template is not None and (page := template.read(at, body)):
            return page
        entries = list(self._entry.iter_unpack(body))
        page = self._parsed(at, {tag: (kind, n, value) for tag, kind, n, value in entries})
        self._template = template_of(page, body, entries, self._endian)
        return page

    def _parsed(self, at: int, tags: _Tags) -> Page:
        def number(tag: int, default: int) -> int:
            if tag not in tags:
                return default
            kind, n, value = tags[tag]
            size = SIZES[kind]
            if n * size > len(value):
                return int(self._numbers(tags[tag])[0])
            return int.from_bytes(value[:size], self._endian)

        is_tiled = TILE_OFFSETS in tags
        places, lengths = (TILE_OFFSETS, TILE_BYTES) if is_tiled else (STRIP_OFFSETS, STRIP_BYTES)
        width, height = number(WIDTH, 0), number(HEIGHT, 0)
        n_segments = tags[places][1]
        layout = Layout(
            height=height,
            width=width,
            bits=number(BITS, 1),
            sample_format=number(FORMAT, 1) if number(FORMAT, 1) != 4 else 1,
            samples=number(SAMPLES, 1),
            compression=number(COMPRESSION, 1),
            predictor=number(PREDICTOR, 1),
            fill_order=number(FILL_ORDER, 1),
            depth=number(DEPTH, 1),
            rows_per_strip=min(number(ROWS_PER_STRIP, height), height),
            tile=(number(TILE_HEIGHT, 0), number(TILE_WIDTH, 0)) if is_tiled else (0, 0),
            n_segments=n_segments,
        )
        n_bytes = -(-height * width * layout.bits * layout.samples // 8)
        if n_segments == 1:
            start, size = number(places, 0), number(lengths, n_bytes)
            end = start + size if size else self._found.size_bytes + 1
        elif n_segments > MAX_SEGMENTS:  # such a page is refused when it is decoded
            start = end = 0
        else:
            starts, sizes = self._numbers(tags[places]), self._numbers(tags[lengths])
            start, end = int(starts[0]), int((starts + sizes).max())
            end = end if sizes.min() > 0 else self._found.size_bytes + 1
            is_one_block = bool((starts[:-1] + sizes[:-1] == starts[1:]).all())
            layout = layout._replace(is_one_block=is_one_block)
        layout = self._layouts.setdefault(layout, layout)
        if layout.is_plain:
            end = start + n_bytes
        return Page(
            at=at,
            layout=layout,
            pixels_at=start,
            pixels_end=end,
            is_reduced=bool(number(SUBFILE_TYPE, 0) & 5),
            description=self._place(at, tags, DESCRIPTION),
            metadata=self._place(at, tags, MICROMANAGER),
            n_planes=tags[METAMORPH][1] if METAMORPH in tags else 1,
        )

    def _place(self, at: int, tags: _Tags, tag: int) -> tuple[int, int]:
        if tag not in tags:
            return 0, 0
        kind, n, value = tags[tag]
        n_bytes = n * SIZES.get(kind, 1)
        if n_bytes > len(value):
            return int(self._pointer.unpack(value)[0]), n_bytes
        inline_at = self._count.size + self._entry.size * list(tags).index(tag)
        return at + inline_at + self._entry.size - len(value), n_bytes
