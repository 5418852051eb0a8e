"""Positive definite systems of four equations, written out: all stays in registers.

Matrices are the ten numbers of their lower triangle, row by row.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from numba import njit

Four: TypeAlias = tuple[float, float, float, float]
Triangle: TypeAlias = tuple[
    float, float, float, float, float, float, float, float, float, float
]  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def factorize_four(matrix: Triangle) -> tuple[bool, Triangle]:
    """Return whether a matrix is positive definite, and its Cholesky factor.

    Of the factor the diagonal holds the inverse, which is what is needed of it.
    """
    a00, a10, a11, a20, a21, a22, a30, a31, a32, a33 = matrix
    i0 = 1.0 / math.sqrt(a00)
    l10, l20, l30 = a10 * i0, a20 * i0, a30 * i0
    b11 = a11 - l10 * l10
    i1 = 1.0 / math.sqrt(b11)
    l21, l31 = (a21 - l20 * l10) * i1, (a31 - l30 * l10) * i1
    b22 = a22 - l20 * l20 - l21 * l21
    i2 = 1.0 / math.sqrt(b22)
    l32 = (a32 - l30 * l20 - l31 * l21) * i2
    b33 = a33 - l30 * l30 - l31 * l31 - l32 * l32
    i3 = 1.0 / math.sqrt(b33)
    positive = a00 > 0.0 and b11 > 0.0 and b22 > 0.0 and b33 > 0.0
    return positive, (i0, l10, i1, l20, l21, i2, l30, l31, l32, i3)


@njit(cache=True, nogil=True, error_model="numpy")
def solve_four(factor: Triangle, right: Four) -> Four:
    """Return the solution of a system; `factor` as `factorize_four` returns it."""
    i0, l10, i1, l20, l21, i2, l30, l31, l32, i3 = factor
    y0 = right[0] * i0
    y1 = (right[1] - l10 * y0) * i1
    y2 = (right[2] - l20 * y0 - l21 * y1) * i2
    y3 = (right[3] - l30 * y0 - l31 * y1 - l32 * y2) * i3
    x3 = y3 * i3
    x2 = (y2 - l32 * x3) * i2
    x1 = (y1 - l21 * x2 - l31 * x3) * i1
    x0 = (y0 - l10 * x1 - l20 * x2 - l30 * x3) * i0
    return x0, x1, x2, x3


@njit(cache=True, nogil=True, error_model="numpy")
def variances_of_four(factor: Triangle) -> Four:
    """Return the diagonal of the inverse; `factor` as `factorize_four` returns it."""
    i0, l10, i1, l20, l21, i2, l30, l31, l32, i3 = factor
    # Columns of the inverse of the factor, from the diagonal downwards.
    m10 = -l10 * i0 * i1
    m20 = -(l20 * i0 + l21 * m10) * i2
    m30 = -(l30 * i0 + l31 * m10 + l32 * m20) * i3
    m21 = -l21 * i1 * i2
    m31 = -(l31 * i1 + l32 * m21) * i3
    m32 = -l32 * i2 * i3
    return (
        i0 * i0 + m10 * m10 + m20 * m20 + m30 * m30,
        i1 * i1 + m21 * m21 + m31 * m31,
        i2 * i2 + m32 * m32,
        i3 * i3,
    )
