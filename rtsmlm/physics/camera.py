"""Camera noise: mean photo-electrons per pixel to 16-bit ADU, by sensor type.

Photons are detected photons (photo-electrons) everywhere, so quantum efficiency stays out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration, map_or_number
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.physics.sampling import (
    EXPANSION_FROM,
    F64,
    State,
    fill_normals,
    gamma,
    gamma_from,
    poisson_by_search,
    poisson_from,
)

SensorType = Literal["sCMOS", "EMCCD", "ideal"]
MAX_ADU = 65535.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """A camera chip: offset, gain and read noise of each pixel."""

    kind: SensorType
    offset_adu: F32
    """Camera value in the dark, shape (height, width)."""
    adu_per_e: F32
    """Conversion gain, shape (height, width)."""
    read_variance_adu2: F32
    """Variance of the read noise, shape (height, width)."""
    em_gain: float = 1.0
    spurious_e: float = 0.0
    """Mean clock-induced electrons per pixel and frame, before multiplication."""

    def calibration(self, pixel_nm: float) -> CameraCalibration:
        """Return what a perfect calibration of this chip would find."""
        e_per_adu = 1.0 / self.adu_per_e
        return CameraCalibration(
            pixel_nm=pixel_nm,
            offset_adu=map_or_number(self.offset_adu),
            e_per_adu=map_or_number(e_per_adu),
            em_gain=self.em_gain,
            read_noise_e=map_or_number(np.sqrt(self.read_variance_adu2) * e_per_adu),
        )

    def expose(self, mean_e: F32, out: Pixels, state: State, x: int = 0, y: int = 0) -> None:
        """Draw one frame.

        Parameters
        ----------
        mean_e
            Expected photo-electrons per pixel, shape (height, width); at most the chip.
        out
            Written: ADU, uint16, same shape.
        state
            Random stream, advanced.
        x, y
            Where on the chip the frame begins, in pixels.
        """
        height, width = mean_e.shape
        region = np.s_[y : y + height, x : x + width]
        maps = (self.offset_adu[region], self.adu_per_e[region], self.read_variance_adu2[region])
        offset, gain, variance = (np.ascontiguousarray(m) for m in maps)
        read_adu = np.sqrt(variance)
        if self.kind == "EMCCD":
            mean_e = mean_e + np.float32(self.spurious_e)
            _expose_emccd(mean_e, offset, gain, read_adu, self.em_gain, out, state)
        else:
            _expose_scmos(mean_e, offset, gain, read_adu, out, state)


@njit(cache=True, nogil=True, error_model="numpy")
def _to_adu(value: float) -> int:
    return int(min(max(value + 0.5, 0.0), MAX_ADU))


@njit(cache=True, nogil=True, error_model="numpy")
def _draw_row(mean_e: F32, counts: F64, read: F64, state: State) -> None:
    """Fill one row with Poisson counts and with normal deviates for the read noise."""
    fill_normals(state, counts, read)
    for column in range(len(mean_e)):
        mean = np.float64(mean_e[column])
        if mean >= EXPANSION_FROM:
            counts[column] = poisson_from(counts[column], mean)
        else:
            counts[column] = poisson_by_search(state, mean)


@njit(cache=True, nogil=True, error_model="numpy")
def _expose_scmos(
    mean_e: F32, offset: F32, gain: F32, read_adu: F32, out: Pixels, state: State
) -> None:
    height, width = mean_e.shape
    counts, read = np.empty(width), np.empty(width)
    for row in range(height):
        _draw_row(mean_e[row], counts, read, state)
        for column in range(width):
            noise = read_adu[row, column] * read[column]
            value = offset[row, column] + gain[row, column] * counts[column] + noise
            out[row, column] = _to_adu(value)


@njit(cache=True, nogil=True, error_model="numpy")
def _expose_emccd(
    mean_e: F32,
    offset: F32,
    gain: F32,
    read_adu: F32,
    em_gain: float,
    out: Pixels,
    state: State,
) -> None:
    height, width = mean_e.shape
    counts, read = np.empty(width), np.empty(width)
    spread, unused = np.empty(width), np.empty(width)
    for row in range(height):
        _draw_row(mean_e[row], counts, read, state)
        fill_normals(state, spread, unused)
        for column in range(width):
            amplified = 0.0
            if counts[column] > 0.0:
                amplified = gamma_from(spread[column], state, counts[column])
                if amplified < 0.0:
                    amplified = gamma(state, counts[column])
            noise = read_adu[row, column] * read[column]
            value = offset[row, column] + gain[row, column] * em_gain * amplified + noise
            out[row, column] = _to_adu(value)


def scmos_sensor(shape: tuple[int, int], rng: np.random.Generator) -> Sensor:
    """Return an sCMOS chip with pixels as they come from the factory.

    Offsets scatter by pixel and by row with a tail of hot pixels; read noise has a median of
    1.4 electrons and a long tail above 10; gains differ by 1.5 %. 0.46 electrons per ADU.

    Parameters
    ----------
    shape
        Height and width in pixels.
    rng
        Draws the maps.
    """
    adu_per_e = rng.normal(1.0, 0.015, shape) / 0.46
    # Lomax tail, thinned: a few pixels in a thousand stand out, as in measured dark maps.
    hot = rng.pareto(2.7, shape) * (rng.random(shape) < 0.02) * 5.0
    offset = 100.0 + rng.normal(0.0, 1.8, shape) + rng.normal(0.0, 0.35, (shape[0], 1)) + hot
    read_noise_e = 1.38 * np.exp(rng.normal(0.0, 0.22, shape))
    noisy = rng.random(shape) < 0.01
    read_noise_e = np.where(noisy, read_noise_e * (1.0 + rng.pareto(1.6, shape)), read_noise_e)
    read_noise_e = np.minimum(read_noise_e, 60.0)
    return Sensor(
        kind="sCMOS",
        offset_adu=np.maximum(offset, 0.0).astype(np.float32),
        adu_per_e=np.clip(adu_per_e, 1.0, None).astype(np.float32),
        read_variance_adu2=((read_noise_e * adu_per_e) ** 2).astype(np.float32),
    )


def emccd_sensor(shape: tuple[int, int]) -> Sensor:
    """Return the EMCCD of the SMLM challenge: gain 300, 45 e/ADU, 74.4 e read noise."""
    return _uniform_sensor("EMCCD", shape, 1.0 / 45.0, (74.4 / 45.0) ** 2, 300.0, 0.002)


def ideal_sensor(shape: tuple[int, int]) -> Sensor:
    """Return a chip that counts photons: 1 ADU each, offset 100, no read noise."""
    return _uniform_sensor("ideal", shape, 1.0, 0.0, 1.0, 0.0)


def make_sensor(kind: SensorType, shape: tuple[int, int], rng: np.random.Generator) -> Sensor:
    """Return a chip of the kind asked for."""
    if kind == "sCMOS":
        return scmos_sensor(shape, rng)
    return emccd_sensor(shape) if kind == "EMCCD" else ideal_sensor(shape)


def _uniform_sensor(
    kind: SensorType,
    shape: tuple[int, int],
    adu_per_e: float,
    variance_adu2: float,
    em_gain: float,
    spurious_e: float,
) -> Sensor:
    def flat(value: float) -> NDArray[np.float32]:
        return np.full(shape, value, dtype=np.float32)

    return Sensor(
        kind=kind,
        offset_adu=flat(100.0),
        adu_per_e=flat(adu_per_e),
        read_variance_adu2=flat(variance_adu2),
        em_gain=em_gain,
        spurious_e=spurious_e,
    )
