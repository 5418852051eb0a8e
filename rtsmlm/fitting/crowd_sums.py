"""Sums over the square of an emitter: what its pixels say of it, of a neighbour, and of its shape.

Images and squares are those of `rtsmlm.fitting.crowd_patches`. Light is a function of x times one
of y, so that each row is summed once for several of these.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.crowd_patches import I32, LANES, SLOPE_X, SLOPE_Y, VALUE_X, VALUE_Y
from rtsmlm.localizations import F32

SUMS = 6
"""Rows of memory for products along x."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def write_own(
    excess: F32,
    weight: F32,
    top: int,
    left: int,
    side: int,
    photons: float,
    patch: F32,
    sums: F32,
    slope: F64,
    light: F64,
    block: F64,
) -> None:
    """Write what the pixels of its square say of one emitter's x, y and photons.

    Parameters
    ----------
    excess, weight
        Data over mean less 1, and 1 over mean, with margins.
    top, left, side
        Where the square lies.
    photons
        Of the emitter.
    patch
        Its light along both axes, (`PARTS`, `LANES`).
    sums
        Memory, (`SUMS`, `LANES`).
    slope
        Written: slope of the log-likelihood, (3,).
    light
        Written: the information shared with a background that is the same everywhere, (3,).
    block
        Written: the Fisher information, (3, 3).
    """
    along, across = patch[VALUE_X], patch[SLOPE_X]
    square, both, steep = sums[0], sums[1], sums[2]
    for c in range(LANES):
        v, d = along[c], across[c]
        square[c], both[c], steep[c] = v * v, v * d, d * d
    s0 = s1 = s2 = l0 = l1 = l2 = np.float32(0.0)
    xx = xy = yy = xn = yn = nn = np.float32(0.0)
    for r in range(side):
        excesses = excess[top + r, left : left + LANES]
        weights = weight[top + r, left : left + LANES]
        ev = ed = wv = wd = vv = vd = dd = np.float32(0.0)
        for c in range(LANES):
            e, w = excesses[c], weights[c]
            ev += e * along[c]
            ed += e * across[c]
            wv += w * along[c]
            wd += w * across[c]
            vv += w * square[c]
            vd += w * both[c]
            dd += w * steep[c]
        a, b = patch[VALUE_Y, r], patch[SLOPE_Y, r]
        s0 += a * ed
        s1 += b * ev
        s2 += a * ev
        l0 += a * wd
        l1 += b * wv
        l2 += a * wv
        xx += a * a * dd
        xy += a * b * vd
        yy += b * b * vv
        xn += a * a * vd
        yn += a * b * vv
        nn += a * a * vv
    n = photons
    slope[0], slope[1], slope[2] = n * s0, n * s1, s2
    light[0], light[1], light[2] = n * l0, n * l1, l2
    block[0, 0], block[1, 1], block[2, 2] = n * n * xx, n * n * yy, nn
    block[0, 1] = block[1, 0] = n * n * xy
    block[0, 2] = block[2, 0] = n * xn
    block[1, 2] = block[2, 1] = n * yn


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def write_pair_block(
    weight: F32,
    origin: I32,
    photons: F64,
    patches: F32,
    i: int,
    j: int,
    side: int,
    sums: F32,
    block: F64,
) -> None:
    """Write the Fisher information that two emitters share, rows of the first, (3, 3)."""
    down, right = origin[j, 0] - origin[i, 0], origin[j, 1] - origin[i, 1]
    vw, ve, dw, de = sums[0], sums[1], sums[2], sums[3]
    for c in range(LANES):
        vw[c] = ve[c] = dw[c] = de[c] = 0.0
    for c in range(max(right, 0), min(LANES, LANES + right)):
        v, d = patches[i, VALUE_X, c], patches[i, SLOPE_X, c]
        value, slope = patches[j, VALUE_X, c - right], patches[j, SLOPE_X, c - right]
        vw[c], ve[c], dw[c], de[c] = v * value, v * slope, d * value, d * slope
    top, left = origin[i, 0], origin[i, 1]
    xx = xy = xn = yx = yy = yn = nx = ny = nn = np.float32(0.0)
    for r in range(max(down, 0), min(side, side + down)):
        row = weight[top + r, left : left + LANES]
        s0 = s1 = s2 = s3 = np.float32(0.0)
        for c in range(LANES):
            w = row[c]
            s0 += w * vw[c]
            s1 += w * ve[c]
            s2 += w * dw[c]
            s3 += w * de[c]
        a, b = patches[i, VALUE_Y, r], patches[i, SLOPE_Y, r]
        e, f = patches[j, VALUE_Y, r - down], patches[j, SLOPE_Y, r - down]
        xx += a * e * s3
        xy += a * f * s2
        xn += a * e * s2
        yx += b * e * s1
        yy += b * f * s0
        yn += b * e * s0
        nx += a * e * s1
        ny += a * f * s0
        nn += a * e * s0
    n, m = photons[i], photons[j]
    block[0, 0], block[0, 1], block[0, 2] = n * m * xx, n * m * xy, n * xn
    block[1, 0], block[1, 1], block[1, 2] = n * m * yx, n * m * yy, n * yn
    block[2, 0], block[2, 1], block[2, 2] = m * nx, m * ny, nn


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def write_bend_own(
    excess: F32, weight: F32, top: int, left: int, side: int, photons: float, patch: F32,
    bend_x: F32, bend_y: F32, sums: F32, score: F64, light: F64, block: F64,
) -> None:  # fmt: skip
    """Write what the pixels of its square say of the shape of a spot: its moments xx, yy and xy.

    Parameters
    ----------
    excess, weight, top, left, side, photons, patch
        As for `write_own`.
    bend_x, bend_y
        From `write_bend`, (`LANES`,).
    sums
        Memory, (`SUMS`, `LANES`).
    score
        Written: slope of the log-likelihood, and that by a background that is the same all over the
        square, (4,).
    light
        Written: the information shared with that background, and that on it, (4,).
    block
        Written: the Fisher information, the lower half, (3, 3).
    """
    along, across = patch[VALUE_X], patch[SLOPE_X]
    bb, bv, bd, vv = sums[0], sums[1], sums[2], sums[3]
    vd, dd = sums[4], sums[5]
    for c in range(LANES):
        b, v, d = bend_x[c], along[c], across[c]
        bb[c], bv[c], bd[c], vv[c], vd[c], dd[c] = b * b, b * v, b * d, v * v, v * d, d * d
    e0 = e1 = e2 = e3 = l0 = l1 = l2 = l3 = np.float32(0.0)
    xx = xy = yy = xz = yz = zz = np.float32(0.0)
    for r in range(side):
        excesses = excess[top + r, left : left + LANES]
        weights = weight[top + r, left : left + LANES]
        eb = ev = ed = wb = wv = wd = es = ws = np.float32(0.0)
        wbb = wbv = wbd = wvv = wvd = wdd = np.float32(0.0)
        for c in range(LANES):
            e, w = excesses[c], weights[c]
            eb += e * bend_x[c]
            ev += e * along[c]
            ed += e * across[c]
            wb += w * bend_x[c]
            wv += w * along[c]
            wd += w * across[c]
            wbb += w * bb[c]
            wbv += w * bv[c]
            wbd += w * bd[c]
            wvv += w * vv[c]
            wvd += w * vd[c]
            wdd += w * dd[c]
        for c in range(side):
            es += excesses[c]
            ws += weights[c]
        v, b, d = patch[VALUE_Y, r], bend_y[r], patch[SLOPE_Y, r]
        e0 += v * eb
        e1 += b * ev
        e2 += d * ed
        e3 += es
        l0 += v * wb
        l1 += b * wv
        l2 += d * wd
        l3 += ws
        xx += v * v * wbb
        xy += v * b * wbv
        yy += b * b * wvv
        xz += v * d * wbd
        yz += b * d * wvd
        zz += d * d * wdd
    half, n = 0.5 * photons, photons
    score[0], score[1], score[2], score[3] = half * e0, half * e1, n * e2, e3
    light[0], light[1], light[2], light[3] = half * l0, half * l1, n * l2, l3
    block[0, 0], block[1, 0], block[1, 1] = half * half * xx, half * half * xy, half * half * yy
    block[2, 0], block[2, 1], block[2, 2] = half * n * xz, half * n * yz, n * n * zz


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def write_bend_shared(
    weight: F32, origin: I32, photons: F64, patches: F32, i: int, j: int, side: int,
    bend_x: F32, bend_y: F32, sums: F32, block: F64,
) -> None:  # fmt: skip
    """Write the Fisher information that the moments of spot `i` share with emitter `j`, (3, 3).

    Rows are xx, yy and xy, columns x, y and photons; see `write_pair_block` and `write_bend_own`.
    """
    down, right = origin[j, 0] - origin[i, 0], origin[j, 1] - origin[i, 1]
    bv, bd, vv, vd, dv, dd = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]
    for c in range(LANES):
        bv[c] = bd[c] = vv[c] = vd[c] = dv[c] = dd[c] = 0.0
    for c in range(max(right, 0), min(LANES, LANES + right)):
        b, v, d = bend_x[c], patches[i, VALUE_X, c], patches[i, SLOPE_X, c]
        value, slope = patches[j, VALUE_X, c - right], patches[j, SLOPE_X, c - right]
        bv[c], bd[c] = b * value, b * slope
        vv[c], vd[c] = v * value, v * slope
        dv[c], dd[c] = d * value, d * slope
    top, left = origin[i, 0], origin[i, 1]
    xx = xy = xn = yx = yy = yn = zx = zy = zn = np.float32(0.0)
    for r in range(max(down, 0), min(side, side + down)):
        row = weight[top + r, left : left + LANES]
        s0 = s1 = s2 = s3 = s4 = s5 = np.float32(0.0)
        for c in range(LANES):
            w = row[c]
            s0 += w * bv[c]
            s1 += w * bd[c]
            s2 += w * vv[c]
            s3 += w * vd[c]
            s4 += w * dv[c]
            s5 += w * dd[c]
        v, b, d = patches[i, VALUE_Y, r], bend_y[r], patches[i, SLOPE_Y, r]
        value, slope = patches[j, VALUE_Y, r - down], patches[j, SLOPE_Y, r - down]
        xx += v * value * s1
        xy += v * slope * s0
        xn += v * value * s0
        yx += b * value * s3
        yy += b * slope * s2
        yn += b * value * s2
        zx += d * value * s5
        zy += d * slope * s4
        zn += d * value * s4
    n, half, m = photons[i], 0.5 * photons[i], photons[j]
    block[0, 0], block[0, 1], block[0, 2] = half * m * xx, half * m * xy, half * xn
    block[1, 0], block[1, 1], block[1, 2] = half * m * yx, half * m * yy, half * yn
    block[2, 0], block[2, 1], block[2, 2] = n * m * zx, n * m * zy, n * zn


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def bend_score(
    excess: F32, top: int, left: int, side: int, photons: float, patch: F32, bend_x: F32,
    bend_y: F32, steepness: float, variance: float,
) -> float:  # fmt: skip
    """Return chi² of the shape of a spot if all else were known.

    The information on its moments is that of a Gaussian on an even background: three eighths, for
    the mixed one half, of that on its place, over its variance.

    Parameters
    ----------
    excess, top, left, side, photons, patch
        As for `write_own`.
    bend_x, bend_y
        From `write_bend`, (`LANES`,).
    steepness
        Information on the place along one axis.
    variance
        Of the PSF, in pixels².
    """
    xx = yy = xy = np.float32(0.0)
    along, across = patch[VALUE_X], patch[SLOPE_X]
    for r in range(side):
        row = excess[top + r, left : left + LANES]
        s0 = s1 = s2 = np.float32(0.0)
        for c in range(LANES):
            s0 += row[c] * bend_x[c]
            s1 += row[c] * along[c]
            s2 += row[c] * across[c]
        xx += patch[VALUE_Y, r] * s0
        yy += bend_y[r] * s1
        xy += patch[SLOPE_Y, r] * s2
    scale = photons * photons * variance / steepness
    return float(scale * ((xx * xx + yy * yy) * (2.0 / 3.0) + 2.0 * xy * xy))
