"""What groups of emitters are fitted with, for compiled code: two PSFs and their likelihoods.

Of an astigmatic Gaussian and of the image of beads the images of all members are written first,
with their slopes. `rtsmlm.fitting.group_likelihood` says what the arguments are.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numba import njit

from rtsmlm.fitting.astigmatic_mle import width_px
from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.group_likelihood import DEEP, FREE, MEMBER_LIGHT, MEMBER_Z, MOST, Light
from rtsmlm.fitting.likelihood import MIN_MEAN
from rtsmlm.fitting.psf_spline import (
    BY_X,
    BY_Y,
    BY_Z,
    VALUE,
    PsfSpline,
    make_scratch,
    write_images,
)
from rtsmlm.physics.gaussian import FAST, pixel_integrals

KNOWN_SIGMA = 4.0
"""How far the light of Gaussians of other groups is added."""

Measured: TypeAlias = tuple[PsfSpline, F64]
"""The image of beads, and the curves of its widths as of an astigmatic Gaussian."""
Images: TypeAlias = tuple[F64, F64]
"""Images of members and their slopes in the order of parameters, (MOST, 4, side, side), and memory
to draw one in."""


@njit(cache=True, nogil=True, error_model="numpy")
def astigmatic_widths(curves: F64, z_nm: float) -> tuple[float, float]:
    """Return the widths along x and y."""
    return width_px(curves[0], z_nm)[0], width_px(curves[1], z_nm)[0]


@njit(cache=True, nogil=True, error_model="numpy")
def measured_widths(psf: Measured, z_nm: float) -> tuple[float, float]:
    """Return the widths along x and y."""
    return astigmatic_widths(psf[1], z_nm)


@njit(cache=True, nogil=True, error_model="numpy")
def astigmatic_reach(curves: F64, z_nm: float) -> tuple[float, float]:
    """Return how far light of others is added."""
    return KNOWN_SIGMA * width_px(curves[0], z_nm)[0], KNOWN_SIGMA * width_px(curves[1], z_nm)[0]


@njit(cache=True, nogil=True, error_model="numpy")
def measured_reach(psf: Measured, z_nm: float) -> tuple[float, float]:
    """Return how far the image of beads reaches."""
    return psf[0].reach_px, psf[0].reach_px


@njit(cache=True, nogil=True, error_model="numpy")
def astigmatic_memory(side_px: int) -> Images:
    """Return memory for images of astigmatic members."""
    return np.empty((MOST, 4, side_px, side_px)), np.empty((2, 3, side_px))


@njit(cache=True, nogil=True, error_model="numpy")
def measured_memory(side_px: int) -> Images:
    """Return memory for images of members."""
    return np.empty((MOST, 4, side_px, side_px)), make_scratch(side_px)


@njit(cache=True, nogil=True, error_model="numpy")
def evaluate_astigmatic(
    curves: F64,
    count: int,
    height: int,
    width: int,
    light: Light,
    theta: F64,
    memory: Images,
    gradient: F64,
    information: F64,
) -> float:
    """Return half the deviance of astigmatic members; write its slope and the information."""
    images, tables = memory
    for k in range(count):
        z = theta[DEEP * k + MEMBER_Z]
        sigma_x, slope_x = width_px(curves[0], z)
        sigma_y, slope_y = width_px(curves[1], z)
        pixel_integrals(theta[DEEP * k], sigma_x, tables[0, :, :width])
        pixel_integrals(theta[DEEP * k + 1], sigma_y, tables[1, :, :height])
        for r in range(height):
            e_y, d_y, s_y = tables[1, 0, r], tables[1, 1, r], slope_y * tables[1, 2, r]
            for c in range(width):
                e_x, s_x = tables[0, 0, c], slope_x * tables[0, 2, c]
                images[k, VALUE, r, c] = e_x * e_y
                images[k, BY_X, r, c] = tables[0, 1, c] * e_y
                images[k, BY_Y, r, c] = e_x * d_y
                images[k, BY_Z, r, c] = s_x * e_y + e_x * s_y
    return _evaluate(count, height, width, light, theta, images, gradient, information)


@njit(cache=True, nogil=True, error_model="numpy")
def evaluate_measured(
    psf: Measured,
    count: int,
    height: int,
    width: int,
    light: Light,
    theta: F64,
    memory: Images,
    gradient: F64,
    information: F64,
) -> float:
    """Return half the deviance of members with a measured PSF; write its slope and information."""
    images, scratch = memory
    for k in range(count):
        x, y, z = theta[DEEP * k], theta[DEEP * k + 1], theta[DEEP * k + MEMBER_Z]
        write_images(psf[0], x, y, z, height, width, scratch, images[k])
    return _evaluate(count, height, width, light, theta, images, gradient, information)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _evaluate(
    count: int,
    height: int,
    width: int,
    light: Light,
    theta: F64,
    images: F64,
    gradient: F64,
    information: F64,
) -> float:
    """Return half the deviance of members whose images are written; write slope and information."""
    p = DEEP * count + 1
    data, read, known, inside, expected = light
    slopes = np.ones((FREE, width))
    mean, weight, residual, weighted = np.empty((4, width))
    gradient[:p] = 0.0
    information[:p, :p] = 0.0
    deviance = 0.0
    for r in range(height):
        mean[:] = theta[p - 1]
        for k in range(count):
            shine = theta[DEEP * k + MEMBER_LIGHT]
            for i in range(DEEP):
                slopes[DEEP * k + i, :] = images[k, i, r, :width]
            for c in range(width):
                mean[c] += shine * images[k, VALUE, r, c]
        for c in range(width):
            # A spline may dip below zero where there is no light.
            mean[c] = max(mean[c] + known[r, c] + read[r, c], MIN_MEAN)
            weight[c] = inside[r, c] / mean[c]
            residual[c] = data[r, c] * weight[c] - inside[r, c]
            expected[r, c] = mean[c]
        for c in range(width):
            if inside[r, c] > 0.0:
                deviance += mean[c] - data[r, c] * math.log(mean[c])
        for i in range(p):
            pull = 0.0
            for c in range(width):
                weighted[c] = weight[c] * slopes[i, c]
                pull += residual[c] * slopes[i, c]
            gradient[i] += pull
            for j in range(i + 1):
                total = 0.0
                for c in range(width):
                    total += weighted[c] * slopes[j, c]
                information[i, j] += total
    for i in range(p):
        gradient[i] *= slope_scale(theta, i, p)
        for j in range(i + 1):
            information[i, j] *= slope_scale(theta, i, p) * slope_scale(theta, j, p)
    return deviance


@njit(cache=True, nogil=True, error_model="numpy")
def slope_scale(theta: F64, i: int, p: int) -> float:
    """Return what the image of a parameter is multiplied by: the light of its member, or 1."""
    is_plain = i == p - 1 or i % DEEP == MEMBER_LIGHT
    return 1.0 if is_plain else float(theta[i - i % DEEP + MEMBER_LIGHT])


@njit(cache=True, nogil=True, error_model="numpy")
def add_astigmatic(
    curves: F64, x: float, y: float, z_nm: float, photons: float, height: int, width: int,
    memory: Images, known: F64,
) -> None:  # fmt: skip
    """Add the light of an emitter to a place."""
    _add(x, y, astigmatic_widths(curves, z_nm), photons, height, width, memory[1], known)


@njit(cache=True, nogil=True, error_model="numpy")
def _add(
    x: float, y: float, widths: tuple[float, float], photons: float, height: int, width: int,
    tables: F64, known: F64,
) -> None:  # fmt: skip
    pixel_integrals(x, widths[0], tables[0, :, :width])
    pixel_integrals(y, widths[1], tables[1, :, :height])
    for r in range(height):
        shine = photons * tables[1, 0, r]
        for c in range(width):
            known[r, c] += shine * tables[0, 0, c]


@njit(cache=True, nogil=True, error_model="numpy")
def add_measured(
    psf: Measured, x: float, y: float, z_nm: float, photons: float, height: int, width: int,
    memory: Images, known: F64,
) -> None:  # fmt: skip
    """Add the light of an emitter to a place."""
    images, scratch = memory
    write_images(psf[0], x, y, z_nm, height, width, scratch, images[0])
    for r in range(height):
        for c in range(width):
            known[r, c] += photons * images[0, VALUE, r, c]
