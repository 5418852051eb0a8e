"""Frames that lie uncompressed in files, with or without a header: FlatMovie, and .npy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.files.movies.account import LeftOut, StatedFrames
from rtsmlm.files.movies.checks import complete_frames, one_line
from rtsmlm.files.movies.movie import Movie, MovieFacts


def read_exactly(file: FileIO, offset: int, into: NDArray[np.uint8]) -> None:
    """Fill `into` with the bytes at `offset`.

    Raises
    ------
    EOFError
        If the file ends before.
    """
    file.seek(offset)
    view = into.data
    done = 0
    # One call may return less than asked: Linux stops at 2 GiB, network shares earlier.
    while done < len(view):
        got = file.readinto(view[done:])
        if not got:
            raise EOFError(f"the file ends at byte {offset + done}")
        done += got


class FlatMovie(Movie):
    """Frames that lie one after the other, uncompressed, in one file or in several."""

    def __init__(
        self,
        facts: MovieFacts,
        offset_bytes: int | NDArray[np.int64],
        *,
        stride_bytes: int | None = None,
        files: Sequence[Path] = (),
        file_of_frame: NDArray[np.int64] | None = None,
    ) -> None:
        """Open the files.

        Parameters
        ----------
        facts
            What is known of the movie.
        offset_bytes
            Where the first frame begins, or one offset per frame, shape (n_frames,).
        stride_bytes
            From one frame to the next, where it is more than a frame.
        files
            The files, where there are several.
        file_of_frame
            Which of `files` a frame is in, shape (n_frames,).

        Raises
        ------
        FileFormatError
            If a file cannot be opened or the facts are no movie.
        """
        super().__init__(facts)
        self._frame_bytes = facts.shape[0] * facts.shape[1] * facts.dtype.itemsize
        self._stride_bytes = stride_bytes or self._frame_bytes
        self._offset_bytes = offset_bytes
        self._file_of_frame = file_of_frame
        self._files: list[FileIO] = []
        try:
            for path in files or (facts.path,):
                self._files.append(path.open("rb", buffering=0))
        except OSError as error:
            self.close()
            message = f"{facts.path} cannot be read: {one_line(error)}"
            raise FileFormatError(message) from error

    def _stored(self, start: int, stop: int) -> NDArray[Any]:
        size = self._frame_bytes
        raw = np.empty((stop - start) * size, dtype=np.uint8)
        if isinstance(self._offset_bytes, int) and self._stride_bytes == size:
            read_exactly(self._files[0], self._offset_bytes + start * size, raw)
        else:
            which = self._file_of_frame
            for k, frame in enumerate(range(start, stop)):
                file = self._files[0 if which is None else int(which[frame])]
                read_exactly(file, self._offset_of(frame), raw[k * size : (k + 1) * size])
        return raw.view(self.dtype).reshape(stop - start, *self.shape)

    @property
    def first_offset_bytes(self) -> int:
        """Where the first frame begins in its file."""
        return self._offset_of(0)

    def _offset_of(self, frame: int) -> int:
        if isinstance(self._offset_bytes, int):
            return self._offset_bytes + frame * self._stride_bytes
        return int(self._offset_bytes[frame])

    def close(self) -> None:
        """Close the files. Safe to call more than once."""
        for file in self._files:
            file.close()


def open_npy(path: Path) -> FlatMovie:
    """Open an array saved by numpy: (n, height, width), or one frame.

    Raises
    ------
    FileFormatError
        If it is not such an array.
    """
    shape, dtype, offset = npy_layout(path)
    n_stated, height, width = (1, *shape) if len(shape) == 2 else shape
    stride = max(height * width * dtype.itemsize, 1)
    available = path.stat().st_size - offset
    behind = available - n_stated * stride
    # What follows an array may be another one: no frame unless the header says so.
    account = complete_frames(
        path, min(available, n_stated * stride), stride, StatedFrames("the header", n_stated)
    )
    if behind > 0:
        left = LeftOut(f"{behind} bytes", "they lie behind the array that the header states")
        account = replace(account, left_out=(left,))
    return FlatMovie(
        MovieFacts(
            path=path,
            kind="numpy array",
            shape=(height, width),
            n_frames=account.read,
            account=account,
            dtype=dtype,
        ),
        offset,
    )


def npy_layout(path: Path) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return shape, type and the offset of the data of a .npy file in C order, 2D or 3D.

    Raises
    ------
    FileFormatError
        If the file is no such array; nothing is unpickled.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran_order, dtype = read(file)
            offset = file.tell()
    # A damaged header raises whatever the parser of its Python literal raises.
    except Exception as error:
        message = f"{path} is no readable .npy file: {one_line(error)}"
        raise FileFormatError(message) from error
    if fortran_order or len(shape) not in (2, 3) or dtype.hasobject:
        order = "Fortran" if fortran_order else "C"
        raise FileFormatError(
            f"{path} holds a {len(shape)}-dimensional array of {dtype} in {order} order; "
            "expected numbers, (n, height, width), C order"
        )
    return tuple(int(n) for n in shape), dtype, offset


def stored_dtype(name: str) -> np.dtype[Any]:
    """Return the type of a headerless file as the settings name it.

    Raises
    ------
    ConfigError
        If numpy knows no such type of number.
    """
    try:
        dtype = np.dtype(name)
    except (TypeError, ValueError, SyntaxError) as error:
        message = f"movie.dtype {name!r} is no type of number; use <u2, >u2, <u1 or the like"
        raise ConfigError(message) from error
    if dtype.kind not in "uif":
        raise ConfigError(f"movie.dtype {name!r} is no real number; use <u2, >u2, <u1 or so")
    return dtype


def likely_byte_order(path: Path, width: int, *, default: str, offset: int = 0) -> str:
    """Return "<" or ">" for 16-bit frames whose file does not state it.

    Neighbouring pixels are alike; with swapped bytes the noise of the low byte becomes
    jumps of hundreds of ADU. The first rows decide, if they do so clearly.

    Parameters
    ----------
    path
        The file.
    width
        Columns of a frame.
    default
        Order where the pixels do not decide.
    offset
        Where the first frame begins, in bytes.
    """
    rows = 1 + 65536 // (2 * max(width, 1))
    with path.open("rb") as file:
        file.seek(offset)
        raw = file.read(rows * width * 2)
    n_rows = len(raw) // (2 * max(width, 1))
    if n_rows < 1 or width < 2:
        return default
    roughness = {}
    for order in "<>":
        pixels = np.frombuffer(raw, f"{order}u2", n_rows * width).reshape(n_rows, width)
        roughness[order] = float(np.abs(np.diff(pixels.astype(np.int32), axis=1)).mean())
    smooth, rough = sorted(roughness, key=roughness.__getitem__)
    return smooth if roughness[smooth] * 2 < roughness[rough] else default
