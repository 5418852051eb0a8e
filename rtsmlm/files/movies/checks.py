"""What every reader checks: frame size, values, and how many frames are complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError, sentence
from rtsmlm.files.limits import MAX_SIDE_PX
from rtsmlm.files.movies.account import MovieAccount, StatedFrames
from rtsmlm.frames import Pixels

ADU_MAX = 65535
_HALF = 16384


def to_adu(stored: NDArray[Any], path: Path, first: int = 0) -> Pixels:
    """Return stored values as uint16 ADU without loss.

    Parameters
    ----------
    stored
        Frames as the file holds them, shape (n, height, width), any integer or float type.
    path
        The file, for the error.
    first
        Position of the first of these frames, for the error.

    Raises
    ------
    FileFormatError
        If a value is negative, above 65535 or no whole number.
    """
    if stored.dtype.kind == "u" and stored.dtype.itemsize <= 2:
        return np.ascontiguousarray(stored, dtype=np.uint16)
    with np.errstate(invalid="ignore"):
        good = (stored >= 0) & (stored <= ADU_MAX)
        if stored.dtype.kind == "f":
            good &= np.floor(stored) == stored
    if not good.all():
        frame, row, column = np.argwhere(~good)[0]
        raise FileFormatError(
            f"{path} holds {stored[frame, row, column]} in frame {first + frame}, row "
            f"{row}, column {column}; camera values are whole numbers from 0 to 65535: "
            + _advice(stored)
        )
    return np.ascontiguousarray(stored, dtype=np.uint16)


def _advice(stored: NDArray[Any]) -> str:
    """Return what the likely cause of values is that no camera gives, and what to do."""
    # What is above 32767 becomes negative; on its way there a signal passes the values below.
    is_wrapped = stored.dtype.str[1:] == "i2" and (stored.min() < -_HALF or stored.max() > _HALF)
    if is_wrapped:
        return (
            "most likely a camera's unsigned values were stored as signed ones, and what is above "
            '32767 became negative; set movie.dtype = "<u2" to read them as they were'
        )
    return "export the raw movie, without background subtraction or scaling, as 16-bit unsigned"


def check_frame_shape(path: Path, shape: tuple[int, int]) -> None:
    """Raise `FileFormatError` for frames without pixels, or larger than any camera's."""
    if not all(1 <= side <= MAX_SIDE_PX for side in shape):
        raise FileFormatError(
            f"{path} states frames of {shape[0]} x {shape[1]} pixels; frames have 1 to "
            f"{MAX_SIDE_PX} pixels a side"
        )


def complete_frames(
    path: Path, available_bytes: int, stride_bytes: int, *stated: StatedFrames
) -> MovieAccount:
    """Return how many complete frames are there, all of which are read.

    Parameters
    ----------
    path
        The file, for the error.
    available_bytes
        Size of the file without its header.
    stride_bytes
        Bytes from one frame to the next.
    stated
        Numbers of frames that the header or a sidecar states.

    Raises
    ------
    FileFormatError
        If not even one frame is complete.
    """
    there, rest = divmod(max(available_bytes, 0), stride_bytes)
    if there < 1:
        raise FileFormatError(
            f"{path} holds no complete frame: a frame takes {stride_bytes} bytes, there "
            f"are {max(available_bytes, 0)}"
            + "".join(f", and {s.source} states {s.frames} frames" for s in stated)
        )
    if any(s.frames == there for s in stated):
        further = (f"{rest} bytes behind the last frame are left out",)
    else:
        further = (f"the last frame is cut short: {rest} of its {stride_bytes} bytes are there",)
    return MovieAccount(
        read=there, present=there, stated=tuple(stated), further=further if rest else ()
    )


def one_line(error: BaseException) -> str:
    """Return an error as one short line, for use inside a message of ours."""
    text = sentence(str(error)) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
