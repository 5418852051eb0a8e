"""Frames not to be trusted, counted over a run: with saturated pixels, of one value, repeated.

Two passes of a vector unit over the pixels: 0.5 % of what the fastest fit takes for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsmlm.fitting.saturation import plateau_adu
from rtsmlm.frames import Pixels

_ROWS = 16
"""Rows that are compared with those of the frame before: their noise tells frames apart."""
_UNKNOWN = -1
"""Of where a movie begins again."""
_FIRST_LOOK = 16
"""Frames after which a ceiling is looked for first; then after twice as many, and so on."""


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """What was counted of the frames of a run."""

    saturated_pixels: int = 0
    """Pixels at the ceiling of the camera, summed over all frames."""
    saturated_frames: int = 0
    """Frames with at least one of them."""
    ceiling_adu: int = 0
    """Value at which pixels are full; 0 where none shows."""
    constant_frames: int = 0
    """Frames of one value."""
    repeated_frames: int = 0
    """Frames equal to the one before, pixel by pixel, which noise excludes."""
    begins_again: int = 0
    """Position of the first frame that equals the first one of all; 0 where none does."""

    def plus(self, later: FrameCounts) -> FrameCounts:
        """Return the counts of these frames and of later ones together."""
        return FrameCounts(
            self.saturated_pixels + later.saturated_pixels,
            self.saturated_frames + later.saturated_frames,
            later.ceiling_adu or self.ceiling_adu,
            self.constant_frames + later.constant_frames,
            self.repeated_frames + later.repeated_frames,
            self.begins_again or later.begins_again,
        )

    def remarks(self, n_frames: int) -> list[str]:
        """Return a sentence for each count that is not 0, of so many frames."""
        remarks = []
        if self.saturated_pixels:
            remarks.append(
                f"{self.saturated_pixels} pixels are saturated (at {self.ceiling_adu} ADU), in "
                f"{self.saturated_frames} of {n_frames} frames: photons are too low there; expose "
                "shorter, or with less light or gain"
            )
        if self.constant_frames:
            remarks.append(
                f"{self.constant_frames} of {n_frames} frames hold one value in all pixels: the "
                "camera or the program that wrote them left them blank"
            )
        if self.repeated_frames:
            remarks.append(
                f"{self.repeated_frames} of {n_frames} frames are equal to the one before: they "
                "were written twice, and count twice"
            )
        if self.begins_again:
            remarks.append(
                f"frame {self.begins_again} equals the first one, which noise excludes: the same "
                "frames were written twice, as to a file that was there already, and count twice"
            )
        return remarks


class FrameCounter:
    """Counts over the frames of a run, in their order and in constant memory.

    Parameters
    ----------
    shape
        Height and width of the frames in pixels.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._highest: Pixels = np.zeros(shape, dtype=np.uint16)
        self._top_of_batch: Pixels = np.zeros(shape, dtype=np.uint16)
        self._before: Pixels | None = None
        self._first: Pixels | None = None
        self._first_row: Pixels = np.zeros(shape[1], dtype=np.uint16)
        self._begins_again = 0
        self._n_frames = 0
        self._next_look = _FIRST_LOOK
        self._ceiling = 0
        self._n_constant = self._n_repeated = 0
        # At the highest value so far, which is the ceiling if there turns out to be one.
        self._counted_adu = self._n_pixels = self._n_saturated_frames = 0

    def add(self, pixels: Pixels) -> None:
        """Take the next frames in, uint16 in ADU, shape (n, height, width)."""
        if not len(pixels):
            return
        top = pixels[0]
        if len(pixels) > 1:
            top = np.maximum.reduce(pixels, axis=0, out=self._top_of_batch)
        np.maximum(self._highest, top, out=self._highest)
        self._count_top(pixels, top)
        self._count_blank(pixels)
        self._n_frames += len(pixels)
        if self._n_frames >= self._next_look:
            self._next_look *= 2
            self.look()

    def go_on_from(self, n_frames: int, first: Pixels, before: Pixels) -> None:
        """Begin within a movie rather than at its start.

        Parameters
        ----------
        n_frames
            How many frames come before.
        first, before
            The first frame of the movie, and the last one before, uint16 in ADU, shape (height,
            width), so that what they repeat is noticed.
        """
        self._n_frames, self._before = n_frames, self._some(before[None])[0]
        if np.ptp(first) > 0:
            self._first, self._first_row = self._some(first[None])[0], first[len(first) // 2].copy()
        else:  # which frame of the movie is the first with light is not known here
            self._begins_again = _UNKNOWN

    def as_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return what was counted, for `extend`."""
        numbers = (
            self._ceiling, self._counted_adu, self._n_pixels, self._n_saturated_frames,
            self._n_constant, self._n_repeated, self._begins_again, self._n_frames,
        )  # fmt: skip
        return {"highest": self._highest, "numbers": np.array(numbers, dtype=np.int64)}

    def extend(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take in what another one has counted of the frames that follow, by `as_arrays`.

        It went on from the frames before, or none come before. Full pixels count where both know
        the same ceiling, as it is where there is one.
        """
        highest: Pixels = np.asarray(arrays["highest"], dtype=np.uint16)
        np.maximum(self._highest, highest, out=self._highest)
        ceiling, counted, n_pixels, n_frames, constant, repeated, again, n = map(
            int, np.asarray(arrays["numbers"], dtype=np.int64)
        )
        if counted == self._counted_adu:
            self._n_pixels += n_pixels
            self._n_saturated_frames += n_frames
        elif self._ceiling == 0 and (ceiling or counted > self._counted_adu):
            self._counted_adu, self._n_pixels = counted, n_pixels
            self._n_saturated_frames = n_frames
        self._ceiling = self._ceiling or ceiling
        self._n_constant += constant
        self._n_repeated += repeated
        if not self._begins_again and again != _UNKNOWN:
            self._begins_again = again
        self._n_frames = n

    def counts(self) -> FrameCounts:
        """Return the counts so far; of saturated pixels those of which a ceiling is known."""
        known = self._ceiling > 0 and self._ceiling == self._counted_adu
        return FrameCounts(
            saturated_pixels=self._n_pixels if known else 0,
            saturated_frames=self._n_saturated_frames if known else 0,
            ceiling_adu=self._ceiling,
            constant_frames=self._n_constant,
            repeated_frames=self._n_repeated,
            begins_again=max(self._begins_again, 0),
        )

    def look(self) -> None:
        """Look for a ceiling among the frames so far; also done now and then by `add`."""
        ceiling = plateau_adu(self._highest)
        if ceiling is None:
            return
        self._ceiling = ceiling
        if self._counted_adu != ceiling:  # hot pixels lie above it
            self._counted_adu, self._n_pixels, self._n_saturated_frames = ceiling, 0, 0

    def _count_top(self, pixels: Pixels, top: Pixels) -> None:
        """Count the pixels at the ceiling, or at the highest value so far while none is known."""
        highest = int(top.max())
        if self._ceiling == 0 and highest > self._counted_adu:
            self._counted_adu, self._n_pixels, self._n_saturated_frames = highest, 0, 0
        if highest < self._counted_adu or highest == 0:
            return
        # Few places reach it: only these are looked at in each frame.
        places = np.flatnonzero(top.ravel() >= self._counted_adu)
        at_top = pixels.reshape(len(pixels), -1)[:, places] == self._counted_adu
        self._n_pixels += int(np.count_nonzero(at_top))
        self._n_saturated_frames += int(np.count_nonzero(at_top.any(axis=1)))

    def _count_blank(self, pixels: Pixels) -> None:
        """Count frames of one value, and frames equal to the one before: by a row, then by some."""
        row = pixels[:, pixels.shape[1] // 2]
        some = self._some(pixels)
        one_value = row.max(axis=1) == row.min(axis=1)
        same = np.empty(len(pixels), dtype=np.bool_)
        same[1:] = (row[1:] == row[:-1]).all(axis=1)
        same[0] = self._before is not None
        for k in np.flatnonzero(one_value | same):
            one_value[k] = one_value[k] and np.ptp(pixels[k]) == 0
            before = self._before if k == 0 else some[k - 1]
            same[k] = same[k] and before is not None and np.array_equal(before, some[k])
        if not self._begins_again:
            self._look_for_first(row, some, one_value)
        self._n_constant += int(np.count_nonzero(one_value))
        self._n_repeated += int(np.count_nonzero(same & ~one_value))
        self._before = some[-1].copy()

    @staticmethod
    def _some(pixels: Pixels) -> Pixels:
        """Return the rows of frames by which these are told apart."""
        return pixels[:, :: max(pixels.shape[1] // _ROWS, 1)]

    def _look_for_first(self, row: Pixels, some: Pixels, one_value: NDArray[np.bool_]) -> None:
        """Note the first frame that equals the first one, by a row, then by some."""
        start = 0
        if self._first is None:
            if one_value.all():
                return
            start = int(np.argmin(one_value))
            self._first = some[start].copy()
            self._first_row = row[start].copy()
            start += 1
        alike = np.flatnonzero((row[start:] == self._first_row).all(axis=1))
        for k in (alike + start).tolist():
            before = some[k - 1] if k else self._before
            is_repeated = before is not None and np.array_equal(some[k], before)
            if not is_repeated and np.array_equal(some[k], self._first):
                self._begins_again = self._n_frames + k
                return
