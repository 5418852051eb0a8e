"""Weighted sums of neighbours, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from rtsmlm.fitting.weighted_sums import LANES, padded_width, weigh
from rtsmlm.localizations import F32


@njit
def along(out: F32, out_at: int, n: int, data: F32, data_at: int, step: int, half: F32) -> None:
    weigh(out, out_at, n, data, data_at, step, half)


@pytest.mark.parametrize("taps", [1, 2, 6, 41])
@pytest.mark.parametrize("width", [1, LANES - 1, LANES, LANES + 1, 256])
@pytest.mark.parametrize("is_column", [False, True])
def test_a_sum_is_that_of_the_taps_and_nothing_else_is_written(
    rng: np.random.Generator, width: int, taps: int, is_column: bool
) -> None:
    line = padded_width(width) + 5
    step = line if is_column else 1
    half = rng.normal(size=taps).astype(np.float32)
    data = rng.normal(size=(2 * taps + 2) * line).astype(np.float32)
    at = taps * line
    out = np.full(3 + padded_width(width) + 4, np.nan, np.float32)

    along(out, 3, width, data, at, step, half)

    pixels = data.astype(np.float64)
    expected = half[0] * pixels[at : at + width]
    for t in range(1, taps):
        before, after = at - t * step, at + t * step
        expected += half[t] * (pixels[before : before + width] + pixels[after : after + width])
    np.testing.assert_allclose(out[3 : 3 + width], expected, atol=1e-4)
    assert np.isnan(out[:3]).all()
    assert np.isnan(out[3 + padded_width(width) :]).all()
