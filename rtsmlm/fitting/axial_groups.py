"""Maximum likelihood fit of astigmatic emitters that overlap: up to four at once, with z.

As `rtsmlm.fitting.group_fit`, with widths that differ from emitter to emitter: those of its z along
both axes. Pixels within three widths of a member count; the light of all other emitters is
taken for known.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rtsmlm.fitting.astigmatic_mle import MAX_STEP_DEPTH, width_px
from rtsmlm.fitting.axial_likelihood import (
    FREE,
    PER_MEMBER,
    evaluate_axial,
    integrate_axial,
    maximize_axial,
)
from rtsmlm.fitting.boxes import CONVERGED, ESCAPED, F64, I32, OUT_OF_RANGE, SINGULAR, invert
from rtsmlm.fitting.group_fit import MAX_SIDE, cut_place, members_of
from rtsmlm.fitting.group_likelihood import MOST
from rtsmlm.fitting.likelihood import MIN_MEAN
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import pixel_integrals

REACH_SIGMA = 3.0
"""Pixels further from all members are left out."""
LINK_SIGMA = 2.0
"""Emitters nearer than so many of their widths, added up, are fitted together."""
KNOWN_SIGMA = 4.0

AXIAL_X, AXIAL_Y, AXIAL_Z, AXIAL_PHOTONS, AXIAL_BACKGROUND = 0, 1, 2, 3, 4
AXIAL_STD_X, AXIAL_STD_Y, AXIAL_STD_Z, AXIAL_STD_PHOTONS, AXIAL_CHI2, AXIAL_STATUS = range(5, 11)
AXIAL_COLUMNS = 11


@njit(cache=True, nogil=True, error_model="numpy")
def axial_group_rows(frame: I32, rows: F64, curves: F64, widest_px: float) -> I32:
    """Return the group of each row: rows whose spots overlap are in one.

    Parameters
    ----------
    frame
        Frame of each row; rows ordered by frame, then y, (n,).
    rows
        With x and y in pixels and z in nm, (n, `AXIAL_COLUMNS`).
    curves
        From `WidthCurves.as_array`, (2, 5).
    widest_px
        Largest width of a spot.
    """
    n = len(frame)
    root = np.arange(n).astype(np.int32)
    for i in range(n):
        wide_x, wide_y = width_px(curves[0], rows[i, 2])[0], width_px(curves[1], rows[i, 2])[0]
        for j in range(i + 1, n):
            dy = rows[j, 1] - rows[i, 1]
            if frame[j] != frame[i] or dy > 2.0 * LINK_SIGMA * widest_px:
                break
            far_x = LINK_SIGMA * (wide_x + width_px(curves[0], rows[j, 2])[0])
            far_y = LINK_SIGMA * (wide_y + width_px(curves[1], rows[j, 2])[0])
            if ((rows[j, 0] - rows[i, 0]) / far_x) ** 2 + (dy / far_y) ** 2 < 1.0:
                a, b = i, j
                while root[a] != a:
                    a = root[a]
                while root[b] != b:
                    b = root[b]
                root[max(a, b)] = min(a, b)
    for i in range(n):  # roots come first
        root[i] = root[root[i]]
    return root


@njit(cache=True, nogil=True, error_model="numpy")
def fit_axial_groups(
    pixels: Pixels,
    offset_adu: F32,
    photons_per_adu: F32,
    read_variance: F32,
    frame: I32,
    group: I32,
    wanted: np.ndarray,
    rows: F64,
    curves: F64,
    limits_nm: F64,
    excess_noise: float,
    max_iterations: int,
) -> None:
    """Fit the groups of rows, each in the light of all others.

    Parameters
    ----------
    pixels
        Raw frames in ADU, uint16, shape (n, height, width).
    offset_adu, photons_per_adu, read_variance
        Camera calibration, float32, shape (height, width); variance in photons².
    frame
        Position of the frame of each row; rows ordered by frame, then y, (m,).
    group
        As `axial_group_rows` returns it, (m,).
    wanted
        Whether a group is to be fitted, by its first row, (m,).
    rows
        Start of x, y in pixels, z in nm, photons and background; overwritten by what is fitted,
        with standard deviations, chi² per pixel and status, (m, `AXIAL_COLUMNS`).
    curves
        From `WidthCurves.as_array`, (2, 5).
    limits_nm
        Least and largest z, (2,).
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    max_iterations
        Most steps of a fit.
    """
    data, read, known = np.empty((3, MAX_SIDE, MAX_SIDE))
    inside = np.empty((MAX_SIDE, MAX_SIDE))
    tables = np.empty((2, MOST, 3, MAX_SIDE))
    theta = np.empty(FREE)
    information, covariance = np.empty((FREE, FREE)), np.empty((FREE, FREE))
    gradient = np.empty(FREE)
    members = np.empty(MOST, np.int32)
    max_step_nm = MAX_STEP_DEPTH * min(curves[0, 2], curves[1, 2])
    for i in range(len(frame)):
        if group[i] != i or not wanted[i]:
            continue
        count = members_of(frame, group, i, members)
        place = _place_of(rows, members, count, curves, offset_adu.shape)
        if count == 0 or place[1] - place[0] > MAX_SIDE or place[3] - place[2] > MAX_SIDE:
            rows[i, AXIAL_STATUS] = SINGULAR
            continue
        cut_place(
            pixels[frame[i]], offset_adu, photons_per_adu, read_variance, place, excess_noise,
            data, read,
        )  # fmt: skip
        _mark_inside(rows, members, count, place, curves, inside)
        _add_known(rows, frame, group, i, place, curves, tables[:, 0], known)
        for k in range(count):
            row = rows[members[k]]
            theta[PER_MEMBER * k] = row[AXIAL_X] - place[2]
            theta[PER_MEMBER * k + 1] = row[AXIAL_Y] - place[0]
            theta[PER_MEMBER * k + 2] = min(max(row[AXIAL_Z], limits_nm[0]), limits_nm[1])
            theta[PER_MEMBER * k + 3] = max(row[AXIAL_PHOTONS], 1.0)
        theta[PER_MEMBER * count] = max(rows[i, AXIAL_BACKGROUND], MIN_MEAN)
        status = maximize_axial(
            count, place, data, read, known, inside, curves, limits_nm, max_step_nm,
            max_iterations, tables, theta,
        )  # fmt: skip
        for k in range(count):
            z = theta[PER_MEMBER * k + 2]
            if status == CONVERGED and not limits_nm[0] < z < limits_nm[1]:
                status = OUT_OF_RANGE
        p = PER_MEMBER * count + 1
        integrate_axial(count, place, theta, curves, tables)
        evaluate_axial(
            count, place, data, read, known, inside, theta, curves, tables, gradient, information
        )
        if status == ESCAPED or not invert(information[:p, :p], covariance[:p, :p]):
            for k in range(count):
                rows[members[k], AXIAL_STATUS] = SINGULAR
            continue
        chi2 = _chi2(count, place, data, read, known, inside, theta, tables) / excess_noise
        for k in range(count):
            row = rows[members[k]]
            first = PER_MEMBER * k
            row[AXIAL_X], row[AXIAL_Y] = theta[first] + place[2], theta[first + 1] + place[0]
            row[AXIAL_Z], row[AXIAL_PHOTONS] = theta[first + 2], theta[first + 3]
            row[AXIAL_BACKGROUND] = theta[p - 1]
            for which in range(PER_MEMBER):
                variance = excess_noise * covariance[first + which, first + which]
                row[AXIAL_STD_X + which] = math.sqrt(variance)
            row[AXIAL_CHI2], row[AXIAL_STATUS] = chi2, status


@njit(cache=True, nogil=True, error_model="numpy")
def _place_of(
    rows: F64, members: I32, count: int, curves: F64, shape: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return first and last row and column (exclusive) of the pixels that members reach."""
    top, bottom, left, right = 1e9, -1e9, 1e9, -1e9
    for k in range(count):
        row = rows[members[k]]
        far_x = REACH_SIGMA * width_px(curves[0], row[AXIAL_Z])[0]
        far_y = REACH_SIGMA * width_px(curves[1], row[AXIAL_Z])[0]
        top, bottom = min(top, row[AXIAL_Y] - far_y), max(bottom, row[AXIAL_Y] + far_y)
        left, right = min(left, row[AXIAL_X] - far_x), max(right, row[AXIAL_X] + far_x)
    return (
        max(math.floor(top), 0),
        min(math.ceil(bottom) + 1, shape[0]),
        max(math.floor(left), 0),
        min(math.ceil(right) + 1, shape[1]),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _mark_inside(
    rows: F64,
    members: I32,
    count: int,
    place: tuple[int, int, int, int],
    curves: F64,
    inside: F64,
) -> None:
    height, width = place[1] - place[0], place[3] - place[2]
    inside[:height, :width] = 0.0
    for k in range(count):
        row = rows[members[k]]
        far_x = REACH_SIGMA * width_px(curves[0], row[AXIAL_Z])[0] + 0.5
        far_y = REACH_SIGMA * width_px(curves[1], row[AXIAL_Z])[0] + 0.5
        for r in range(height):
            dy = (r + place[0] - row[AXIAL_Y]) / far_y
            for c in range(width):
                dx = (c + place[2] - row[AXIAL_X]) / far_x
                if dx * dx + dy * dy < 1.0:
                    inside[r, c] = 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def _add_known(
    rows: F64,
    frame: I32,
    group: I32,
    first: int,
    place: tuple[int, int, int, int],
    curves: F64,
    tables: F64,
    known: F64,
) -> None:
    """Write the light of rows of other groups, photons per pixel."""
    height, width = place[1] - place[0], place[3] - place[2]
    known[:height, :width] = 0.0
    begin = first
    while begin > 0 and frame[begin - 1] == frame[first]:
        begin -= 1
    for j in range(begin, len(frame)):
        if frame[j] != frame[first]:
            break
        if group[j] == first:
            continue
        x, y, z = rows[j, AXIAL_X] - place[2], rows[j, AXIAL_Y] - place[0], rows[j, AXIAL_Z]
        wide_x, wide_y = width_px(curves[0], z)[0], width_px(curves[1], z)[0]
        far_x, far_y = KNOWN_SIGMA * wide_x, KNOWN_SIGMA * wide_y
        if not (-far_y < y < height + far_y and -far_x < x < width + far_x):
            continue
        pixel_integrals(x, wide_x, tables[0, :, :width])
        pixel_integrals(y, wide_y, tables[1, :, :height])
        for r in range(height):
            light = rows[j, AXIAL_PHOTONS] * tables[1, 0, r]
            for c in range(width):
                known[r, c] += light * tables[0, 0, c]


@njit(cache=True, nogil=True, error_model="numpy")
def _chi2(
    count: int,
    place: tuple[int, int, int, int],
    data: F64,
    read: F64,
    known: F64,
    inside: F64,
    theta: F64,
    tables: F64,
) -> float:
    """Return the mean squared residual over its variance, of the pixels inside."""
    total, n = 0.0, 0
    for r in range(place[1] - place[0]):
        for c in range(place[3] - place[2]):
            if inside[r, c] > 0.0:
                mean = theta[PER_MEMBER * count] + known[r, c] + read[r, c]
                for k in range(count):
                    light = theta[PER_MEMBER * k + 3]
                    mean += light * tables[0, k, 0, c] * tables[1, k, 0, r]
                total += (data[r, c] - mean) ** 2 / mean
                n += 1
    return total / max(n, 1)
