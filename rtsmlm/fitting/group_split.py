"""Splits members of groups in depth that are two: candidates by shape, judged by the likelihood."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting import group_psfs as psfs
from rtsmlm.fitting.boxes import CONVERGED, ESCAPED, F64, I32, NOT_CONVERGED, SINGULAR, factorize
from rtsmlm.fitting.group_likelihood import (
    DEEP,
    FREE,
    MEMBER_LIGHT,
    MEMBER_Z,
    MOST,
    Light,
    group_ascent,
    group_chi2,
)
from rtsmlm.fitting.group_places import MAX_SIDE, group_places, light_of
from rtsmlm.fitting.group_shape import CORE_WIDTHS, shape_memory, shape_of_member
from rtsmlm.fitting.group_table import (
    GROUP_COLUMNS,
    GROUP_STATUS,
    members_of,
    write_members,
)
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

MIN_MISFIT = 12.0
"""Of the shape of a member, from which it may be two: of single emitters one in 60 has more."""
DOUBTED_CHI2 = 1.2
"""Per pixel of a group, from which its members may be two whatever their misfits: a pair along an
axis is as long as one emitter out of focus, and at some distance the second moments agree."""
MIN_GAIN = 10.0
"""Of the log-likelihood, for two instead of one."""
MIN_SHARE = 0.15
"""Of the light of both that each must have."""
MIN_APART, MAX_HALF = 0.5, 1.2
"""Least distance of both, and longest half of it at first, in widths of the spot."""
MIN_LONG = 0.25
"""Of the variance in focus, by which a spot is wider along an axis that may be two in focus."""
MAX_HALF_NM = 150.0
"""The same along z."""
MOST_TRIED = 2
"""Members of a group, those of the largest misfits."""
STEPS = (4, 10)
"""At first, and from there on."""
EARLY_GAIN = 4.0
"""Of the log-likelihood, after the first steps."""
_SETTLE = 8
"""Steps that a group is given before it is split, on the same pixels as after."""

_ascend = group_ascent(psfs.evaluate_measured, psfs.measured_widths, escape_px=2.0)
_lay_out = group_places(
    psfs.measured_widths, psfs.measured_reach, psfs.add_measured, reach_sigma=3.5
)


@njit(cache=True, nogil=True, error_model="numpy")
def split_groups(
    pixels: Pixels,
    maps: tuple[F32, F32, F32],
    frame: I32,
    group: I32,
    wanted: NDArray[np.bool_],
    rows: F64,
    seconds: F64,
    psf: psfs.Measured,
    limits_nm: F64,
    focus_nm: float,
    max_step_nm: float,
    excess_noise: float,
) -> None:
    """Split one member of each group, where one is two.

    Parameters
    ----------
    pixels, frame, group, wanted, psf, limits_nm, max_step_nm, excess_noise
        As for `rtsmlm.fitting.group_fit.fit_measured_groups`.
    maps
        Offset in ADU, photons per ADU and read variance in photons², float32, (height, width) each.
    rows
        As that has fitted them; those of groups that are split are written anew, (m, columns).
    seconds
        Zeros; the second emitter of a row that is two is written, (m, columns).
    focus_nm
        z at which both axes are equally wide.
    """
    light, drawing = light_of(MAX_SIDE), psfs.measured_memory(MAX_SIDE)
    shapes, theta, best = shape_memory(MAX_SIDE), np.empty(FREE), np.empty(FREE)
    gradient, information, factor = np.empty(FREE), np.empty((FREE, FREE)), np.empty((FREE, FREE))
    members, numbers = np.empty(MOST, np.int32), np.arange(MOST).astype(np.int32)
    written = np.empty((MOST, GROUP_COLUMNS))
    for i in range(len(frame)):
        # One that ends out of range may be two whose spot is long.
        if group[i] != i or not wanted[i] or rows[i, GROUP_STATUS] in (SINGULAR, ESCAPED):
            continue
        count = members_of(frame, group, i, members)
        if count == 0 or count == MOST:
            continue
        place = _lay_out(
            pixels, maps, frame, group, rows, members, count, psf, limits_nm, excess_noise,
            drawing, light, theta,
        )  # fmt: skip
        size = place[1] - place[0], place[3] - place[2]
        if max(size) > MAX_SIDE:
            continue
        which = _which_is_two(
            psf, count, size, light, theta, drawing, shapes, limits_nm, focus_nm, max_step_nm,
            excess_noise, best,
        )  # fmt: skip
        if which < 0:
            continue
        psfs.evaluate_measured(
            psf, count + 1, size[0], size[1], light, best, drawing, gradient, information
        )
        chi2 = group_chi2(size[0], size[1], light) / excess_noise
        write_members(
            written, numbers, count + 1, place, best, information, factor, gradient, excess_noise,
            chi2, CONVERGED,
        )  # fmt: skip
        for k in range(count):
            rows[members[k]] = written[k]
        seconds[members[which]] = written[count]


@njit(cache=True, nogil=True, error_model="numpy")
def _which_is_two(
    psf: psfs.Measured, count: int, size: tuple[int, int], light: Light, theta: F64,
    drawing: psfs.Images, shapes: tuple[F64, F64, F64], limits_nm: F64, focus_nm: float,
    max_step_nm: float, excess_noise: float, best: F64,
) -> int:  # fmt: skip
    """Return the member that is two, or -1; write the parameters of all, its second one behind."""
    height, width = size
    gradient, trial = np.empty(FREE), np.empty(FREE)
    information, factor = np.empty((FREE, FREE)), np.empty((FREE, FREE))
    misfits, halves = np.empty(count), np.empty((count, 3))
    status = _ascend(
        psf, count, height, width, light, drawing, limits_nm, max_step_nm, _SETTLE, theta,
        information,
    )  # fmt: skip
    before = psfs.evaluate_measured(
        psf, count, height, width, light, theta, drawing, gradient, information
    )
    is_wrong = group_chi2(height, width, light) > DOUBTED_CHI2 * excess_noise
    factor[:] = information
    if status != CONVERGED or not factorize(factor, DEEP * count + 1):
        return -1
    for k in range(count):
        wide = psfs.measured_widths(psf, theta[DEEP * k + MEMBER_Z])
        misfits[k] = shape_of_member(
            psf[0], count, k, height, width, light, theta, CORE_WIDTHS * max(wide) + 1.0,
            drawing[0], gradient, factor, excess_noise, shapes, halves[k],
        )  # fmt: skip
    most, which = MIN_GAIN, -1
    for _ in range(min(MOST_TRIED, count)):
        k = int(np.argmax(misfits))
        if misfits[k] < MIN_MISFIT and not is_wrong:
            break
        misfits[k] = -1.0
        for z_nm in (theta[DEEP * k + MEMBER_Z], focus_nm):
            if not _begin(psf, theta, count, k, halves[k], z_nm, limits_nm, trial):
                continue
            after = _deviance_of_two(
                psf, count, size, light, drawing, limits_nm, max_step_nm,
                before - excess_noise * EARLY_GAIN, trial, gradient, information,
            )  # fmt: skip
            gain = (before - after) / excess_noise
            if gain > most and _are_two(psf, trial, k, count, limits_nm):
                most, which = gain, k
                best[:] = trial
    return which


@njit(cache=True, nogil=True, error_model="numpy")
def _deviance_of_two(
    psf: psfs.Measured, count: int, size: tuple[int, int], light: Light, drawing: psfs.Images,
    limits_nm: F64, max_step_nm: float, enough: float, trial: F64, gradient: F64, information: F64,
) -> float:  # fmt: skip
    """Return half the deviance where it is least with one member more; infinite where nowhere.

    After the first steps it must be below `enough` to be worth more of them.
    """
    for steps in STEPS:
        status = _ascend(
            psf, count + 1, size[0], size[1], light, drawing, limits_nm, max_step_nm, steps, trial,
            information,
        )  # fmt: skip
        if status not in (CONVERGED, NOT_CONVERGED):
            break
        deviance = psfs.evaluate_measured(
            psf, count + 1, size[0], size[1], light, trial, drawing, gradient, information
        )
        if status == CONVERGED:
            return float(deviance)
        if deviance > enough:
            break
    return math.inf


@njit(cache=True, nogil=True, error_model="numpy")
def _begin(
    psf: psfs.Measured, theta: F64, count: int, member: int, half: F64, z_nm: float,
    limits_nm: F64, trial: F64,
) -> bool:  # fmt: skip
    """Write where a fit begins of which a member is two; False where nothing tells them apart.

    At another depth than that of the fit two lie where the spot is wider than there.
    """
    old, new, p = DEEP * member, DEEP * count, DEEP * count + 1
    x, y, deep = half
    if z_nm != theta[old + MEMBER_Z]:
        there = psfs.measured_widths(psf, theta[old + MEMBER_Z])
        here = psfs.measured_widths(psf, z_nm)
        x, y = there[0] ** 2 - here[0] ** 2, there[1] ** 2 - here[1] ** 2
        if max(x, y) < MIN_LONG * here[0] * here[1]:
            return False
        x, y = (math.sqrt(max(x, 0.0)), 0.0) if x > y else (0.0, math.sqrt(max(y, 0.0)))
        deep = 0.0
    length = math.hypot(x, y)
    if length == 0.0:
        return False
    wide = psfs.measured_widths(psf, z_nm)
    width = math.sqrt(wide[0] * wide[1])
    scale = min(max(length, 0.5 * MIN_APART * width), MAX_HALF * width) / length
    deep = min(max(deep, -MAX_HALF_NM), MAX_HALF_NM)
    trial[:p] = theta[:p]
    trial[p - 1 + DEEP] = theta[p - 1]
    trial[old + MEMBER_LIGHT] *= 0.5
    trial[new : new + DEEP] = trial[old : old + DEEP]
    for first, side in ((old, 1.0), (new, -1.0)):
        trial[first] += side * scale * x
        trial[first + 1] += side * scale * y
        z = z_nm + side * deep
        trial[first + MEMBER_Z] = min(max(z, limits_nm[0] + 1.0), limits_nm[1] - 1.0)
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _are_two(psf: psfs.Measured, theta: F64, first: int, second: int, limits_nm: F64) -> bool:
    """Tell whether two members are emitters of their own."""
    a, b = DEEP * first, DEEP * second
    photons = theta[a + MEMBER_LIGHT], theta[b + MEMBER_LIGHT]
    if min(photons) < MIN_SHARE * (photons[0] + photons[1]):
        return False
    for k in range(second + 1):
        if not limits_nm[0] < theta[DEEP * k + MEMBER_Z] < limits_nm[1]:
            return False
    wide = psfs.measured_widths(psf, 0.5 * (theta[a + MEMBER_Z] + theta[b + MEMBER_Z]))
    apart = math.hypot((theta[a] - theta[b]) / wide[0], (theta[a + 1] - theta[b + 1]) / wide[1])
    return apart > MIN_APART
