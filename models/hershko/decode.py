"""Images of colours to rows: peaks, their centre of gravity, their colour, and light by the PSF.

The network states no photons. They are the least-squares share of each emitter in the light of its
frame (`rtsmlm.physics.spot_light`), with the PSF of its colour in focus. Standard deviations follow
from photons and background; the manifest's factors make them honest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.errors import LocalizerError
from rtsmlm.localizations import F32
from rtsmlm.models.rows import (
    CHANNEL,
    CHANNEL_PROBABILITY,
    COLUMNS_WITH_CHANNEL,
    DecodeSettings,
    Row,
)
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.spot_light import fit_light

LOWEST = 0.06
"""Fine pixels below this are no peak: an emitter between four of them leaves a quarter in each."""
REACH = 2
"""Fine pixels from a peak whose sum is its probability, and whose centre of gravity its place."""
SAME_PX = 3
"""Peaks of two colours that are nearer than so many fine pixels are one emitter."""
LEAST_SHARE = 1e-3
"""An answer without any light in the other colours is no certainty."""
CROWD_REACH_PX = 6.0
"""Emitters nearer than this share light."""
_MOST = 4096
"""Peaks of a frame that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourDecoder:
    """Finds the emitters of images of colours, a `rtsmlm.models.architecture.Decoder`."""

    shape: tuple[int, int]
    """Height and width of the frames without padding, in pixels."""
    upsampling: int
    """Fine pixels along the side of a pixel."""
    psf: TablePsf
    """Plane k is the PSF of colour k."""
    settings: DecodeSettings

    def __call__(self, maps: F32) -> list[F32]:
        """Return the emitters of each frame as rows of `rtsmlm.models.rows`, with their channel.

        Parameters
        ----------
        maps
            Images of the colours and a channel of photons, (n, colours + 1, height, width), all
            on the finer grid.

        Raises
        ------
        LocalizerError
            If the maps do not fit the frames.
        """
        fine = self.upsampling
        least = (2, self.shape[0] * fine, self.shape[1] * fine)
        if maps.ndim != 4 or any(a < b for a, b in zip(maps.shape[1:], least, strict=True)):
            raise LocalizerError(
                f"images of shape {maps.shape}; frames of {self.shape[0]} x {self.shape[1]} "
                f"pixels need at least {least[1]} x {least[2]} fine pixels and {least[0]} channels"
            )
        return [self._rows(frame) for frame in maps]

    def _rows(self, maps: F32) -> F32:
        fine, colours = self.upsampling, len(maps) - 1
        height, width = self.shape
        table = np.empty((_MOST, 5), dtype=np.float64)
        found = table[: find_colour_peaks(maps[:colours], table)]
        x_px, y_px = (found[:, 0] + 0.5) / fine - 0.5, (found[:, 1] + 0.5) / fine - 0.5
        inside = (x_px < width - 0.5) & (y_px < height - 0.5)
        kept = inside & (found[:, 3] > self.settings.min_probability)
        x_px, y_px, found = x_px[kept], y_px[kept], found[kept]
        photons = np.ascontiguousarray(maps[colours, ::fine, ::fine][:height, :width])
        light = fit_light(photons, x_px, y_px, found[:, 2], self.psf)
        rows = np.zeros((len(x_px), COLUMNS_WITH_CHANNEL), dtype=np.float32)
        rows[:, Row.X], rows[:, Row.Y] = x_px, y_px
        rows[:, Row.PHOTONS], rows[:, Row.STD_PHOTONS] = light.photons, light.std_photons
        rows[:, Row.BACKGROUND] = light.background
        rows[:, Row.PROBABILITY] = np.minimum(found[:, 3], 1.0)
        rows[:, Row.CROWD] = _crowd(x_px, y_px)
        rows[:, CHANNEL] = found[:, 2]
        rows[:, CHANNEL_PROBABILITY] = sharpened(found[:, 4], self.settings.channel_sharpness)
        counted = np.maximum(light.photons, 1.0)
        noise = np.maximum(light.background, 0.0) * light.area_px2
        rows[:, Row.STD_X] = rows[:, Row.STD_Y] = np.sqrt(counted + noise) / counted
        return rows


def sharpened(share: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Return the probability of a colour from its part of the answer.

    Parameters
    ----------
    share
        Part of the answer around a peak that is its own, 0..1.
    power
        Of its odds against all others.
    """
    held = np.clip(share, LEAST_SHARE, 1.0 - LEAST_SHARE)
    odds = (held / (1.0 - held)) ** power
    return np.asarray(odds / (1.0 + odds))


def _crowd(x_px: NDArray[np.float64], y_px: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many other emitters lie near each."""
    apart = np.hypot(x_px[:, None] - x_px, y_px[:, None] - y_px)
    return np.asarray((apart < CROWD_REACH_PX).sum(axis=1) - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def find_colour_peaks(images: F32, table: NDArray[np.float64]) -> int:
    """Write the peaks of all colours into a table, and return their number.

    Of peaks that share pixels, and of those of two colours at one place, the one of the larger sum
    stays.

    Parameters
    ----------
    images
        (colours, height, width).
    table
        Written, (most, 5): x and y in fine pixels, colour, sum around the peak, and the part of
        the sum in all colours that is its own. The images are looked at no further once it is
        full.
    """
    colours, height, width = images.shape
    n = 0
    for c in range(colours):
        for i in range(height):
            for j in range(width):
                if images[c, i, j] > LOWEST and n < len(table) and _is_peak(images[c], i, j):
                    _weigh(images, c, i, j, table[n])
                    n += 1
    kept = np.empty(n, np.int64)
    m = 0
    for index in range(n):
        if not _is_beside_a_larger_one(table, n, index):
            kept[m] = index
            m += 1
    for row in range(m):
        table[row] = table[kept[row]]
    return m


@njit(cache=True, nogil=True, error_model="numpy")
def _is_beside_a_larger_one(table: NDArray[np.float64], n: int, index: int) -> bool:
    """Tell whether a peak of a larger sum lies so near that both are one emitter."""
    for other in range(n):
        gap = max(abs(table[other, 0] - table[index, 0]), abs(table[other, 1] - table[index, 1]))
        least = REACH if table[other, 2] == table[index, 2] else SAME_PX
        here, there = table[index, 3], table[other, 3]
        if gap < least and (there > here or (there == here and other < index)):
            return True
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _is_peak(image: F32, i: int, j: int) -> bool:
    """Tell whether no pixel around is larger; of equal ones the first is the peak."""
    height, width = image.shape
    here = image[i, j]
    for di in range(-1, 2):
        for dj in range(-1, 2):
            a, b = i + di, j + dj
            if 0 <= a < height and 0 <= b < width:
                there = image[a, b]
                before = di < 0 or (di == 0 and dj < 0)
                if there > here or (before and there == here):
                    return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(images: F32, c: int, i: int, j: int, row: NDArray[np.float64]) -> None:
    """Write centre of gravity, sum and own part of the pixels around a peak."""
    colours, height, width = images.shape
    own, x, y, together = 0.0, 0.0, 0.0, 0.0
    for a in range(max(i - REACH, 0), min(i + REACH + 1, height)):
        for b in range(max(j - REACH, 0), min(j + REACH + 1, width)):
            for colour in range(colours):
                # The network answers slightly below zero where it is empty.
                value = max(images[colour, a, b], 0.0)
                together += value
                if colour == c:
                    own += value
                    x += value * b
                    y += value * a
    row[0], row[1], row[2], row[3] = x / own, y / own, c, own
    row[4] = own / together
