"""Random numbers inside compiled code: one seeded stream, the same on every thread.

numba's own `np.random` keeps a state per thread, so a simulation would depend on the thread that
happens to run it. Here the state is an array that the caller owns. The stream is xoshiro256++
(Blackman and Vigna, ACM Trans. Math. Softw. 47, 36 (2021)).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtri

State = NDArray[np.uint64]
F64 = NDArray[np.float64]

_ROTATE_23, _ROTATE_41 = np.uint64(23), np.uint64(41)
_ROTATE_45, _ROTATE_19 = np.uint64(45), np.uint64(19)
_SHIFT_17, _SHIFT_11, _SHIFT_32 = np.uint64(17), np.uint64(11), np.uint64(32)
_LOW_HALF = np.uint64(2**32 - 1)
_TO_UNIT = 2.0**-53

# 1024 cells of equal probability fit into 8 kB, a quarter of the first cache of a core.
_CELLS = 1024
_CELL_BITS, _REST_MASK = np.uint64(22), np.uint64(2**22 - 1)
_REST_TO_UNIT = 2.0**-22
_QUANTILES = np.concatenate([[-np.inf], ndtri(np.arange(1, _CELLS) / _CELLS), [np.inf]])
_TAIL_START = float(_QUANTILES[-2])

# Below this mean the sum of probabilities is searched; above it the expansion of the quantile
# moves no probability by more than 5e-4, which a million draws cannot show.
EXPANSION_FROM = 4.0


def new_state(seed: np.random.SeedSequence) -> State:
    """Return the state of a fresh stream."""
    return np.asarray(seed.generate_state(4, np.uint64), dtype=np.uint64)


@njit(cache=True, nogil=True, error_model="numpy")
def next_bits(state: State) -> np.uint64:
    """Advance the stream and return 64 random bits."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    total = s0 + s3
    bits = ((total << _ROTATE_23) | (total >> _ROTATE_41)) + s0
    shifted = s1 << _SHIFT_17
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= shifted
    s3 = (s3 << _ROTATE_45) | (s3 >> _ROTATE_19)
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3
    return np.uint64(bits)


@njit(cache=True, nogil=True, error_model="numpy")
def uniform(state: State) -> float:
    """Draw from (0, 1]; never 0, so that its logarithm is finite."""
    return float((next_bits(state) >> _SHIFT_11) + 1.0) * _TO_UNIT


@njit(cache=True, nogil=True, error_model="numpy")
def exponential(state: State) -> float:
    """Draw from the exponential distribution of mean 1."""
    return -math.log(uniform(state))


@njit(cache=True, nogil=True, error_model="numpy")
def _normal_from(bits: np.uint64, state: State) -> float:
    """Turn 32 random bits into a normal deviate.

    Ten bits choose a cell of the quantile function, the others a place in it; only the two
    outermost cells, 1 draw in 512, are drawn from the tail itself. The variance is right to
    one part in a thousand.
    """
    cell = int(bits >> _CELL_BITS)
    place = (float(bits & _REST_MASK) + 0.5) * _REST_TO_UNIT
    if cell == 0 or cell == _CELLS - 1:
        return _normal_tail(state, -1.0 if cell == 0 else 1.0)
    low = _QUANTILES[cell]
    return float(low + place * (_QUANTILES[cell + 1] - low))


@njit(cache=True, nogil=True, error_model="numpy")
def fill_normals(state: State, first: F64, second: F64) -> None:
    """Fill two arrays with normal deviates, several times faster than one by one.

    Both halves of each 64-bit word are used, and the word itself stays in registers.

    Parameters
    ----------
    state
        Random stream, advanced.
    first, second
        Written, float64, shape (n,).
    """
    n = len(first)
    words = np.empty(n, dtype=np.uint64)
    for i in range(n):
        words[i] = next_bits(state)
    for i in range(n):
        first[i] = _normal_from(words[i] & _LOW_HALF, state)
        second[i] = _normal_from(words[i] >> _SHIFT_32, state)


@njit(cache=True, nogil=True, error_model="numpy")
def _normal_tail(state: State, sign: float) -> float:
    # Marsaglia 1964: exponential proposals beyond the start of the tail.
    while True:
        x = exponential(state) / _TAIL_START
        if 2.0 * exponential(state) > x * x:
            return math.copysign(_TAIL_START + x, sign)


@njit(cache=True, nogil=True, error_model="numpy")
def normal(state: State) -> float:
    """Draw from the normal distribution of mean 0 and variance 1."""
    return _normal_from(next_bits(state) >> _SHIFT_32, state)


@njit(cache=True, nogil=True, error_model="numpy")
def poisson(state: State, mean: float) -> float:
    """Draw a Poisson count, returned as a float."""
    if mean < EXPANSION_FROM:
        return poisson_by_search(state, mean)
    return poisson_from(normal(state), mean)


@njit(cache=True, nogil=True, error_model="numpy")
def poisson_by_search(state: State, mean: float) -> float:
    """Draw a Poisson count by adding up probabilities; for small means."""
    if mean <= 0.0:
        return 0.0
    left = uniform(state)
    probability = math.exp(-mean)
    count = 0.0
    # 1e-17: rounding may leave a remainder that no further term can consume.
    while left > probability and probability > 1e-17:
        left -= probability
        count += 1.0
        probability *= mean / count
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def poisson_from(w: float, mean: float) -> float:
    """Turn a normal deviate into a Poisson count of a mean of 4 or more.

    Expansion of the quantile function in powers of 1/sqrt(mean) (Giles, ACM Trans. Math.
    Softw. 42, 7 (2016)).
    """
    root = math.sqrt(mean)
    w2 = w * w
    third = -w * (1.0 / 36.0 + w2 * (1.0 / 72.0)) * root
    fourth = -8.0 / 405.0 + w2 * (7.0 / 810.0 + w2 * (1.0 / 270.0))
    value = mean + root * w + (2.0 + w2) * (1.0 / 6.0) + (third + fourth) / mean
    return float(max(np.floor(value), 0.0))


@njit(cache=True, nogil=True, error_model="numpy")
def gamma(state: State, shape: float) -> float:
    """Draw from the gamma distribution of scale 1; `shape` is at least 1."""
    if shape == 1.0:
        return exponential(state)
    while True:
        value = gamma_from(normal(state), state, shape)
        if value >= 0.0:
            return value


@njit(cache=True, nogil=True, error_model="numpy")
def gamma_from(x: float, state: State, shape: float) -> float:
    """Turn a normal deviate into a gamma deviate, or into -1 if it has to be rejected.

    Marsaglia and Tsang, ACM Trans. Math. Softw. 26, 363 (2000). Less than 1 in 20 is rejected
    at shape 1, and ever fewer above.
    """
    d = shape - 1.0 / 3.0
    v = 1.0 + x / math.sqrt(9.0 * d)
    if v <= 0.0:
        return -1.0
    v = v * v * v
    u = uniform(state)
    x2 = x * x
    if u < 1.0 - 0.0331 * x2 * x2:
        return d * v
    if math.log(u) < 0.5 * x2 + d * (1.0 - v + math.log(v)):
        return d * v
    return -1.0
