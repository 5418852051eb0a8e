"""The compiled fit of groups of emitters of one PSF: their pixels, the light of others, rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import CONVERGED, ESCAPED, F64, I32, OUT_OF_RANGE, SINGULAR
from rtsmlm.fitting.group_likelihood import (
    DEEP,
    FREE,
    MEMBER_Z,
    MOST,
    Evaluate,
    Light,
    Widths,
    group_ascent,
    group_chi2,
)
from rtsmlm.fitting.group_table import (
    GROUP_BACKGROUND,
    GROUP_PHOTONS,
    GROUP_STATUS,
    GROUP_X,
    GROUP_Y,
    GROUP_Z,
    members_of,
    write_members,
)
from rtsmlm.fitting.likelihood import MIN_MEAN
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

MAX_SIDE = 48
"""Pixels along a side of the place of a group."""

P = TypeVar("P")
W = TypeVar("W")


def group_fitter(
    widths: Widths[P],
    reach: Widths[P],
    memory: Callable[[int], W],
    evaluate: Evaluate[P, W],
    add_light: Callable[..., None],
    *,
    escape_px: float,
    reach_sigma: float,
) -> Callable[..., None]:
    """Return the compiled fit of groups of one PSF, to be called from compiled functions.

    Parameters
    ----------
    widths, reach, memory, evaluate, add_light
        The PSF; see `rtsmlm.fitting.group_psfs`.
    escape_px
        As for `group_ascent`.
    reach_sigma
        Pixels further from all members, in widths, are left out.

    Returns
    -------
    :
        (pixels, offset_adu, photons_per_adu, read_variance, frame, group, wanted, rows, psf,
        limits_nm, max_step_nm, excess_noise, max_iterations, sweeps): see `fit_astigmatic_groups`.
    """
    ascend = group_ascent(evaluate, widths, escape_px=escape_px)

    @njit(nogil=True, error_model="numpy")
    def place_of(
        psf: P, rows: F64, members: I32, count: int, shape: tuple[int, int]
    ) -> tuple[int, int, int, int]:
        """Return first and last row and column (exclusive) of the pixels that members reach."""
        top, bottom, left, right = 1e9, -1e9, 1e9, -1e9
        for k in range(count):
            row = rows[members[k]]
            wide_x, wide_y = widths(psf, row[GROUP_Z])
            far_x, far_y = reach_sigma * wide_x, reach_sigma * wide_y
            top, bottom = min(top, row[GROUP_Y] - far_y), max(bottom, row[GROUP_Y] + far_y)
            left, right = min(left, row[GROUP_X] - far_x), max(right, row[GROUP_X] + far_x)
        return (
            max(math.floor(top), 0),
            min(math.ceil(bottom) + 1, shape[0]),
            max(math.floor(left), 0),
            min(math.ceil(right) + 1, shape[1]),
        )

    @njit(nogil=True, error_model="numpy")
    def mark_inside(
        psf: P, rows: F64, members: I32, count: int, place: tuple[int, int, int, int], inside: F64
    ) -> None:
        """Write 1 for pixels that a member reaches, else 0."""
        height, width = place[1] - place[0], place[3] - place[2]
        inside[:height, :width] = 0.0
        for k in range(count):
            row = rows[members[k]]
            wide_x, wide_y = widths(psf, row[GROUP_Z])
            per_x = 1.0 / (reach_sigma * wide_x + 0.5)
            per_y = 1.0 / (reach_sigma * wide_y + 0.5)
            for r in range(height):
                dy = (r + place[0] - row[GROUP_Y]) * per_y
                for c in range(width):
                    dx = (c + place[2] - row[GROUP_X]) * per_x
                    if dx * dx + dy * dy < 1.0:
                        inside[r, c] = 1.0

    @njit(nogil=True, error_model="numpy")
    def add_known(
        psf: P, rows: F64, frame: I32, group: I32, first: int, place: tuple[int, int, int, int],
        drawing: W, known: F64,
    ) -> None:  # fmt: skip
        """Write the light of rows of other groups, photons per pixel."""
        height, width = place[1] - place[0], place[3] - place[2]
        known[:height, :width] = 0.0
        begin = first
        while begin > 0 and frame[begin - 1] == frame[first]:
            begin -= 1
        for j in range(begin, len(frame)):
            if frame[j] != frame[first]:
                break
            x, y = rows[j, GROUP_X] - place[2], rows[j, GROUP_Y] - place[0]
            far_x, far_y = reach(psf, rows[j, GROUP_Z])
            if group[j] == first or not (
                -far_y < y < height + far_y and -far_x < x < width + far_x
            ):
                continue
            photons = rows[j, GROUP_PHOTONS]
            add_light(psf, x, y, rows[j, GROUP_Z], photons, height, width, drawing, known)

    @njit(nogil=True, error_model="numpy")
    def fit(
        pixels: Pixels, offset_adu: F32, photons_per_adu: F32, read_variance: F32, frame: I32,
        group: I32, wanted: NDArray[np.bool_], rows: F64, psf: P, limits_nm: F64,
        max_step_nm: float, excess_noise: float, max_iterations: int, sweeps: int,
    ) -> None:  # fmt: skip
        data, read, known, inside, mean = np.empty((5, MAX_SIDE, MAX_SIDE))
        light = Light(data, read, known, inside, mean)
        drawing = memory(MAX_SIDE)
        theta, column = np.empty((2, FREE))
        information, factor = np.empty((2, FREE, FREE))
        members = np.empty(MOST, np.int32)
        for sweep_and_row in range(sweeps * len(frame)):
            i = sweep_and_row % len(frame)
            if group[i] != i or not wanted[i]:
                continue
            count = members_of(frame, group, i, members)
            place = place_of(psf, rows, members, count, offset_adu.shape)
            height, width = place[1] - place[0], place[3] - place[2]
            if count == 0 or height > MAX_SIDE or width > MAX_SIDE:
                rows[i, GROUP_STATUS] = SINGULAR
                continue
            cut_place(
                pixels[frame[i]], offset_adu, photons_per_adu, read_variance, place, excess_noise,
                data, read,
            )  # fmt: skip
            mark_inside(psf, rows, members, count, place, inside)
            add_known(psf, rows, frame, group, i, place, drawing, known)
            for k in range(count):
                row, first = rows[members[k]], DEEP * k
                theta[first] = row[GROUP_X] - place[2]
                theta[first + 1] = row[GROUP_Y] - place[0]
                theta[first + 2] = max(row[GROUP_PHOTONS], 1.0)
                theta[first + MEMBER_Z] = min(max(row[GROUP_Z], limits_nm[0]), limits_nm[1])
            theta[DEEP * count] = max(rows[i, GROUP_BACKGROUND], MIN_MEAN)
            status = ascend(
                psf, count, height, width, light, drawing, limits_nm, max_step_nm, max_iterations,
                theta, information,
            )  # fmt: skip
            for k in range(count):
                z = theta[DEEP * k + MEMBER_Z]
                if status == CONVERGED and not limits_nm[0] < z < limits_nm[1]:
                    status = OUT_OF_RANGE
            if status in (SINGULAR, ESCAPED):
                for k in range(count):
                    rows[members[k], GROUP_STATUS] = status
                continue
            chi2 = group_chi2(height, width, light) / excess_noise
            write_members(
                rows, members, count, place, theta, information, factor, column,
                excess_noise, chi2, status,
            )  # fmt: skip

    return cast("Callable[..., None]", fit)


@njit(cache=True, nogil=True, error_model="numpy")
def cut_place(
    frame: Pixels,
    offset_adu: F32,
    photons_per_adu: F32,
    read_variance: F32,
    place: tuple[int, int, int, int],
    excess_noise: float,
    data: F64,
    read: F64,
) -> None:
    """Write light and read variance of a place, in photons, the first with the second added.

    Parameters
    ----------
    frame
        Raw pixels in ADU, (height, width).
    offset_adu, photons_per_adu, read_variance
        Camera calibration, (height, width).
    place
        First and last row and column (exclusive).
    excess_noise
        Squared excess noise factor, by which the variance is divided.
    data, read
        Written, at least as large as the place.
    """
    for y in range(place[0], place[1]):
        for x in range(place[2], place[3]):
            variance = read_variance[y, x] / excess_noise
            light = (np.float32(frame[y, x]) - offset_adu[y, x]) * photons_per_adu[y, x]
            read[y - place[0], x - place[2]] = variance
            data[y - place[0], x - place[2]] = max(light + variance, 0.0)
