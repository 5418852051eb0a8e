"""Whether a spot in depth that was fitted with the image of beads has the shape of one emitter.

As `rtsmlm.fitting.spot_shape`, with z: two emitters beside each other leave second moments across
the image, and a slope across it of what changes with z where they lie at different depths. Along z
alone two are not told from one.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rtsmlm.fitting.boxes import (
    BACKGROUND,
    CONVERGED,
    F64,
    PHOTONS,
    SIGMA,
    STATUS,
    X,
    Y,
    Z,
    factorize,
)
from rtsmlm.fitting.group_likelihood import DEEP, FREE, MEMBER_LIGHT, MEMBER_Z, Light
from rtsmlm.fitting.group_places import light_of
from rtsmlm.fitting.group_psfs import evaluate_measured, measured_memory, slope_scale
from rtsmlm.fitting.psf_spline import BY_X, BY_Y, BY_Z, PsfSpline, make_scratch, write_images
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import FAST

MOMENTS = 5
"""Second derivatives of the image: by x twice, by x and y, by y twice, by x and z, by y and z."""
CORE_WIDTHS = 3.0
"""Pixels further from an emitter, in widths of its spot, tell nothing of second moments."""
LEAST_SIDE = 5
"""Pixels along a side of what is looked at of a spot."""
_STEP_PX = 0.1
"""Between slopes that second derivatives are the difference of."""


@njit(cache=True, nogil=True, error_model="numpy")
def shape_memory(side_px: int) -> tuple[F64, F64, F64]:
    """Return memory for `shape_of_member` of places of this side."""
    return (
        np.empty((4, side_px, side_px)),
        np.empty((MOMENTS, side_px, side_px)),
        make_scratch(side_px),
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def shape_of_member(
    spline: PsfSpline,
    count: int,
    member: int,
    height: int,
    width: int,
    light: Light,
    theta: F64,
    reach_px: float,
    images: F64,
    gradient: F64,
    factor: F64,
    excess_noise: float,
    memory: tuple[F64, F64, F64],
    half: F64,
) -> float:
    """Return how far the second moments of a member are from those of one emitter.

    Parameters
    ----------
    spline
        The image of beads.
    count, member
        Members of the group, and which of them.
    height, width
        Of its place.
    light
        Its pixels, with what is expected of them.
    theta
        Parameters where the likelihood is largest, as in `rtsmlm.fitting.group_likelihood`.
    reach_px
        Pixels further from the member, along x or y, are left out.
    images
        Of the members and their slopes there, (members, 4, side, side).
    gradient, factor
        Slope of the likelihood there, and the Fisher information, factorized (`factorize`).
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    memory
        From `shape_memory`.
    half
        Written, (3,): from the middle to one of two of equal light, x and y in pixels and z in nm;
        zeros where nothing tells them apart.

    Returns
    -------
    :
        Distributed as chi² with five degrees of freedom for one emitter; 0 where it is not told.
    """
    half[:] = 0.0
    p, second = DEEP * count + 1, memory[1]
    first, own = DEEP * member, images[member]
    shine = theta[first + MEMBER_LIGHT]
    top = min(max(math.ceil(theta[first + 1] - reach_px), 0), height)
    bottom = max(min(math.floor(theta[first + 1] + reach_px) + 1, height), top)
    left = min(max(math.ceil(theta[first] - reach_px), 0), width)
    right = max(min(math.floor(theta[first] + reach_px) + 1, width), left)
    _write_second(spline, theta[first:], (top, bottom, left, right), own, memory)
    score, among = np.zeros(MOMENTS), np.zeros((MOMENTS, MOMENTS))
    by_fit, scales = np.zeros((MOMENTS, FREE)), np.empty(FREE)
    for i in range(p):
        scales[i] = slope_scale(theta, i, p)
    n = right - left
    weight, pull, row = np.empty((3, n))
    for r in range(top, bottom):
        for c in range(n):
            weight[c] = light.inside[r, left + c] / light.mean[r, left + c]
            pull[c] = light.data[r, left + c] * weight[c] - light.inside[r, left + c]
        for j in range(MOMENTS):
            moment = second[j, r - top]
            total = 0.0
            for c in range(n):
                row[c] = shine * weight[c] * moment[c]
                total += pull[c] * moment[c]
            score[j] += shine * total
            for k in range(j + 1):
                total = 0.0
                for c in range(n):
                    total += row[c] * second[k, r - top, c]
                among[j, k] += shine * total
            for i in range(p - 1):
                slope = images[i // DEEP, i % DEEP, r, left:right]
                total = 0.0
                for c in range(n):
                    total += row[c] * slope[c]
                by_fit[j, i] += scales[i] * total
            by_fit[j, p - 1] += row.sum()
    # What the parameters of the fit take up of each moment.
    pulled = gradient[:p].copy()
    for i in range(p):
        for k in range(i):
            pulled[i] -= factor[i, k] * pulled[k]
        pulled[i] /= factor[i, i]
    for j in range(MOMENTS):
        for i in range(p):
            for k in range(i):
                by_fit[j, i] -= factor[i, k] * by_fit[j, k]
            by_fit[j, i] /= factor[i, i]
        score[j] -= np.dot(by_fit[j, :p], pulled)
        for k in range(j + 1):
            among[j, k] -= np.dot(by_fit[j, :p], by_fit[k, :p])
    if not factorize(among, MOMENTS):
        return 0.0
    total = 0.0
    for j in range(MOMENTS):
        for k in range(j):
            score[j] -= among[j, k] * score[k]
        score[j] /= among[j, j]
        total += score[j] * score[j]
    for j in range(MOMENTS - 1, -1, -1):
        for k in range(j + 1, MOMENTS):
            score[j] -= among[k, j] * score[k]
        score[j] /= among[j, j]
    _write_half(score, half)
    return total / excess_noise


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _write_second(
    spline: PsfSpline,
    place: F64,
    window: tuple[int, int, int, int],
    own: F64,
    memory: tuple[F64, F64, F64],
) -> None:
    """Write the second derivatives of the image of an emitter of one photon in a window."""
    images, second, scratch = memory
    top, bottom, left, right = window
    height, width = bottom - top, right - left
    x, y, z = place[0] - left, place[1] - top, place[MEMBER_Z]
    write_images(spline, x + _STEP_PX, y, z, height, width, scratch, images)
    for r in range(height):
        for c in range(width):
            second[0, r, c] = (images[BY_X, r, c] - own[BY_X, top + r, left + c]) / _STEP_PX
            second[1, r, c] = (images[BY_Y, r, c] - own[BY_Y, top + r, left + c]) / _STEP_PX
            second[3, r, c] = (images[BY_Z, r, c] - own[BY_Z, top + r, left + c]) / _STEP_PX
    write_images(spline, x, y + _STEP_PX, z, height, width, scratch, images)
    for r in range(height):
        for c in range(width):
            second[2, r, c] = (images[BY_Y, r, c] - own[BY_Y, top + r, left + c]) / _STEP_PX
            second[4, r, c] = (images[BY_Z, r, c] - own[BY_Z, top + r, left + c]) / _STEP_PX


@njit(cache=True, nogil=True, error_model="numpy")
def _write_half(moments: F64, half: F64) -> None:
    """Write half of the way between two emitters from the moments that they leave."""
    # Of two of equal light at +-(x, y, z) the moments are x²/2, x y, y²/2, x z and y z.
    xx, xy, yy = 2.0 * moments[0], moments[1], 2.0 * moments[2]
    angle = 0.5 * math.atan2(2.0 * xy, xx - yy)
    cos, sin = math.cos(angle), math.sin(angle)
    along = xx * cos * cos + 2.0 * xy * cos * sin + yy * sin * sin
    if along <= 0.0:
        return
    length = math.sqrt(along)
    half[0], half[1] = length * cos, length * sin
    half[2] = (moments[3] * cos + moments[4] * sin) / length


@njit(cache=True, nogil=True, error_model="numpy")
def deep_misfits(
    photons: F32, variance: F32, rows: F64, spline: PsfSpline, excess_noise: float, misfits: F64
) -> None:
    """Write how far the second moments of lone spots are from those of one emitter.

    Parameters
    ----------
    photons, variance
        Light and read variance of the boxes in photons and photons², float32, (n, box, box).
    rows
        Fits with positions in pixels of the box, those of the spline, as
        `rtsmlm.fitting.boxes.fit_table`.
    spline
        The image of beads.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    misfits
        Written, (n,): see `shape_of_member`; infinite where there is no fit.
    """
    box = photons.shape[1]
    light, drawing, memory = light_of(box), measured_memory(box), shape_memory(box)
    light.known[:] = 0.0
    light.inside[:] = 1.0
    theta, gradient, information = np.empty(FREE), np.empty(FREE), np.empty((FREE, FREE))
    half, no_curves = np.empty(3), np.empty((2, 5))  # images do not need the curves
    for n in range(len(photons)):
        misfits[n] = np.inf
        if rows[n, STATUS] != CONVERGED:
            continue
        # All parameters are free in the pixels of the spot itself: beyond it there is no shape.
        reach = CORE_WIDTHS * rows[n, SIGMA] + 1.0
        top, left = max(math.ceil(rows[n, Y] - reach), 0), max(math.ceil(rows[n, X] - reach), 0)
        height = min(math.floor(rows[n, Y] + reach) + 1, box) - top
        width = min(math.floor(rows[n, X] + reach) + 1, box) - left
        if min(height, width) < LEAST_SIDE:
            continue
        for r in range(height):
            for c in range(width):
                read = variance[n, top + r, left + c] / excess_noise
                light.read[r, c] = read
                light.data[r, c] = max(photons[n, top + r, left + c] + read, 0.0)
        theta[0], theta[1], theta[MEMBER_Z] = rows[n, X] - left, rows[n, Y] - top, rows[n, Z]
        theta[MEMBER_LIGHT], theta[DEEP] = rows[n, PHOTONS], rows[n, BACKGROUND]
        psf = (spline, no_curves)
        evaluate_measured(psf, 1, height, width, light, theta, drawing, gradient, information)
        if factorize(information, DEEP + 1):
            misfits[n] = shape_of_member(
                spline, 1, 0, height, width, light, theta, reach, drawing[0], gradient,
                information, excess_noise, memory, half,
            )  # fmt: skip
