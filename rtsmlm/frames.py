"""FrameBatch: raw camera frames with their number, their times and the laser power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint16]
"""Raw camera values in ADU, (height, width) or (n, height, width)."""


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """One frame as a camera driver hands it over.

    The pixels may be a view into a buffer of the driver: they are valid until the next frame
    is asked for; copy them to keep them.
    """

    pixels: Pixels
    """uint16 ADU, (height, width)."""
    index: int
    """Camera frame number from 0; a gap means that the camera or its driver lost frames."""
    t_exposure_end_ns: int
    """When the exposure ended, as near as the driver knows, by `realtime.clock.now_ns`."""
    activation_power: float = float("nan")
    """Power of the activation laser during the exposure, in the unit of that laser (mW, %, V, us),
    which the recording states; NaN where unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameBatch:
    """Consecutive camera frames, oldest first. One frame is a batch of one."""

    pixels: Pixels
    """uint16 ADU, (n, height, width)."""
    index: NDArray[np.int64]
    """Camera frame number, (n,); strictly increasing, a gap means lost or skipped frames."""
    t_exposure_end_ns: NDArray[np.int64]
    """Host time at the end of the exposure, (n,), on the clock of `realtime.clock.now_ns`."""
    t_ring_ns: NDArray[np.int64]
    """Host time at which the frame entered the ring, (n,)."""
    activation_power: NDArray[np.float64]
    """Power of the activation laser, (n,), in its unit; NaN where unknown."""

    def __len__(self) -> int:
        return len(self.index)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a frame in pixels."""
        return self.pixels.shape[1], self.pixels.shape[2]

    def frames(self, start: int, stop: int) -> FrameBatch:
        """Return frames start..stop-1 of this batch as a view."""
        return FrameBatch(
            pixels=self.pixels[start:stop],
            index=self.index[start:stop],
            t_exposure_end_ns=self.t_exposure_end_ns[start:stop],
            t_ring_ns=self.t_ring_ns[start:stop],
            activation_power=self.activation_power[start:stop],
        )

    @classmethod
    def concatenate(cls, batches: Sequence[FrameBatch]) -> FrameBatch:
        """Return one batch of the frames of all, in their order; of one, that one itself."""
        if len(batches) == 1:
            return batches[0]
        return cls(
            pixels=np.concatenate([b.pixels for b in batches]),
            index=np.concatenate([b.index for b in batches]),
            t_exposure_end_ns=np.concatenate([b.t_exposure_end_ns for b in batches]),
            t_ring_ns=np.concatenate([b.t_ring_ns for b in batches]),
            activation_power=np.concatenate([b.activation_power for b in batches]),
        )

    @classmethod
    def from_pixels(
        cls, pixels: Pixels, *, index: NDArray[np.int64] | None = None, first_index: int = 0
    ) -> FrameBatch:
        """Wrap frames that have no times, such as those of a file.

        Parameters
        ----------
        pixels
            Raw frames in ADU, uint16, shape (n, height, width).
        index
            Camera frame numbers, shape (n,); by default they count from `first_index`.
        first_index
            Number of the first frame where `index` is not given.
        """
        n = len(pixels)
        if index is None:
            index = np.arange(first_index, first_index + n, dtype=np.int64)
        none = np.zeros(n, dtype=np.int64)
        return cls(
            pixels=pixels,
            index=index,
            t_exposure_end_ns=none,
            t_ring_ns=none,
            activation_power=np.full(n, np.nan),
        )
