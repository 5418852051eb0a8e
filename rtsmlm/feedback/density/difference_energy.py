"""Energy of the difference of two frames, of its model, and of both together, pixel by pixel."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import pixel_integrals

F64: TypeAlias = NDArray[np.float64]
B8: TypeAlias = NDArray[np.bool_]

REACH_SIGMA = 4.0

# Sums over the filtered pixels of pairs of frames; ROWS are those of both.
CHANGE, CROSS, MODEL, SHARP, VARIANCE, PIXELS, ROWS, AREA = range(8)
N_SUMS = 8


@njit(cache=True, nogil=True, error_model="numpy")
def add_photons(
    pixels: Pixels, offset: F32, gain: F32, top: int, left: int, sign: float, sums: F32
) -> None:
    """Add a window of a frame in photons, with its sign to sums[0], as it is to sums[1]."""
    for y in range(sums.shape[1]):
        adu, dark, per_adu = pixels[top + y], offset[top + y], gain[top + y]
        for x in range(sums.shape[2]):
            photons = (np.float32(adu[left + x]) - dark[left + x]) * per_adu[left + x]
            sums[0, y, x] += np.float32(sign) * photons
            sums[1, y, x] += photons


@njit(cache=True, nogil=True, error_model="numpy")
def add_model(x_px: F32, y_px: F32, photons: F32, sigma_px: float, sign: float, out: F32) -> int:
    """Add Gaussians to a difference, with their sign; return how many lie in it.

    Rows that are not finite add nothing.
    """
    height, width = out.shape
    n = 0
    reach = math.ceil(REACH_SIGMA * sigma_px)
    along_x, along_y = np.empty((3, 2 * reach + 1)), np.empty((3, 2 * reach + 1))
    for i in range(len(x_px)):
        x, y, light = float(x_px[i]), float(y_px[i]), sign * float(photons[i])
        # Written so that NaN is left out.
        if not (-reach < x < width + reach and -reach < y < height + reach and abs(light) < 1e9):
            continue
        n += -0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5
        left, top = round(x) - reach, round(y) - reach
        pixel_integrals(x - left, sigma_px, along_x)
        pixel_integrals(y - top, sigma_px, along_y)
        for row in range(max(0, -top), min(2 * reach + 1, height - top)):
            weight = light * along_y[0, row]
            for column in range(max(0, -left), min(2 * reach + 1, width - left)):
                out[top + row, left + column] += np.float32(weight * along_x[0, column])
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def hide_steady(before: F32, after: F32, least: float, sigma_px: float, hidden: B8) -> None:
    """Mark the pixels round rows, (3, n) of x, y and photons, that are bright in both frames."""
    height, width = hidden.shape
    hidden[:] = False
    reach = math.ceil(REACH_SIGMA * sigma_px)
    for i in range(before.shape[1]):
        x, y = float(before[0, i]), float(before[1, i])
        near = -reach < x < width + reach and -reach < y < height + reach
        if not (near and before[2, i] > least):
            continue
        for j in range(after.shape[1]):
            dx, dy = after[0, j] - x, after[1, j] - y
            if after[2, j] > least and dx * dx + dy * dy < sigma_px * sigma_px:
                column, row = round(x), round(y)
                below, right = max(0, row + reach + 1), max(0, column + reach + 1)
                hidden[max(0, row - reach) : below, max(0, column - reach) : right] = True
                break


@njit(cache=True, nogil=True, error_model="numpy")
def sum_up(
    frames: F32,
    filtered: F32,
    model: F32,
    hidden: B8,
    read_variance: F32,
    top: int,
    left: int,
    excess_noise: float,
    sums: F64,
) -> None:
    """Add what a pair of frames tells to the sums."""
    change, total = frames
    height, width = change.shape
    for y in range(1, height - 1):
        above, here, below = change[y - 1], change[y], change[y + 1]
        for x in range(1, width - 1):
            if hidden[y, x]:
                continue
            d, m = float(filtered[y, x]), float(model[y, x])
            sharp = float(
                (above[x - 1] + above[x + 1] + below[x - 1] + below[x + 1])
                - 2.0 * (above[x] + below[x] + here[x - 1] + here[x + 1])
                + 4.0 * here[x]
            )
            sums[CHANGE] += d * d
            sums[CROSS] += d * m
            sums[MODEL] += m * m
            sums[SHARP] += sharp * sharp
            sums[VARIANCE] += excess_noise * total[y, x] + 2.0 * read_variance[top + y, left + x]
            sums[PIXELS] += 1
