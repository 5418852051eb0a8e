"""Maximum likelihood fit of emitters that overlap: of up to four at once, in the light of others.

Emitters nearer to each other than three PSF widths are fitted together, with one background; those
further away that reach into their pixels are taken for known, and are known better when all have
been fitted once. The steps are those of Fisher scoring with the damping of Levenberg and Marquardt;
the stated precision is the CRLB of the group, in which what the members do not know of each other
counts (Huang et al., Biomed. Opt. Express 2, 1377 (2011) fit groups the same way).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import ESCAPED, F64, I32, SINGULAR, factorize
from rtsmlm.fitting.group_likelihood import FREE, MOST, group_chi2, maximize_group
from rtsmlm.fitting.likelihood import MIN_MEAN
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import pixel_integrals

REACH_SIGMA = 3.0
"""Pixels further from all members are left out."""
MAX_SIDE = 48
"""Pixels along a side of the place of a group."""

GROUP_X, GROUP_Y, GROUP_PHOTONS, GROUP_BACKGROUND = 0, 1, 2, 3
GROUP_STD_X, GROUP_STD_Y, GROUP_STD_PHOTONS, GROUP_CHI2, GROUP_STATUS = 4, 5, 6, 7, 8
GROUP_COLUMNS = 9


@njit(cache=True, nogil=True, error_model="numpy")
def group_rows(frame: I32, y: F64, x: F64, link_px: float) -> NDArray[np.int32]:
    """Return the group of each row: rows nearer than the link are in one.

    Parameters
    ----------
    frame, y, x
        Frame and place in pixels, ordered by frame, then y, (n,).
    link_px
        Longest link.
    """
    n = len(frame)
    root = np.arange(n).astype(np.int32)
    for i in range(n):
        for j in range(i + 1, n):
            if frame[j] != frame[i] or y[j] - y[i] > link_px:
                break
            dy, dx = y[j] - y[i], x[j] - x[i]
            if dy * dy + dx * dx < link_px * link_px:
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
def fit_groups(
    pixels: Pixels,
    offset_adu: F32,
    photons_per_adu: F32,
    read_variance: F32,
    frame: I32,
    group: NDArray[np.int32],
    wanted: NDArray[np.bool_],
    rows: F64,
    sigma_px: float,
    excess_noise: float,
    max_iterations: int,
    sweeps: int,
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
        As `group_rows` returns it, (m,).
    wanted
        Whether a group is to be fitted, by its first row, (m,).
    rows
        Start of x, y in pixels, photons and background; overwritten by what is fitted, with
        standard deviations, chi² per pixel and status, (m, `GROUP_COLUMNS`).
    sigma_px
        Standard deviation of the PSF in pixels.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    max_iterations
        Most steps of a fit.
    sweeps
        How often all groups are fitted.
    """
    data, read, known = np.empty((3, MAX_SIDE, MAX_SIDE))
    inside = np.empty((MAX_SIDE, MAX_SIDE))
    tables = np.empty((2, MOST, 3, MAX_SIDE))
    theta, trial = np.empty(FREE), np.empty(FREE)
    gradient, trial_gradient, step = np.empty(FREE), np.empty(FREE), np.empty(FREE)
    information, trial_information = np.empty((FREE, FREE)), np.empty((FREE, FREE))
    damped = np.empty((FREE, FREE))
    members = np.empty(MOST, np.int32)
    for _ in range(sweeps):
        for i in range(len(frame)):
            if group[i] != i or not wanted[i]:
                continue
            count = members_of(frame, group, i, members)
            place = _place_of(rows, members, count, sigma_px, offset_adu.shape)
            if count == 0 or place[1] - place[0] > MAX_SIDE or place[3] - place[2] > MAX_SIDE:
                rows[i, GROUP_STATUS] = SINGULAR
                continue
            cut_place(
                pixels[frame[i]], offset_adu, photons_per_adu, read_variance, place, excess_noise,
                data, read,
            )  # fmt: skip
            _mark_inside(rows, members, count, place, sigma_px, inside)
            _add_known(rows, frame, group, i, place, sigma_px, tables[:, 0], known)
            floor = MIN_MEAN
            for k in range(count):
                theta[3 * k] = rows[members[k], GROUP_X] - place[2]
                theta[3 * k + 1] = rows[members[k], GROUP_Y] - place[0]
                theta[3 * k + 2] = max(rows[members[k], GROUP_PHOTONS], 1.0)
            theta[3 * count] = max(rows[i, GROUP_BACKGROUND], floor)
            status = maximize_group(
                count, place, data, read, known, inside, sigma_px, floor, max_iterations, tables,
                theta, trial, gradient, trial_gradient, step, information, trial_information,
                damped,
            )  # fmt: skip
            if status in (SINGULAR, ESCAPED):
                for k in range(count):
                    rows[members[k], GROUP_STATUS] = status
                continue
            chi2 = group_chi2(count, place, data, read, known, inside, theta, tables) / excess_noise
            _write(
                rows, members, count, place, theta, information, damped, step, excess_noise, chi2,
                status,
            )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def members_of(frame: I32, group: NDArray[np.int32], first: int, members: NDArray[np.int32]) -> int:
    """Write the rows of a group; return how many, 0 if there are too many."""
    count = 0
    for j in range(first, len(frame)):
        if frame[j] != frame[first]:
            break
        if group[j] == first:
            if count == MOST:
                return 0
            members[count] = j
            count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def _place_of(
    rows: F64, members: NDArray[np.int32], count: int, sigma_px: float, shape: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return first and last row and column (exclusive) of the pixels that members reach."""
    reach = REACH_SIGMA * sigma_px
    top, bottom, left, right = 1e9, -1e9, 1e9, -1e9
    for k in range(count):
        x, y = rows[members[k], GROUP_X], rows[members[k], GROUP_Y]
        top, bottom = min(top, y), max(bottom, y)
        left, right = min(left, x), max(right, x)
    return (
        max(math.floor(top - reach), 0),
        min(math.ceil(bottom + reach) + 1, shape[0]),
        max(math.floor(left - reach), 0),
        min(math.ceil(right + reach) + 1, shape[1]),
    )


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
def _mark_inside(
    rows: F64,
    members: NDArray[np.int32],
    count: int,
    place: tuple[int, int, int, int],
    sigma_px: float,
    inside: F64,
) -> None:
    reach = REACH_SIGMA * sigma_px + 0.5
    for y in range(place[0], place[1]):
        for x in range(place[2], place[3]):
            near = False
            for k in range(count):
                dx, dy = x - rows[members[k], GROUP_X], y - rows[members[k], GROUP_Y]
                near = near or dx * dx + dy * dy < reach * reach
            inside[y - place[0], x - place[2]] = 1.0 if near else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _add_known(
    rows: F64,
    frame: I32,
    group: NDArray[np.int32],
    first: int,
    place: tuple[int, int, int, int],
    sigma_px: float,
    tables: F64,
    known: F64,
) -> None:
    """Write the light of rows of other groups, photons per pixel."""
    height, width = place[1] - place[0], place[3] - place[2]
    known[:height, :width] = 0.0
    reach = 4.0 * sigma_px
    begin = first
    while begin > 0 and frame[begin - 1] == frame[first]:
        begin -= 1
    for j in range(begin, len(frame)):
        if frame[j] != frame[first]:
            break
        x, y = rows[j, GROUP_X], rows[j, GROUP_Y]
        if group[j] == first or not (
            place[0] - reach < y < place[1] + reach and place[2] - reach < x < place[3] + reach
        ):
            continue
        pixel_integrals(x - place[2], sigma_px, tables[0, :, :width])
        pixel_integrals(y - place[0], sigma_px, tables[1, :, :height])
        for r in range(height):
            light = rows[j, GROUP_PHOTONS] * tables[1, 0, r]
            for c in range(width):
                known[r, c] += light * tables[0, 0, c]


@njit(cache=True, nogil=True, error_model="numpy")
def _write(
    rows: F64,
    members: NDArray[np.int32],
    count: int,
    place: tuple[int, int, int, int],
    theta: F64,
    information: F64,
    factor: F64,
    column: F64,
    excess_noise: float,
    chi2: float,
    status: float,
) -> None:
    """Write the rows of the members, with the CRLB at what was fitted."""
    p = 3 * count + 1
    for i in range(p):
        for j in range(i + 1):
            factor[i, j] = information[i, j]
    if not factorize(factor, p):
        status = SINGULAR
    for k in range(count):
        row = rows[members[k]]
        row[GROUP_X], row[GROUP_Y] = theta[3 * k] + place[2], theta[3 * k + 1] + place[0]
        row[GROUP_PHOTONS], row[GROUP_BACKGROUND] = theta[3 * k + 2], theta[p - 1]
        row[GROUP_CHI2], row[GROUP_STATUS] = chi2, status
        for which in range(3):
            # The diagonal of the inverse: squared length of a column of the inverse factor.
            first = 3 * k + which
            total = 0.0
            for i in range(first, p):
                value = 1.0 if i == first else 0.0
                for j in range(first, i):
                    value -= factor[i, j] * column[j]
                column[i] = value / factor[i, i]
                total += column[i] * column[i]
            row[GROUP_STD_X + which] = math.sqrt(excess_noise * total)
