"""The truth about simulated frames, kept for a while."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import DeviceError
from rtsmlm.localizations import Localizations

F64 = NDArray[np.float64]
Roi = tuple[int, int, int, int]

KEEP_EMITTERS = 1_000_000
"""Of the truth of all frames together: about 60 MB."""


@dataclass(frozen=True, slots=True)
class FrameTruth:
    """All emitters that shone in one frame, in coordinates of the whole chip."""

    frame: int
    emitter: NDArray[np.int64]
    """Number of the emitter, shape (n,)."""
    x_nm: F64
    y_nm: F64
    z_nm: F64
    photons: F64
    """Expected detected photons."""
    background: F64
    """Expected photons per pixel under the emitter."""
    drift_nm: F64
    """Drift of the sample along x, y and z, shape (3,)."""
    dye: NDArray[np.uint8]
    """Number of the dye, shape (n,)."""

    def seen(self, roi: Roi, pixel_nm: float, min_photons: float) -> NDArray[np.int64]:
        """Return which rows lie in the region (x, y, width, height) and are bright enough."""
        x, y, width, height = roi
        column, row = self.x_nm / pixel_nm, self.y_nm / pixel_nm
        inside = (column >= x - 0.5) & (column < x + width - 0.5)
        inside &= (row >= y - 0.5) & (row < y + height - 0.5)
        return np.flatnonzero(inside & (self.photons >= min_photons))

    def localizations(self, roi: Roi, pixel_nm: float, min_photons: float) -> Localizations:
        """Return the rows that are seen, in coordinates of the region."""
        rows = self.seen(roi, pixel_nm, min_photons)
        return Localizations.from_columns(
            {
                "frame": np.full(len(rows), self.frame, dtype=np.int64),
                "x_nm": self.x_nm[rows] - roi[0] * pixel_nm,
                "y_nm": self.y_nm[rows] - roi[1] * pixel_nm,
                "z_nm": self.z_nm[rows],
                "photons": self.photons[rows],
                "background": self.background[rows],
                "channel": self.dye[rows],
            }
        )


class TruthLog:
    """The last frames of a sequence, without gaps.

    Parameters
    ----------
    keep_frames
        How many; None keeps all.
    keep_emitters
        Fewer frames where they hold more emitters than this together; None sets no limit.
    """

    def __init__(self, keep_frames: int | None, keep_emitters: int | None = None) -> None:
        self._frames: deque[FrameTruth] = deque(maxlen=keep_frames)
        self._keep_emitters = keep_emitters
        self._n_emitters = 0

    def keep(self, frames: int | None) -> None:
        """Keep this number of frames from now on, however many emitters; None for all."""
        self._frames = deque(self._frames, maxlen=frames)
        self._keep_emitters = None

    def append(self, truth: FrameTruth) -> None:
        """Add the next frame."""
        self._n_emitters += len(truth.emitter)
        if len(self._frames) == self._frames.maxlen and self._frames:
            self._n_emitters -= len(self._frames[0].emitter)
        self._frames.append(truth)
        most = self._keep_emitters
        while most is not None and self._n_emitters > most and len(self._frames) > 1:
            self._n_emitters -= len(self._frames.popleft().emitter)

    def clear(self) -> None:
        """Forget all."""
        self._frames.clear()
        self._n_emitters = 0

    def at(self, frame: int) -> FrameTruth:
        """Return one frame.

        Raises
        ------
        DeviceError
            If the frame was not taken or is no longer kept.
        """
        first = self._frames[0].frame if self._frames else 0
        if not first <= frame < first + len(self._frames):
            raise DeviceError(
                f"no truth for frame {frame}; {len(self._frames)} frames from {first} on are "
                "kept (keep_truth keeps more)"
            )
        return self._frames[frame - first]
