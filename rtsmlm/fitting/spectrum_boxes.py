"""Cuts the dispersed spectra beside spots out of frames, onto wavelengths at equal distances."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import F64, I32
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32


@njit(cache=True, nogil=True, error_model="numpy")
def cut_spectra(
    pixels: Pixels,
    offset_adu: F32,
    photons_per_adu: F32,
    frame: I32,
    x_px: F64,
    y_px: F64,
    displacement_px: F64,
    spectra: F32,
    is_inside: NDArray[np.bool_],
) -> None:
    """Write the light at the place of each wavelength; straight lines between pixels.

    Parameters
    ----------
    pixels
        Raw frames in ADU, uint16, shape (n, height, width).
    offset_adu, photons_per_adu
        Camera calibration, float32, shape (height, width).
    frame
        Frame of the batch of each spectrum, int32, shape (m,).
    x_px, y_px
        Where its light of the reference wavelength falls, in pixels from the centre of the first
        pixel, shape (m,).
    displacement_px
        Distance of each wavelength from there along the rows, shape (samples,).
    spectra
        Written: photons per pixel, float32, shape (m, rows, samples); 0 beyond the frame.
    is_inside
        Written: whether all of it lies on the frame, shape (m,).
    """
    height, width = offset_adu.shape
    n_rows, n_samples = spectra.shape[1:]
    for i in range(len(frame)):
        top = round(y_px[i]) - n_rows // 2
        is_inside[i] = top >= 0 and top + n_rows <= height
        for k in range(n_samples):
            x = x_px[i] + displacement_px[k]
            left = math.floor(x)
            part = x - left
            if left < 0 or left + 1 >= width:
                is_inside[i] = False
            for row in range(n_rows):
                y = top + row
                value = 0.0
                if 0 <= y < height and 0 <= left < width - 1:
                    here = np.float32(pixels[frame[i], y, left]) - offset_adu[y, left]
                    right = np.float32(pixels[frame[i], y, left + 1]) - offset_adu[y, left + 1]
                    value = (1.0 - part) * here * photons_per_adu[y, left]
                    value += part * right * photons_per_adu[y, left + 1]
                spectra[i, row, k] = value
