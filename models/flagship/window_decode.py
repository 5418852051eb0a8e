"""Maps of windows to rows with positions in the frame."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.models.flagship.decode import FIRST_CAPACITY
from rtsmlm.models.flagship.maps import background_channel_of
from rtsmlm.models.flagship.slots import find_rows
from rtsmlm.models.rows import COLUMNS, DecodeSettings, Row, logit
from rtsmlm.models.windows import Windows

_X, _Y = int(Row.X), int(Row.Y)


class FlagshipWindowDecoder:
    """Finds the rows of windows.

    Parameters
    ----------
    shape
        Height and width of the frames without padding, in pixels.
    axial
        Whether the network finds z.
    settings
        Thresholds and calibration.
    """

    def __init__(self, shape: tuple[int, int], *, axial: bool, settings: DecodeSettings) -> None:
        self._shape = shape
        self._settings = settings
        self._limits = logit(settings.candidate_probability), logit(settings.split_probability)
        self._background_channel = background_channel_of(axial=axial)

    def __call__(self, maps: F32, windows: Windows) -> tuple[F32, NDArray[np.int32]]:
        """Return the rows; see `WindowDecoder`."""
        # One compiled version for all: arrays of an engine may or may not be writeable.
        maps = np.ascontiguousarray(maps, dtype=np.float32).view()
        maps.flags.writeable = False
        capacity = FIRST_CAPACITY
        while True:
            rows = np.zeros((capacity, COLUMNS), dtype=np.float32)
            owner = np.zeros(capacity, dtype=np.int32)
            n = _find(
                maps,
                windows,
                *self._shape,
                *self._limits,
                self._settings.min_probability,
                self._settings.merge_px,
                self._background_channel,
                rows,
                owner,
            )
            if n <= capacity:
                return rows[:n], owner[:n]
            capacity = 2 * n


@njit(cache=True, nogil=True, error_model="numpy")
def _find(
    maps: F32,
    windows: Windows,
    height: int,
    width: int,
    candidate_logit: float,
    split_logit: float,
    min_probability: float,
    merge_px: float,
    background_channel: int,
    rows: F32,
    owner: NDArray[np.int32],
) -> int:
    """Write the rows of windows; return how many, or how many there may be if too many."""
    side = 2 * maps.shape[2]
    n = 0
    for w in range(len(windows)):
        top, left = windows[w, 1], windows[w, 2]
        found = find_rows(
            maps,
            w,
            min(side, height - top),
            min(side, width - left),
            candidate_logit,
            split_logit,
            min_probability,
            merge_px,
            background_channel,
            rows[n:],
        )
        if n + found > len(rows):
            return n + max(found, 1) * (len(windows) - w)
        for i in range(n, n + found):
            rows[i, _X] += left
            rows[i, _Y] += top
            owner[i] = w
        n += found
    return n
