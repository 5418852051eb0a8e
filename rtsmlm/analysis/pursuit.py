"""Matching pursuit: emitters of a known PSF, found one after another in what is left of a frame.

The plain way to localize in 3D with any PSF, without a network: slow, with which a network that
was trained for the same PSF is compared on real data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2

from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.spot_light import fit_light

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PursuitSettings:
    """When an emitter is found, and when to stop."""

    z_step_nm: float = 100.0
    least_snr: float = 6.0
    """Light over its standard deviation from the noise of the frame."""
    rounds: int = 12
    per_round: int = 8
    apart_px: float = 12.0
    """Emitters that are found in the same round are at least so far from each other."""


DEFAULTS = PursuitSettings()


def pursue(
    frames: F32,
    psf: TablePsf,
    z_nm: tuple[float, float],
    *,
    pixel_nm: float,
    settings: PursuitSettings = DEFAULTS,
) -> Localizations:
    """Return the emitters of frames.

    Parameters
    ----------
    frames
        Photons per pixel, (n, height, width).
    psf
        The PSF on their pixels.
    z_nm
        Depths to look at.
    pixel_nm
        Camera pixel in the sample plane.
    settings
        When an emitter is found, and when to stop.
    """
    depths = np.arange(z_nm[0], z_nm[1] + 0.5 * settings.z_step_nm, settings.z_step_nm)
    bank = _Bank(psf, depths, (frames.shape[1], frames.shape[2]))
    tables = [_pursue_one(frame, bank, psf, settings) for frame in frames]
    numbers = np.repeat(np.arange(len(frames)), [len(table) for table in tables])
    found = np.concatenate(tables) if tables else np.empty((0, 4))
    columns = {
        "frame": numbers.astype(np.int64),
        "x_nm": found[:, 0] * pixel_nm,
        "y_nm": found[:, 1] * pixel_nm,
        "z_nm": found[:, 2],
        "photons": found[:, 3],
    }
    return Localizations.from_columns(columns)


class _Bank:
    """Spots at all depths, ready to be looked for in a frame."""

    def __init__(self, psf: TablePsf, depths: F64, shape: tuple[int, int]) -> None:
        half = int(0.5 * (psf.sums.shape[1] - 1) / psf.fine_per_px) + 1
        side = 2 * half + 1
        self.depths, self.shape = depths, shape
        self._padded = [next_fast_len(size + side, real=True) for size in shape]
        middle = np.full(1, float(half))
        spots = np.zeros((len(depths), side, side), dtype=np.float32)
        for spot, z in zip(spots, depths, strict=True):
            psf.render(spot, middle, middle, np.full(1, z), np.ones(1))
        self.norms = np.sqrt((spots.astype(np.float64) ** 2).sum(axis=(1, 2)))
        centred = np.zeros((len(depths), *self._padded))
        centred[:, :side, :side] = spots
        centred = np.roll(centred, (-half, -half), axis=(1, 2))
        self._spectra = np.conj(rfft2(centred))

    def correlate(self, residual: F64) -> F64:
        """Return light over its noise at unit noise, (depths, height, width)."""
        spectrum = rfft2(residual, self._padded)
        maps = irfft2(self._spectra * spectrum, self._padded)
        height, width = self.shape
        return np.asarray(maps[:, :height, :width] / self.norms[:, None, None])


def _pursue_one(frame: F32, bank: _Bank, psf: TablePsf, settings: PursuitSettings) -> F64:
    """Return x and y in pixels, z in nm and photons of the emitters of a frame."""
    found = np.empty((0, 3))
    for _ in range(settings.rounds):
        light = fit_light(frame, found[:, 0], found[:, 1], found[:, 2], psf)
        noise = 1.4826 * float(np.median(np.abs(light.residual - np.median(light.residual))))
        maps = bank.correlate(light.residual) / max(noise, 1e-9)
        new = _peaks(maps, bank.depths, settings)
        if not len(new):
            break
        found = np.concatenate([found, new])
    light = fit_light(frame, found[:, 0], found[:, 1], found[:, 2], psf)
    lit = light.photons > 0.0
    return np.column_stack([found, light.photons])[lit]


def _peaks(maps: F64, depths: F64, settings: PursuitSettings) -> F64:
    """Return the places of the highest peaks that are far enough from each other, (m, 3)."""
    best = maps.max(axis=0)
    y_all, x_all = np.mgrid[: best.shape[0], : best.shape[1]]
    places = []
    for _ in range(settings.per_round):
        i, j = np.unravel_index(int(np.argmax(best)), best.shape)
        if best[i, j] < settings.least_snr:
            break
        k = int(np.argmax(maps[:, i, j]))
        x = j + _vertex(maps[k, i, max(j - 1, 0) : j + 2])
        y = i + _vertex(maps[k, max(i - 1, 0) : i + 2, j])
        plane = k + _vertex(maps[max(k - 1, 0) : k + 2, i, j])
        places.append((x, y, depths[0] + plane * (depths[1] - depths[0])))
        best = np.where(np.hypot(x_all - j, y_all - i) < settings.apart_px, -np.inf, best)
    return np.array(places).reshape(-1, 3)


def _vertex(values: F64) -> float:
    """Return where the parabola through three values has its peak, from the middle one."""
    if len(values) < 3:
        return 0.0
    bend = values[0] - 2.0 * values[1] + values[2]
    return float(np.clip(0.5 * (values[0] - values[2]) / bend, -0.5, 0.5)) if bend < 0.0 else 0.0
