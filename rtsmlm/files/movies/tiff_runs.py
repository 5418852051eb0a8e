"""Directories that agree but for where things lie: read as one number each, or many at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rtsmlm.files.movies.tiff_page import Page
from rtsmlm.files.movies.tiff_tags import (
    DESCRIPTION,
    METAMORPH,
    MICROMANAGER,
    OF_LAYOUT,
    SIZES,
    STRIP_BYTES,
    STRIP_OFFSETS,
    TILE_OFFSETS,
)


@dataclass(frozen=True, slots=True)
class DirectoryTemplate:
    """A directory with which those of most pages agree, but for where things lie.

    Long movies have 100 000 directories: each is compared as one number, and read where it differs.
    """

    n_bytes: int
    entry_bytes: int
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

    @property
    def is_bare(self) -> bool:
        """True if a page has no text, and its layout says how long its pixels are."""
        return self.size is None and self.texts == (None, None)

    def read_run(self, at: int, data: bytes, stride: int, head: int) -> list[Page]:
        """Return the pages of directories that lie one behind the other, each leading to the next.

        For a bare template alone.

        Parameters
        ----------
        at
            Place of the first.
        data
            The bytes from there on.
        stride
            From one directory to the next.
        head
            Bytes before the entries of a directory, which hold their number.
        """
        rows = np.frombuffer(data, np.uint8, len(data) // stride * stride).reshape(-1, stride)
        n, end = len(rows), head + self.n_bytes
        mask = np.frombuffer(self.mask.to_bytes(self.n_bytes), np.uint8)
        value = np.frombuffer(self.value.to_bytes(self.n_bytes), np.uint8)
        entries = rows[:, head:end]
        order = "<" if self.endian == "little" else ">"
        pointers = np.ascontiguousarray(rows[:, end : end + self.n_inline])
        following = pointers.view(f"{order}u{self.n_inline}").ravel()
        n_entries = np.ascontiguousarray(rows[:, :head]).view(f"{order}u{head}").ravel()
        ats = at + stride * np.arange(n, dtype=np.int64)
        agree = ((entries & mask) == value).all(axis=1) & (following == (ats + stride))
        agree &= n_entries == self.n_bytes // self.entry_bytes
        n_agree = n if agree.all() else int(agree.argmin())
        first, last = self.start
        starts = np.ascontiguousarray(entries[:n_agree, first:last]).view(f"{order}u{last - first}")
        page, size, none = self.page, self.page.pixels_end - self.page.pixels_at, (0, 0)
        return [
            Page(place, page.layout, start, start + size, page.is_reduced, none, none, 1)
            for place, start in zip(ats[:n_agree].tolist(), starts.ravel().tolist(), strict=True)
        ]


def template_of(
    page: Page,
    body: bytes,
    entries: list[tuple[int, int, int, bytes]],
    endian: Literal["little", "big"],
) -> DirectoryTemplate | None:
    """Return the template of a page, None where pages of its kind are read one by one."""
    tags = {tag for tag, *_ in entries}
    if page.layout.n_segments != 1 or page.n_planes != 1 or tags & {TILE_OFFSETS, METAMORPH}:
        return None
    n_entry, n_inline = len(body) // len(entries), len(entries[0][3])
    mask, found = bytearray(b"\xff" * len(body)), dict[int, tuple[int, int]]()
    for k, (tag, kind, n, _) in enumerate(entries):
        value_at = (k + 1) * n_entry - n_inline
        n_at = k * n_entry + 4
        if tag in (STRIP_OFFSETS, STRIP_BYTES):
            found[tag] = value_at, value_at + SIZES[kind]
            mask[value_at : value_at + n_inline] = bytes(n_inline)
        elif tag in (DESCRIPTION, MICROMANAGER):
            if SIZES.get(kind, 1) != 1 or n <= n_inline:
                return None
            found[tag] = n_at, value_at
            mask[n_at : value_at + n_inline] = bytes(value_at - n_at + n_inline)
        elif tag not in OF_LAYOUT:
            mask[n_at : value_at + n_inline] = bytes(value_at - n_at + n_inline)
    as_number = int.from_bytes(bytes(mask))
    return DirectoryTemplate(
        n_bytes=len(body),
        entry_bytes=n_entry,
        endian=endian,
        mask=as_number,
        value=int.from_bytes(body) & as_number,
        page=page,
        start=found[STRIP_OFFSETS],
        size=None if page.layout.is_plain else found.get(STRIP_BYTES),
        texts=(found.get(DESCRIPTION), found.get(MICROMANAGER)),
        n_inline=n_inline,
    )
