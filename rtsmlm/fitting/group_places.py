"""The pixels of groups of emitters, for compiled code: which count, what shines into them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

from rtsmlm.fitting.boxes import F64, I32
from rtsmlm.fitting.group_likelihood import DEEP, MEMBER_Z, Light, Widths
from rtsmlm.fitting.group_table import (
    GROUP_BACKGROUND,
    GROUP_PHOTONS,
    GROUP_X,
    GROUP_Y,
    GROUP_Z,
)
from rtsmlm.fitting.likelihood import MIN_MEAN
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

MAX_SIDE = 48
"""Pixels along a side of the place of a group."""

P = TypeVar("P")


def group_places(
    widths: Widths[P], reach: Widths[P], add_light: Callable[..., None], *, reach_sigma: float
) -> Callable[..., tuple[int, int, int, int]]:
    """Return the compiled function that lays out a group of one PSF.

    Parameters
    ----------
    widths, reach, add_light
        The PSF; see `rtsmlm.fitting.group_psfs`.
    reach_sigma
        Pixels further from all members, in widths, are left out.

    Returns
    -------
    :
        (pixels, maps, frame, group, rows, members, count, psf, limits_nm, excess_noise, drawing,
        light, theta): writes the pixels of the group of the first member and where its fit begins;
        returns first and last row and column (exclusive) of its place. Where that is larger than
        `MAX_SIDE` along a side nothing is written. The maps are offset in ADU, photons per ADU and
        read variance in photons², float32, (height, width) each.
    """

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
        drawing: Any, known: F64,
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
    def lay_out(
        pixels: Pixels, maps: tuple[F32, F32, F32], frame: I32, group: I32, rows: F64,
        members: I32, count: int, psf: P, limits_nm: F64, excess_noise: float, drawing: Any,
        light: Light, theta: F64,
    ) -> tuple[int, int, int, int]:  # fmt: skip
        first = members[0]
        place = place_of(psf, rows, members, count, maps[0].shape)
        if max(place[1] - place[0], place[3] - place[2]) > MAX_SIDE:
            return place
        cut_place(
            pixels[frame[first]], maps[0], maps[1], maps[2], place, excess_noise,
            light.data, light.read,
        )  # fmt: skip
        mark_inside(psf, rows, members, count, place, light.inside)
        add_known(psf, rows, frame, group, first, place, drawing, light.known)
        for k in range(count):
            row, start = rows[members[k]], DEEP * k
            theta[start] = row[GROUP_X] - place[2]
            theta[start + 1] = row[GROUP_Y] - place[0]
            theta[start + 2] = max(row[GROUP_PHOTONS], 1.0)
            theta[start + MEMBER_Z] = min(max(row[GROUP_Z], limits_nm[0]), limits_nm[1])
        theta[DEEP * count] = max(rows[first, GROUP_BACKGROUND], MIN_MEAN)
        return place

    return cast("Callable[..., tuple[int, int, int, int]]", lay_out)


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


@njit(cache=True, nogil=True, error_model="numpy")
def light_of(side_px: int) -> Any:
    """Return memory for the pixels of a place of this side."""
    data, read, known, inside, mean = np.empty((5, side_px, side_px))
    return Light(data, read, known, inside, mean)
