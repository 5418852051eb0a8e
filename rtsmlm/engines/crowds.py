"""Where a network is asked: windows that cover the places of a frame, and which rows are meant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.detection import I32
from rtsmlm.localizations import F32
from rtsmlm.models.rows import Row
from rtsmlm.models.windows import Windows

STEP_PX = 8
"""Windows begin at multiples of it, or coarse levels of a network would be sampled elsewhere."""
_X, _Y = int(Row.X), int(Row.Y)


@dataclass(frozen=True, slots=True)
class WindowSize:
    """A window, and how far from its edge a network sees enough."""

    side_px: int
    halo_px: int
    """Places are covered that lie further inside; at the edge of the frame up to there."""


class Cover:
    """Windows that hold all places of some frames.

    Parameters
    ----------
    frame
        Position of the frame of each place, ascending, (n,).
    y, x
        Places in pixels; those of a frame from top to bottom, (n,).
    size
        Of the windows.
    padded
        Height and width of the frames that windows are cut from, multiples of `STEP_PX`.
    """

    def __init__(
        self, frame: I32, y: F32, x: F32, size: WindowSize, padded: tuple[int, int]
    ) -> None:
        self._size, self._padded = size, padded
        self._places = np.column_stack([y, x]).astype(np.float32)
        self._frame = np.ascontiguousarray(frame)
        self._window_of = np.full(len(frame), -1, dtype=np.int32)
        windows = np.empty((len(frame), 3), dtype=np.int32)
        n = _cover(
            self._frame, self._places, size.side_px, size.halo_px, *padded, self._window_of, windows
        )
        self.windows: Windows = windows[:n]
        """In the order of frames."""

    def begun_at(self, first: int) -> Windows:
        """Return the windows where the frames begin at this position of a batch."""
        return self.windows + np.array([first, 0, 0], dtype=np.int32)

    def are_meant(
        self, rows: F32, owner: NDArray[np.int32], settled: tuple[I32, F32, F32], apart_px: float
    ) -> NDArray[np.bool_]:
        """Return which rows answer what was asked, each emitter once.

        A row belongs to the window of the nearest place that was asked about, so that of windows
        that overlap one speaks. Emitters that a fit has settled are not reported again.

        Parameters
        ----------
        rows
            What a network finds in the windows, (m, columns) in pixels of the frame.
        owner
            The window of each, ascending, (m,).
        settled
            Frame, y and x of settled emitters, in the order of frames.
        apart_px
            Rows nearer to a settled emitter are that one.
        """
        meant = np.zeros(len(rows), dtype=np.bool_)
        _mark_meant(
            rows,
            owner,
            self.windows,
            self._frame,
            self._places,
            self._window_of,
            settled[0],
            np.column_stack(settled[1:]).astype(np.float32),
            float(apart_px),
            self._size.side_px,
            self._size.halo_px // 2,
            *self._padded,
            meant,
        )
        return meant


@njit(cache=True, nogil=True, error_model="numpy")
def _holds(y: float, x: float, top: int, left: int, side: int, halo: int, h: int, w: int) -> bool:
    """Tell whether a place is inside a window, away from those edges that the frame does not end.

    Rounded as pixels are: what lies within half a pixel of a pixel is on it.
    """
    first_y, first_x = top + halo if top > 0 else -1000, left + halo if left > 0 else -1000
    last_y = top + side - halo if top + side < h else h + 1000
    last_x = left + side - halo if left + side < w else w + 1000
    return first_y <= y < last_y and first_x <= x < last_x


@njit(cache=True, nogil=True, error_model="numpy")
def _cover(
    frame: I32,
    places: F32,
    side: int,
    halo: int,
    height: int,
    width: int,
    window_of: NDArray[np.int32],
    windows: Windows,
) -> int:
    """Write windows, each where it holds most of what the ones before do not; return how many."""
    n = 0
    for i in range(len(frame)):
        if window_of[i] >= 0:
            continue
        best, best_top, best_left = 0, 0, 0
        for down in range(2):
            top = (int(places[i, 0]) - halo) // STEP_PX * STEP_PX - down * STEP_PX
            top = min(max(top, 0), height - side)
            for right in range(2):
                left = (int(places[i, 1]) - halo) // STEP_PX * STEP_PX - right * STEP_PX
                left = min(max(left, 0), width - side)
                held = 0
                for j in range(i, len(frame)):
                    if frame[j] != frame[i] or places[j, 0] > top + side + 1:
                        break
                    y, x = places[j, 0], places[j, 1]
                    if window_of[j] < 0 and _holds(y, x, top, left, side, halo, height, width):
                        held += 1
                if held > best and _holds(
                    places[i, 0], places[i, 1], top, left, side, halo, height, width
                ):
                    best, best_top, best_left = held, top, left
        windows[n, 0], windows[n, 1], windows[n, 2] = frame[i], best_top, best_left
        for j in range(i, len(frame)):
            if frame[j] != frame[i] or places[j, 0] > best_top + side + 1:
                break
            y, x = places[j, 0], places[j, 1]
            if window_of[j] < 0 and _holds(y, x, best_top, best_left, side, halo, height, width):
                window_of[j] = n
        window_of[i] = n
        n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _mark_meant(
    rows: F32,
    owner: NDArray[np.int32],
    windows: Windows,
    frame: I32,
    places: F32,
    window_of: NDArray[np.int32],
    settled_frame: I32,
    settled: F32,
    apart_px: float,
    side: int,
    margin: int,
    height: int,
    width: int,
    meant: NDArray[np.bool_],
) -> None:
    for i in range(len(rows)):
        k, top, left = windows[owner[i]]
        y, x = rows[i, _Y], rows[i, _X]
        # A place is covered with its surroundings: half of the halo is still seen well.
        if not _holds(y, x, top, left, side, margin, height, width):
            continue
        first = np.searchsorted(frame, k)
        nearest, whose = np.inf, -1
        for j in range(first, len(frame)):
            if frame[j] != k:
                break
            dy, dx = places[j, 0] - y, places[j, 1] - x
            if dy * dy + dx * dx < nearest:
                nearest, whose = dy * dy + dx * dx, window_of[j]
        meant[i] = whose == owner[i]
        first = np.searchsorted(settled_frame, k)
        for j in range(first, len(settled_frame)):
            if settled_frame[j] != k or not meant[i]:
                break
            dy, dx = settled[j, 0] - y, settled[j, 1] - x
            if dy * dy + dx * dx < apart_px * apart_px:
                meant[i] = False
