"""ImageDrift: lateral drift from the camera's image, for when there are few localizations.

What lies still in the sample (haze, autofluorescence, beads) is compared, block by block of frames,
with the same of the first one. Emitters blink, so that medians over time leave them out. How
sure a shift is follows from how much it differs between parts of the field; where the images have
nothing in common, or no more than what a camera shows without a sample, it is not known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

BLOCK_FRAMES = 200
_GROUPS = 10
"""Means of so many groups of frames, of which the median is taken, pixel by pixel."""
_MOST_PX = 256
"""Side of the part of the field that is looked at, about its middle."""
_LEAST_PX = 48
_SMALL_PX, _LARGE_PX = 1.3, 8.0
"""Details between these standard deviations count: neither noise of pixels nor illumination."""
_SEARCH_PX = 12
_TILES = 4
"""Along each side: the shift is judged by what remains when one of them is left out."""
_CONTRAST = 6.0
"""Least height of the maximum, in standard deviations of what is around it."""
_BEYOND_OPTICS = 0.4
"""In 1/px: no optics passes more, and what images have in common there is the camera's own."""
_MOST_CAMERA = 0.1
"""Part of what two images have in common that may be the camera's own."""
_CAMERA_LEFT = 0.3
"""Part of the pull of the camera's own pattern that may be left after it is taken off."""
_WORST_PX = 0.5
_LEAST_STD_PX = 0.01
"""Of a pixel, the least error that is stated."""
_ROUNDS = 4
_GIVE_UP = 5
"""Blocks in a row without a result after which the reference is made anew."""


@dataclass(frozen=True, slots=True)
class ImageShift:
    """How far the sample lay from where it was, over a block of frames."""

    first_frame: int
    last_frame: int
    drift_nm: F64
    """X and y, (2,)."""
    variance: F64
    """In nm², (2,); infinite where the images do not say."""
    since: float = 0.0
    """Middle frame of what it is held against."""

    @property
    def middle(self) -> float:
        """The middle frame."""
        return (self.first_frame + self.last_frame) / 2


