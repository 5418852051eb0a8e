"""The compiled fit of groups of emitters of one PSF: their pixels, the light of others, rows."""

from __future__ import annotations

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
    Widths,
    group_ascent,
    group_chi2,
)
from rtsmlm.fitting.group_places import MAX_SIDE, group_places, light_of
from rtsmlm.fitting.group_table import GROUP_STATUS, members_of, write_members
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

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
    lay_out = group_places(widths, reach, add_light, reach_sigma=reach_sigma)

    @njit(nogil=True, error_model="numpy")
    def fit(
        pixels: Pixels, offset_adu: F32, photons_per_adu: F32, read_variance: F32, frame: I32,
        group: I32, wanted: NDArray[np.bool_], rows: F64, psf: P, limits_nm: F64,
        max_step_nm: float, excess_noise: float, max_iterations: int, sweeps: int,
    ) -> None:  # fmt: skip
        light, maps = light_of(MAX_SIDE), (offset_adu, photons_per_adu, read_variance)
        drawing = memory(MAX_SIDE)
        theta, column = np.empty((2, FREE))
        information, factor = np.empty((2, FREE, FREE))
        members = np.empty(MOST, np.int32)
        for sweep_and_row in range(sweeps * len(frame)):
            i = sweep_and_row % len(frame)
            if group[i] != i or not wanted[i]:
                continue
            count = members_of(frame, group, i, members)
            if count == 0:
                rows[i, GROUP_STATUS] = SINGULAR
                continue
            place = lay_out(
                pixels, maps, frame, group, rows, members, count, psf, limits_nm, excess_noise,
                drawing, light, theta,
            )  # fmt: skip
            height, width = place[1] - place[0], place[3] - place[2]
            if max(height, width) > MAX_SIDE:
                rows[i, GROUP_STATUS] = SINGULAR
                continue
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
