"""How a sample moves: what the next block will show, and the smoothest movement that fits all.

Place and velocity of each axis for itself; the velocity wanders, so that the movement between two
blocks is a cubic curve. How much it wanders follows from the measurements.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.analysis.drift_trace import DriftTrace

F64 = NDArray[np.float64]

_FIRST_SPEED = 0.05
"""In nm per frame: five micrometres in a hundred thousand frames."""
_WANDER = (1e-9, 1e-2)
"""Least and most spectral density of the acceleration, in nm²/frame³."""
_ADAPTION = 0.1
_JUMP = 16.0
"""A square of the surprise, over its variance, that no wandering explains."""
_BRAKE = 0.5
"""Of the velocity, for each block that shows nothing: else the sample would move on for ever."""
_STEPS = 29


class MotionFilter:
    """Kalman filter of place and velocity of three axes.

    Parameters
    ----------
    frame
        Frame at which the drift is 0.
    """

    def __init__(self, frame: float) -> None:
        self.place = np.zeros(3)
        """Drift in nm at `frame`."""
        self.velocity = np.zeros(3)
        """In nm per frame."""
        self.frame = frame
        self._covariance = np.tile(np.diag([1.0, _FIRST_SPEED**2]), (3, 1, 1))
        self._wander = np.full(3, 1e-5)

    @classmethod
    def after(cls, trace: DriftTrace) -> MotionFilter:
        """Return a filter that goes on where a movement has ended."""
        motion = cls(float(trace.frame[-1]))
        motion.place = trace.drift_nm[-1].copy()
        before = max(len(trace.frame) - 4, 0)
        if trace.frame[-1] > trace.frame[before]:
            step = trace.drift_nm[-1] - trace.drift_nm[before]
            motion.velocity = step / (trace.frame[-1] - trace.frame[before])
        return motion

    def predict(self, frame: NDArray[np.float64]) -> F64:
        """Return the drift at frames, (n, 3)."""
        return np.asarray(self.place + (frame - self.frame)[:, None] * self.velocity)

    def correct(self, frame: float, measured: F64, variance: F64) -> None:
        """Take a measurement.

        Parameters
        ----------
        frame
            When, not before the last one.
        measured, variance
            Drift in nm and its variance, (3,); an infinite variance is no measurement.
        """
        t = frame - self.frame
        move = np.array([[1.0, t], [0.0, 1.0]])
        noise = np.array([[t**3 / 3, t**2 / 2], [t**2 / 2, t]])
        self.frame = frame
        for k in range(3):
            place = self.place[k] + t * self.velocity[k]
            spread = move @ self._covariance[k] @ move.T + self._wander[k] * noise
            if np.isfinite(variance[k]):
                surprise = float(measured[k] - place)
                ratio = surprise**2 / (spread[0, 0] + variance[k])
                if ratio > _JUMP:  # the velocity says nothing on where it went
                    spread = spread + np.diag([surprise**2, 0.0])
                gain = spread[:, 0] / (spread[0, 0] + variance[k])
                place += gain[0] * surprise
                self.velocity[k] += gain[1] * surprise
                spread = spread - np.outer(gain, spread[0])
                # The mean of the ratio is 1 where the wandering is right.
                wander = self._wander[k] * math.exp(_ADAPTION * (min(ratio, 4.0) - 1))
                self._wander[k] = min(max(wander, _WANDER[0]), _WANDER[1])
            else:
                self.velocity[k] *= _BRAKE
            self.place[k], self._covariance[k] = place, spread


@njit(cache=True, nogil=True, error_model="numpy")
def _filter(
    frame: F64, measured: F64, variance: F64, wander: float, states: F64, spreads: F64
) -> float:
    """Filter forwards; return minus twice the log-likelihood, whatever scales all variances."""
    place, speed = measured[0], 0.0
    s00, s01, s11 = variance[0], 0.0, _FIRST_SPEED**2
    log_sum = square_sum = 0.0
    for k in range(len(frame)):
        if k:
            t = frame[k] - frame[k - 1]
            place += t * speed
            s00 += 2 * t * s01 + t * t * s11 + wander * t**3 / 3
            s01 += t * s11 + wander * t * t / 2
            s11 += wander * t
            total = s00 + variance[k]
            surprise = measured[k] - place
            log_sum += math.log(total)
            square_sum += surprise * surprise / total
            g0, g1 = s00 / total, s01 / total
            place += g0 * surprise
            speed += g1 * surprise
            s11 -= g1 * s01
            s01 -= g1 * s00
            s00 -= g0 * s00
        states[k, 0], states[k, 1] = place, speed
        spreads[k, 0], spreads[k, 1], spreads[k, 2] = s00, s01, s11
    n = max(len(frame) - 1, 1)
    scale = square_sum / n
    return log_sum + n * math.log(max(scale, 1e-300))


@njit(cache=True, nogil=True, error_model="numpy")
def _smooth_back(frame: F64, wander: float, states: F64, spreads: F64) -> F64:
    """Return place and velocity, (n, 2), that all measurements suggest (Rauch et al. 1965)."""
    n = len(frame)
    result = np.empty((n, 2))
    result[n - 1] = states[n - 1]
    for k in range(n - 2, -1, -1):
        t = frame[k + 1] - frame[k]
        a, b, c = spreads[k, 0], spreads[k, 1], spreads[k, 2]
        p00 = a + 2 * t * b + t * t * c + wander * t**3 / 3
        p01 = b + t * c + wander * t * t / 2
        p11 = c + wander * t
        off_place = result[k + 1, 0] - (states[k, 0] + t * states[k, 1])
        off_speed = result[k + 1, 1] - states[k, 1]
        det = p00 * p11 - p01 * p01
        u = (p11 * off_place - p01 * off_speed) / det
        w = (p00 * off_speed - p01 * off_place) / det
        result[k, 0] = states[k, 0] + (a + t * b) * u + b * w
        result[k, 1] = states[k, 1] + (b + t * c) * u + c * w
    return result


def smoothed(frame: F64, measured: F64, variance: F64, at: F64) -> F64:
    """Return the movement that measurements of different variance suggest together.

    The most likely wandering is taken; only the ratios of the variances count.

    Parameters
    ----------
    frame
        Ascending, (n,).
    measured, variance
        In nm and nm², (n,); what has an infinite variance is none.
    at
        Frames of the result, (m,); before the first and after the last the speed stays.

    Returns
    -------
    :
        In nm, (m,); on straight lines where fewer than three are known, 0 where none is.
    """
    known = np.isfinite(variance)
    if known.sum() < 3:
        return np.interp(at, frame[known], measured[known]) if known.any() else np.zeros(len(at))
    frame, measured, variance = frame[known], measured[known], variance[known]
    states, spreads = np.empty((len(frame), 2)), np.empty((len(frame), 3))

    def unlikely(wander: float) -> float:
        return float(_filter(frame, measured, variance, wander, states, spreads))

    best = min(np.geomspace(_WANDER[0] * 1e-3, _WANDER[1] * 1e3, _STEPS), key=unlikely)
    unlikely(best)
    return _between(frame, _smooth_back(frame, best, states, spreads), at)


def _between(frame: F64, states: F64, at: F64) -> F64:
    """Return places on the cubic curves between places with velocities (Hermite)."""
    k = np.clip(np.searchsorted(frame, at, side="right") - 1, 0, len(frame) - 2)
    length = frame[k + 1] - frame[k]
    u = np.clip((at - frame[k]) / length, 0, 1)
    (p0, v0), (p1, v1) = states[k].T, states[k + 1].T
    inside = (
        (1 + 2 * u) * (1 - u) ** 2 * p0
        + u * (1 - u) ** 2 * length * v0
        + u * u * (3 - 2 * u) * p1
        - u * u * (1 - u) * length * v1
    )
    early, late = np.minimum(at - frame[0], 0), np.maximum(at - frame[-1], 0)
    return np.asarray(inside + early * states[0, 1] + late * states[-1, 1])
