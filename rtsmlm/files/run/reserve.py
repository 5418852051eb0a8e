"""AccountsReserve: room on the disk for the accounts of a run, taken before its first frame.

A disk that fills up during the run must not cost ledger, latency, image and report: their room is
held by a file, which is removed just before they are written.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from rtsmlm.errors import SinkError

RESERVE_NAME = "accounts.reserve"

_SMALL_FILES = 4 << 20
"""Ledger, latency, settings and report."""
_MOST_PICTURE = 16 << 20
"""Bytes of the largest `image.png` (`render.write.PNG_SIDE`), at a byte a pixel."""
_PIECE = 1 << 20


def reserve_bytes(shape: tuple[int, int], pixel_nm: float, image_pixel_nm: float) -> int:
    """Return how much room the accounts of a run take at most.

    Parameters
    ----------
    shape
        Height and width of the frames in camera pixels.
    pixel_nm, image_pixel_nm
        Pixel of the camera in the sample plane, and of the image.
    """
    scale = pixel_nm / image_pixel_nm
    return _SMALL_FILES + int(min(shape[0] * shape[1] * scale**2, _MOST_PICTURE))


class AccountsReserve:
    """Room in a run folder, until `release`.

    Parameters
    ----------
    folder
        The run folder.
    size
        Bytes to hold.

    Raises
    ------
    SinkError
        If the disk has not so much.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._path = folder / RESERVE_NAME
        try:
            with self._path.open("wb") as file:
                # Random, since file systems that compress hold no room with zeros.
                piece = os.urandom(_PIECE)
                for start in range(0, size, _PIECE):
                    file.write(piece[: size - start])
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.release()
            raise SinkError(
                f"the disk of {folder} has no room for the {size / 2**20:.0f} MB of image and "
                f"report ({error.strerror or error}); free space or choose another folder "
                "(--out, results.out)"
            ) from error

    def release(self) -> None:
        """Give the room back. May be repeated."""
        with contextlib.suppress(OSError):
            self._path.unlink()
