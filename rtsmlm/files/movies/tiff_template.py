"""Image files that are laid out alike: read by the layout of the first, without a parser."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.files.movies.flat import FlatMovie
from rtsmlm.files.movies.movie import Movie

_HEADER_BYTES, _ENTRY_BYTES = 8, 12


@dataclass(frozen=True, slots=True)
class TiffTemplate:
    """Where the pixels of an image file are, and what a file must have to be laid out alike."""

    header: bytes
    directory_at: int
    directory: bytes
    """With size, type, compression and place of the pixels, and the end of the chain."""
    pixels_at: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, path: Path, movie: Movie) -> TiffTemplate | None:
        """Return the layout of a file that was opened, None where its pixels are no bare block."""
        if not isinstance(movie, FlatMovie) or movie.n_frames != 1:
            return None
        content = path.read_bytes()
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(content[:4])
        if order is None:
            return None
        at = struct.unpack_from(f"{order}I", content, 4)[0]
        if at + 2 > len(content):
            return None
        n_entries = struct.unpack_from(f"{order}H", content, at)[0]
        directory = content[at : at + 2 + n_entries * _ENTRY_BYTES + 4]
        header = content[:_HEADER_BYTES]
        return cls(header, at, directory, movie.first_offset_bytes, movie.shape, movie.dtype)

    def read(self, path: Path) -> NDArray[Any] | None:
        """Return the frame in a file of the same layout; None where it is another one.

        Returns
        -------
        :
            As stored, shape (height, width).
        """
        content = path.read_bytes()
        end = self.directory_at + len(self.directory)
        alike = content[:_HEADER_BYTES] == self.header
        n_pixels = self.shape[0] * self.shape[1]
        is_whole = len(content) >= self.pixels_at + n_pixels * self.dtype.itemsize
        if not (alike and is_whole and content[self.directory_at : end] == self.directory):
            return None
        frame = np.frombuffer(content, self.dtype, n_pixels, self.pixels_at)
        return frame.reshape(self.shape)
