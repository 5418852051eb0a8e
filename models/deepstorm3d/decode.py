"""Volumes to rows: peaks in three dimensions, their centre of gravity, and light by the PSF.

The network states no photons. They are the least-squares share of each emitter in the light of its
frame (`rtsmlm.physics.spot_light`), with the PSF that the network was trained for. Standard
deviations follow from photons and background; the manifest's factors make them honest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.errors import LocalizerError
from rtsmlm.localizations import F32
from rtsmlm.models.rows import COLUMNS, DecodeSettings, Row
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.spot_light import fit_light

LOWEST = 0.04
"""Voxels below this are no peak: an emitter between eight voxels leaves an eighth in each."""
REACH = 2
"""Voxels from a peak whose sum is its probability, and whose centre of gravity its place."""
CROWD_REACH_PX = 10.0
"""Emitters nearer than this share light."""
_MOST = 4096
"""Peaks of a frame that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeDecoder:
    """Finds the emitters of volumes, a `rtsmlm.models.architecture.Decoder`."""

    shape: tuple[int, int]
    """Height and width of the frames without padding, in pixels."""
    upsampling: int
    """Voxels along the side of a pixel."""
    z_nm: tuple[float, float]
    """Depth of the first and the last plane."""
    psf: TablePsf
    settings: DecodeSettings

    def __call__(self, maps: F32) -> list[F32]:
        """Return the emitters of each frame as rows of `rtsmlm.models.rows`.

        Parameters
        ----------
        maps
            Planes of the volumes and a channel of photons, (n, planes + 1, height, width), all
            on the finer grid.

        Raises
        ------
        LocalizerError
            If the maps do not fit the frames.
        """
        fine = self.upsampling
        least = (3, self.shape[0] * fine, self.shape[1] * fine)
        if maps.ndim != 4 or any(a < b for a, b in zip(maps.shape[1:], least, strict=True)):
            raise LocalizerError(
                f"volumes of shape {maps.shape}; frames of {self.shape[0]} x {self.shape[1]} "
                f"pixels need at least {least[1]} x {least[2]} voxels and {least[0]} channels"
            )
        return [self._rows(frame) for frame in maps]

    def _rows(self, maps: F32) -> F32:
        fine, planes = self.upsampling, len(maps) - 1
        height, width = self.shape
        table = np.empty((_MOST, 4), dtype=np.float64)
        found = table[: find_peaks(maps[:planes], table)]
        x_px, y_px = (found[:, 0] + 0.5) / fine - 0.5, (found[:, 1] + 0.5) / fine - 0.5
        z = found[:, 2] * 2.0 / (planes - 1) - 1.0
        inside = (x_px < width - 0.5) & (y_px < height - 0.5)
        kept = inside & (found[:, 3] > self.settings.min_probability)
        x_px, y_px, z, probability = x_px[kept], y_px[kept], z[kept], found[kept, 3]
        middle, half = 0.5 * (self.z_nm[0] + self.z_nm[1]), 0.5 * (self.z_nm[1] - self.z_nm[0])
        photons = np.ascontiguousarray(maps[planes, ::fine, ::fine][:height, :width])
        light = fit_light(photons, x_px, y_px, middle + half * z, self.psf)
        rows = np.zeros((len(x_px), COLUMNS), dtype=np.float32)
        rows[:, Row.X], rows[:, Row.Y], rows[:, Row.Z] = x_px, y_px, z
        rows[:, Row.PHOTONS], rows[:, Row.STD_PHOTONS] = light.photons, light.std_photons
        rows[:, Row.BACKGROUND] = light.background
        rows[:, Row.PROBABILITY] = np.minimum(probability, 1.0)
        rows[:, Row.CROWD] = _crowd(x_px, y_px)
        counted = np.maximum(light.photons, 1.0)
        noise = np.maximum(light.background, 0.0) * light.area_px2
        rows[:, Row.STD_X] = rows[:, Row.STD_Y] = np.sqrt(counted + noise) / counted
        rows[:, Row.STD_Z] = rows[:, Row.STD_X]
        return rows


def _crowd(x_px: NDArray[np.float64], y_px: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many other emitters lie near each."""
    apart = np.hypot(x_px[:, None] - x_px, y_px[:, None] - y_px)
    return np.asarray((apart < CROWD_REACH_PX).sum(axis=1) - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def find_peaks(volume: F32, table: NDArray[np.float64]) -> int:
    """Write x, y, z in voxels and the sum of each peak into a table, and return their number.

    Of peaks that share voxels the one of the larger sum stays.

    Parameters
    ----------
    volume
        (planes, height, width).
    table
        (most, 4); the volume is looked at no further once it is full.
    """
    planes, height, width = volume.shape
    kept = np.empty(len(table), np.int64)
    n = 0
    for k in range(planes):
        for i in range(height):
            for j in range(width):
                if volume[k, i, j] > LOWEST and n < len(table) and _is_peak(volume, k, i, j):
                    _weigh(volume, k, i, j, table[n])
                    n += 1
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
    """Tell whether a peak of a larger sum lies so near that both share most voxels."""
    for other in range(n):
        gap = 0.0
        for axis in range(3):
            gap = max(gap, abs(table[other, axis] - table[index, axis]))
        here, there = table[index, 3], table[other, 3]
        if gap < REACH and (there > here or (there == here and other < index)):
            return True
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _is_peak(volume: F32, k: int, i: int, j: int) -> bool:
    """Tell whether no voxel around is larger; of equal ones the first is the peak."""
    planes, height, width = volume.shape
    here = volume[k, i, j]
    for dk in range(-1, 2):
        for di in range(-1, 2):
            for dj in range(-1, 2):
                a, b, c = k + dk, i + di, j + dj
                if 0 <= a < planes and 0 <= b < height and 0 <= c < width:
                    there = volume[a, b, c]
                    before = dk < 0 or (dk == 0 and (di < 0 or (di == 0 and dj < 0)))
                    if there > here or (before and there == here):
                        return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(volume: F32, k: int, i: int, j: int, row: NDArray[np.float64]) -> None:
    """Write centre of gravity and sum of the voxels around a peak."""
    planes, height, width = volume.shape
    total, x, y, z = 0.0, 0.0, 0.0, 0.0
    for a in range(max(k - REACH, 0), min(k + REACH + 1, planes)):
        for b in range(max(i - REACH, 0), min(i + REACH + 1, height)):
            for c in range(max(j - REACH, 0), min(j + REACH + 1, width)):
                value = volume[a, b, c]
                total += value
                x += value * c
                y += value * b
                z += value * a
    row[0], row[1], row[2], row[3] = x / total, y / total, z / total, total
