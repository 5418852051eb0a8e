"""The directories of a TIFF file, one `Page` each, read without a look at any pixel.

Which pages are one movie is decided on these, since what libraries make of a file's description
leaves pages out in silence, or takes directories for pixels.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import MAX_LISTED_SEGMENTS, MAX_PAGES, MAX_SEGMENTS
from rtsmlm.files.movies.tiff_page import Directories, Layout, Page

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _FILL_ORDER, _DESCRIPTION = 256, 257, 258, 259, 266, 270
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES, _PREDICTOR = 273, 277, 278, 279, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, _FORMAT = 322, 323, 324, 325, 339
_SUBFILE_TYPE, _METAMORPH, _MICROMANAGER, _DEPTH = 254, 33629, 51123, 32997

_OF_LAYOUT = frozenset(
    {
        _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _FILL_ORDER, _SAMPLES, _ROWS_PER_STRIP, _PREDICTOR,
        _TILE_WIDTH, _TILE_HEIGHT, _FORMAT, _SUBFILE_TYPE, _DEPTH,
    }
)  # fmt: skip

_TYPES = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8,
          17: 8, 18: 8}  # fmt: skip
_MOST_TAGS = 4096
_NEAR_BYTES = 1 << 16


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
        self._template: _Template | None = None

    def follow(self, at: int) -> None:
        found, seen = self._found, set[int]()
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
            at = following

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
        dtype = np.dtype(self._order + _TYPES[kind])
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
        self._template = _template(page, body, entries, self._endian)
        return page

    def _parsed(self, at: int, tags: _Tags) -> Page:
        def number(tag: int, default: int) -> int:
            if tag not in tags:
                return default
            kind, n, value = tags[tag]
            size = _SIZES[kind]
            if n * size > len(value):
                return int(self._numbers(tags[tag])[0])
            return int.from_bytes(value[:size], self._endian)

        is_tiled = _TILE_OFFSETS in tags
        places, lengths = (
            (_TILE_OFFSETS, _TILE_BYTES) if is_tiled else (_STRIP_OFFSETS, _STRIP_BYTES)
        )
        width, height = number(_WIDTH, 0), number(_HEIGHT, 0)
        n_segments = tags[places][1]
        layout = Layout(
            height=height,
            width=width,
            bits=number(_BITS, 1),
            sample_format=number(_FORMAT, 1) if number(_FORMAT, 1) != 4 else 1,
            samples=number(_SAMPLES, 1),
            compression=number(_COMPRESSION, 1),
            predictor=number(_PREDICTOR, 1),
            fill_order=number(_FILL_ORDER, 1),
            depth=number(_DEPTH, 1),
            rows_per_strip=min(number(_ROWS_PER_STRIP, height), height),
            tile=(number(_TILE_HEIGHT, 0), number(_TILE_WIDTH, 0)) if is_tiled else (0, 0),
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
            is_reduced=bool(number(_SUBFILE_TYPE, 0) & 5),
            description=self._place(at, tags, _DESCRIPTION),
            metadata=self._place(at, tags, _MICROMANAGER),
            n_planes=tags[_METAMORPH][1] if _METAMORPH in tags else 1,
        )

    def _place(self, at: int, tags: _Tags, tag: int) -> tuple[int, int]:
        if tag not in tags:
            return 0, 0
        kind, n, value = tags[tag]
        n_bytes = n * _SIZES.get(kind, 1)
        if n_bytes > len(value):
            return int(self._pointer.unpack(value)[0]), n_bytes
        inline_at = self._count.size + self._entry.size * list(tags).index(tag)
        return at + inline_at + self._entry.size - len(value), n_bytes


@dataclass(frozen=True, slots=True)
class _Template:
    """A directory with which those of most pages agree, but for where things lie.

    Long movies have 100 000 directories: each is compared as one number, and read where it differs.
    """

    n_bytes: int
    endian: Literal["little", "big"]
    mask: int
    """Ones where a directory must agree."""
    value: int
    page: Page
    start: tuple[int, int]
    """Place in a directory of where the pixels begin."""
    size: tuple[int, int] | None
    """Place of how many bytes they take; None where the layout says it."""
    texts: tuple[tuple[int, int] | None, ...]
    """Where the number of bytes and the place of description and metadata are; None for none."""
    n_inline: int

    def read(self, at: int, body: bytes) -> Page | None:
        """Return the page of a directory, None if it does not agree."""
        if len(body) != self.n_bytes or int.from_bytes(body) & self.mask != self.value:
            return None
        places = []
        for text in self.texts:
            if text is None:
                places.append((0, 0))
                continue
            n_at, value_at = text
            n = int.from_bytes(body[n_at:value_at], self.endian)
            if n <= self.n_inline:
                return None
            places.append(
                (int.from_bytes(body[value_at : value_at + self.n_inline], self.endian), n)
            )
        page = self.page
        start = int.from_bytes(body[slice(*self.start)], self.endian)
        size = page.pixels_end - page.pixels_at
        if self.size is not None:
            size = int.from_bytes(body[slice(*self.size)], self.endian)
            if not size:
                return None
        description, metadata = places
        return Page(at, page.layout, start, start + size, page.is_reduced, description, metadata, 1)


def _template(
    page: Page,
    body: bytes,
    entries: list[tuple[int, int, int, bytes]],
    endian: Literal["little", "big"],
) -> _Template | None:
    """Return the template of a page, None where pages of its kind are read one by one."""
    tags = {tag for tag, *_ in entries}
    if page.layout.n_segments != 1 or page.n_planes != 1 or tags & {_TILE_OFFSETS, _METAMORPH}:
        return None
    n_entry, n_inline = len(body) // len(entries), len(entries[0][3])
    mask, found = bytearray(b"\xff" * len(body)), dict[int, tuple[int, int]]()
    for k, (tag, kind, n, _) in enumerate(entries):
        value_at = (k + 1) * n_entry - n_inline
        n_at = k * n_entry + 4
        if tag in (_STRIP_OFFSETS, _STRIP_BYTES):
            found[tag] = value_at, value_at + _SIZES[kind]
            mask[value_at : value_at + n_inline] = bytes(n_inline)
        elif tag in (_DESCRIPTION, _MICROMANAGER):
            if _SIZES.get(kind, 1) != 1 or n <= n_inline:
                return None
            found[tag] = n_at, value_at
            mask[n_at : value_at + n_inline] = bytes(value_at - n_at + n_inline)
        elif tag not in _OF_LAYOUT:
            mask[n_at : value_at + n_inline] = bytes(value_at - n_at + n_inline)
    as_number = int.from_bytes(bytes(mask))
    return _Template(
        n_bytes=len(body),
        endian=endian,
        mask=as_number,
        value=int.from_bytes(body) & as_number,
        page=page,
        start=found[_STRIP_OFFSETS],
        size=None if page.layout.is_plain else found.get(_STRIP_BYTES),
        texts=(found.get(_DESCRIPTION), found.get(_MICROMANAGER)),
        n_inline=n_inline,
    )
