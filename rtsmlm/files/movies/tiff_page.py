"""Pages of a TIFF file as their directories describe them, without a look at any pixel."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Layout(NamedTuple):
    """How the pixels of a page are stored. Pages of one layout are decoded alike."""

    height: int
    width: int
    bits: int
    """Per sample."""
    sample_format: int
    """1 unsigned, 2 signed, 3 floating point."""
    samples: int
    """Per pixel."""
    compression: int = 1
    predictor: int = 1
    fill_order: int = 1
    depth: int = 1
    rows_per_strip: int = 0
    tile: tuple[int, int] = (0, 0)
    n_segments: int = 1
    """Strips or tiles."""
    is_one_block: bool = True
    """The strips lie one behind the other."""

    @property
    def dtype(self) -> np.dtype[np.generic] | None:
        """Type of the values in native order; packed ones are unpacked into the next larger."""
        kind = {1: "u", 2: "i", 3: "f"}.get(self.sample_format)
        n_bytes = next((n for n in (1, 2, 4, 8) if self.bits <= 8 * n), None)
        is_packed = n_bytes is not None and self.bits != 8 * n_bytes
        if kind is None or n_bytes is None or (is_packed and (kind != "u" or self.bits > 16)):
            return None
        return None if kind == "f" and n_bytes == 1 else np.dtype(f"{kind}{n_bytes}")

    @property
    def is_plain(self) -> bool:
        """True if the pixels lie uncompressed and row by row in one block."""
        return (
            self.is_one_block
            and (self.compression, self.predictor, self.fill_order) == (1, 1, 1)
            and self.tile == (0, 0)
            and self.samples == 1
            and self.bits in (8, 16, 32, 64)
        )


class Page(NamedTuple):
    """One directory of a TIFF file."""

    at: int
    """Where the directory lies."""
    layout: Layout
    pixels_at: int
    """Where the first strip or tile begins."""
    pixels_end: int
    """Behind the last byte that the page names; for plain pixels behind their last row."""
    is_reduced: bool
    """It is marked as a smaller copy of another page, or as a mask."""
    description: tuple[int, int]
    """Place and length of its text, (0, 0) where there is none."""
    metadata: tuple[int, int]
    """Place and length of the metadata of Micro-Manager, (0, 0) where there are none."""
    n_planes: int
    """Planes that MetaMorph states to follow each other behind one directory, else 1."""


@dataclass(slots=True)
class Directories:
    """All pages of a file that its chain of directories leads to."""

    path: Path
    size_bytes: int
    order: str
    """Byte order, "<" or ">"."""
    is_big: bool
    head: bytes
    """The first 40 bytes."""
    pages: list[Page] = field(default_factory=list)
    next_at: int = 0
    """Where the chain goes on without a directory being there; 0 where it ends as it should."""
    n_damaged: int = 0
    """Directories that describe no image."""

    def read(self, place: tuple[int, int]) -> bytes:
        """Return the bytes of a text, without what lies beyond the end of the file."""
        with self.path.open("rb") as file:
            file.seek(place[0])
            return file.read(min(place[1], self.size_bytes))