class ImageDrift:
    """Drift of the camera's image, block by block; frames in order.

    Parameters
    ----------
    shape
        Height and width of the frames in pixels.
    pixel_nm
        Camera pixel in the sample plane.
    block_frames
        Frames of a block.
    """

    def __init__(
        self, shape: tuple[int, int], pixel_nm: float, *, block_frames: int = BLOCK_FRAMES
    ) -> None:
        height, width = (min(side, _MOST_PX) // 8 * 8 for side in shape)
        top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
        self._part = np.s_[:, top : top + height, left : left + width]
        self.is_possible = min(height, width) >= _LEAST_PX
        """False where the field is too small to see a shift in it."""
        self._pixel_nm, self._per_group = pixel_nm, max(block_frames // _GROUPS, 1)
        self._sum = np.zeros((height, width), np.uint32)
        self._in_sum = 0
        self._means: list[NDArray[np.float32]] = []
        self._first = -1
        if self.is_possible:
            self._images = _Images((height, width))
        self._reference: F64 | None = None
        self._n_failed, self._since = 0, 0.0
        self._base_nm = np.zeros(2)  # drift of the reference

    def add(
        self, pixels: NDArray[np.uint16], frame: NDArray[np.int64], expected_nm: F64
    ) -> ImageShift | None:
        """Take frames; return the shift of a block that they complete.

        Parameters
        ----------
        pixels
            (n, height, width), in ADU.
        frame
            Their numbers, (n,).
        expected_nm
            Drift in x and y that is known otherwise by now, (2,): that of the first reference.
        """
        if not self.is_possible:
            return None
        found = None
        for k in range(0, len(frame), self._per_group):
            found = self._add(pixels[k : k + self._per_group], frame, k, expected_nm) or found
        return found

    def _add(
        self, pixels: NDArray[np.uint16], frame: NDArray[np.int64], k: int, expected_nm: F64
    ) -> ImageShift | None:
        if self._first < 0:
            self._first = int(frame[k])
        self._sum += pixels[self._part].sum(axis=0, dtype=np.uint32)
        self._in_sum += len(pixels)
        if self._in_sum < self._per_group:
            return None
        self._means.append((self._sum / self._in_sum).astype(np.float32))
        self._sum[:], self._in_sum = 0, 0
        if len(self._means) < _GROUPS:
            return None
        image = np.median(self._means, axis=0).astype(np.float64)
        frames = self._first, int(frame[k + len(pixels) - 1])
        self._means, self._first = [], -1
        return self._compare(image, frames, expected_nm)

    def _compare(self, image: F64, frames: tuple[int, int], expected_nm: F64) -> ImageShift | None:
        detail = image - image.mean()
        if self._reference is None or self._n_failed >= _GIVE_UP:
            self._reference, self._base_nm = detail, expected_nm.copy()
            self._n_failed, self._since = 0, sum(frames) / 2
            return None
        found = self._images.shift(self._reference, detail)
        if found is None:
            self._n_failed += 1
            return ImageShift(*frames, expected_nm.copy(), np.full(2, np.inf), self._since)
        shift_px, variance = found
        self._n_failed = 0
        drift = self._base_nm + shift_px * self._pixel_nm
        return ImageShift(*frames, drift, variance * self._pixel_nm**2, self._since)


class _Images:
    """Band-pass and shift of images of one size, by their Fourier transforms; x before y."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._fy, self._fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
        square = self._fx**2 + self._fy**2

        def smooth(std_px: float) -> F64:
            return np.asarray(np.exp(-2 * np.pi**2 * std_px**2 * square))

        self._optical = square < _BEYOND_OPTICS**2
        self._band = (smooth(_SMALL_PX) - smooth(_LARGE_PX)) * self._optical
        self._beyond = ~self._optical
        self._margin = margin = _SEARCH_PX + 4
        tall, wide = (side - 2 * margin for side in shape)
        self._inner = np.s_[margin : margin + tall, margin : margin + wide]
        self._tiles = [
            np.s_[a[0] : a[-1] + 1, b[0] : b[-1] + 1]
            for a in np.array_split(np.arange(tall), _TILES)
            for b in np.array_split(np.arange(wide), _TILES)
        ]

    def _banded(self, spectrum: NDArray[np.complex128]) -> F64:
        return np.asarray(np.fft.irfft2(spectrum * self._band, self._shape))

    def _moved(self, spectrum: NDArray[np.complex128], shift_px: F64) -> NDArray[np.complex128]:
        turn = self._fx * shift_px[0] + self._fy * shift_px[1]
        return np.asarray(spectrum * np.exp(-2j * np.pi * turn))

    def shift(self, reference: F64, image: F64) -> tuple[F64, F64] | None:
        """Return how far the image lies from the reference, and its variance, (2,) each, in px.

        None where they have nothing in common.
        """
        spectrum, other = np.fft.rfft2(image), np.fft.rfft2(reference)
        still = np.zeros(self._shape)
        still[self._inner] = self._banded(other)[self._inner]
        start = self._coarse(still, spectrum)
        if start is None:
            return None
        shift, white = start, self._white(spectrum, other)
        for _ in range(_ROUNDS):
            maps = self._maps(still, self._banded(self._moved(spectrum, -shift)))
            maps -= self._camera_maps(white, shift)
            step = _maximum(maps.sum(axis=0))
            if step is None:
                return None
            shift = shift + np.clip(step, -1, 1)
        if not np.abs(shift - start).max() < 2:
            return None
        variance = _jackknife(maps)
        amount = float((np.abs(spectrum * np.conj(other)) * self._band**2).sum())
        camera = white * float((self._band**2).sum()) / amount if amount > 0 else np.inf
        if variance is None or variance.max() > _WORST_PX**2 or camera > _MOST_CAMERA:
            return None
        return shift, variance + _LEAST_STD_PX**2 + (_CAMERA_LEFT * camera * shift) ** 2

    def _coarse(self, still: F64, spectrum: NDArray[np.complex128]) -> F64 | None:
        """Return the shift in whole pixels where the images agree best; None where nowhere."""
        common = np.fft.irfft2(
            spectrum * self._band * np.conj(np.fft.rfft2(still)), self._shape
        )  # fmt: skip
        n = _SEARCH_PX
        near = np.roll(common, (n, n), (0, 1))[: 2 * n + 1, : 2 * n + 1]
        y, x = np.unravel_index(int(near.argmax()), near.shape)
        rows, columns = np.indices(near.shape)
        around = near[np.hypot(rows - y, columns - x) > 3 * _SMALL_PX]
        if near[y, x] - around.mean() < _CONTRAST * around.std():
            return None
        return np.array([x - n, y - n], np.float64)

    def _maps(self, still: F64, image: F64) -> F64:
        """Return by how much they agree at shifts by a pixel each way, tile by tile, (n, 3, 3)."""
        maps = np.empty((len(self._tiles), 3, 3))
        top, left = (part.start for part in self._inner)
        tall, wide = still[self._inner].shape
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                moved = image[top + dy : top + dy + tall, left + dx : left + dx + wide]
                product = still[self._inner] * moved
                maps[:, dy + 1, dx + 1] = [product[tile].sum() for tile in self._tiles]
        return maps

    def _white(self, spectrum: NDArray[np.complex128], other: NDArray[np.complex128]) -> float:
        """Return what both have in common at each frequency of the camera, white over pixels."""
        return max(float((spectrum * np.conj(other)).real[self._beyond].mean()), 0.0)

    def _camera_maps(self, white: float, shift: F64) -> F64:
        """Return what the camera adds to `_maps`: it stays where it is as the sample moves."""
        spectrum = (white * self._band**2).astype(np.complex128)
        own = np.fft.irfft2(self._moved(spectrum, -shift), self._shape)
        near = np.roll(own, (1, 1), (0, 1))[:3, :3] / own.size
        tall, wide = (part.stop - part.start for part in self._inner)
        return np.asarray(near * (tall * wide / len(self._tiles)))


def _maximum(around: F64) -> F64 | None:
    """Return where the paraboloid through 3 x 3 values is highest; None where it is no summit."""
    gradient = np.array([around[1, 2] - around[1, 0], around[2, 1] - around[0, 1]]) / 2
    xx = around[1, 2] + around[1, 0] - 2 * around[1, 1]
    yy = around[2, 1] + around[0, 1] - 2 * around[1, 1]
    xy = (around[2, 2] - around[0, 2] - around[2, 0] + around[0, 0]) / 4
    if not (xx < 0 and xx * yy - xy * xy > 0):
        return None
    return np.asarray(-np.linalg.solve(np.array([[xx, xy], [xy, yy]]), gradient))


def _jackknife(maps: F64) -> F64 | None:
    """Return the variance of the maximum, from what it is with each of the tiles left out."""
    total, n = maps.sum(axis=0), len(maps)
    left_out = [_maximum(total - one) for one in maps]
    if any(step is None for step in left_out):
        return None
    places = np.array(left_out)
    return np.asarray((n - 1) / n * ((places - places.mean(axis=0)) ** 2).sum(axis=0))
