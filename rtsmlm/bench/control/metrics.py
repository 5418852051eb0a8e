"""Figures of one rehearsal: how fast, how far beyond, how steady, how close to theory."""

from __future__ import annotations

import math

import numpy as np

from rtsmlm.bench.control.rehearsal import CAP_W_CM2, Trace
from rtsmlm.bench.control.simulated_field import FieldSpec
from rtsmlm.physics.dyes import POOL

_BAND = 0.2
_AT_CAP = 0.95
_SMOOTH_TICKS = 21


def settle_s(trace: Trace, wanted_per_frame: float) -> float:
    """Return when the 2-s mean is within 20 % to stay, in s from the start; inf if never."""
    ratio = trace.mean(trace.true, 2.0) / wanted_per_frame
    outside = np.flatnonzero(np.abs(ratio - 1) > _BAND)
    if not len(outside):
        return 0.0
    if outside[-1] == len(ratio) - 1:
        return math.inf
    # The mean ends two seconds after the frame at which it starts.
    return float((outside[-1] + 1) * trace.frame_s + 2.0)


def reach_s(trace: Trace, wanted_per_frame: float) -> float:
    """Return when the 2-s mean first comes within 20 %, in s from the start; inf if never."""
    ratio = trace.mean(trace.true, 2.0) / wanted_per_frame
    inside = np.flatnonzero(np.abs(ratio - 1) <= _BAND)
    return float(inside[0] * trace.frame_s + 2.0) if len(inside) else math.inf


def overshoot(trace: Trace, wanted_per_frame: float) -> float:
    """Return how far the 5-s mean goes beyond the target, a fraction of it."""
    return float(trace.mean(trace.true, 5.0).max() / wanted_per_frame - 1)


def until_cap(trace: Trace) -> Trace:
    """Return the stretch before the power first reaches its cap."""
    capped = np.flatnonzero(trace.w_cm2 >= _AT_CAP * CAP_W_CM2)
    end = capped[0] if len(capped) else len(trace.true)
    return trace.part(0.0, end * trace.frame_s)


def bias(trace: Trace, wanted_per_frame: float) -> float:
    """Return the mean deviation from the target, a fraction of it; NaN without a frame."""
    if not len(trace.true):
        return math.nan
    return float(trace.true.mean() / wanted_per_frame - 1)


def spread(trace: Trace, wanted_per_frame: float) -> float:
    """Return the standard deviation of the 2-s mean, a fraction of the target; NaN below 2 s."""
    step = max(round(2.0 / trace.frame_s), 1)
    means = trace.mean(trace.true, 2.0)[::step]
    return float(means.std() / wanted_per_frame) if len(means) else math.nan


def power_jitter(trace: Trace) -> float:
    """Return the standard deviation of ln(power) about its 20-s mean; NaN below 21 s."""
    power = trace.mean(trace.w_cm2, 1.0)[:: max(round(1.0 / trace.frame_s), 1)]
    if len(power) < _SMOOTH_TICKS:
        return math.nan
    logs = np.log(np.maximum(power, CAP_W_CM2 / 1e6))
    smooth = np.convolve(logs, np.ones(_SMOOTH_TICKS) / _SMOOTH_TICKS, mode="valid")
    return float((logs[10:-10] - smooth).std())


def swing(trace: Trace, lag_ticks: int = 10) -> float:
    """Return the largest autocorrelation of the 1-s means beyond a lag, 1 for a lasting swing.

    NaN where the trace is shorter than two of those lags.
    """
    per_tick = trace.mean(trace.true, 1.0)[:: max(round(1.0 / trace.frame_s), 1)]
    lags = range(lag_ticks + 1, len(per_tick) // 2)
    if not lags:
        return math.nan
    error = per_tick - per_tick.mean()
    power = float((error**2).mean())
    if power == 0:
        return 0.0
    return max(float((error[lag:] * error[:-lag]).mean()) / power for lag in lags)


def from_hyperbola(trace: Trace, spec: FieldSpec, from_s: float) -> float:
    """Return the largest deviation of the power from theory, a fraction, for t < 0.6 T_end.

    Holding N_on constant, N_dark = N_total - N_on - k_bleach N_on t, and so
    k_act = (k_off + k_bleach) N_on / N_dark; T_end = N_total / (k_bleach N_on). N_on is taken from
    the mean count that was reached. Power is averaged over 30 s.
    """
    k_off, k_bleach = spec.rates
    steered = until_cap(trace)
    n_on = float(steered.true.mean()) / spec.per_frame_over_on
    end_s = spec.n_emitters / (k_bleach * n_on)
    dye = spec.make()
    thermal = dye.rate(POOL, 1, {})
    per_w_cm2 = dye.rate(POOL, 1, {405: 1.0}) - thermal
    seconds = 30.0
    power = steered.mean(steered.w_cm2, seconds)
    middle_s = np.arange(len(power)) * steered.frame_s + seconds / 2
    dark = spec.n_emitters - n_on - k_bleach * n_on * middle_s
    theory = ((k_off + k_bleach) * n_on / dark - thermal) / per_w_cm2
    judged = (middle_s > from_s + seconds / 2) & (middle_s < 0.6 * end_s)
    return float(np.abs(power[judged] / theory[judged] - 1).max())
