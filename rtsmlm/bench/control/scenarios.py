"""Scenarios for a feedback law in simulated time, and the figures measured in each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeAlias

import numpy as np

from rtsmlm.bench.control import metrics as law_metrics
from rtsmlm.bench.control.rehearsal import (
    CAP_W_CM2,
    AlicaSteering,
    AutoLaseSteering,
    HtSmlmSteering,
    OurSteering,
    Steering,
    Trace,
    rehearse,
)
from rtsmlm.bench.control.simulated_field import FieldSpec, SimulatedField

Figures: TypeAlias = dict[str, float]
Maker: TypeAlias = Callable[[FieldSpec, float, float], Steering]

TARGET_PER_FRAME = 30.0
"""Detected emitters per frame: 0.1 per um2 on the field of 300 um2."""
FIELD = FieldSpec()
SMALL_POOL = FieldSpec(n_emitters=20_000)
EASILY_CROWDED = FieldSpec(crowding_per_um2=0.4)
"""Ten times too dense, its count is below the target."""
PAINT = FieldSpec(dye="DNA-PAINT", n_emitters=5000)

_DISTURB_S = 60.0
_RECOVER_S = 40.0
_CALIBRATION_S = 30.0


@lru_cache(maxsize=16)
def on_time_band(spec: FieldSpec, found_per_frame: float) -> tuple[float, float]:
    """Return the on-times in s that AutoLase is to stay between: mean +- 1 sd at the target.

    As set by a user after watching the field at the wanted density.
    """
    wanted = spec.true_per_frame(found_per_frame)
    w_cm2 = spec.needed_w_cm2(wanted)
    field = SimulatedField(spec, seed=0, follow_pixels=True)
    n = round(1.0 / spec.frame_s)
    light = w_cm2 if math.isfinite(w_cm2) else 0.0
    samples = [field.sample(n, light).on_time_s.mean() for _ in range(round(_CALIBRATION_S))]
    mean, std = float(np.mean(samples[5:])), float(np.std(samples[5:]))
    return mean - std, mean + std


LAWS: dict[str, Maker] = {
    "rtsmlm": OurSteering,
    "htSMLM": HtSmlmSteering,
    "AutoLase": partial(AutoLaseSteering, band=on_time_band),
    "ALICA": AlicaSteering,
}


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A finished run."""

    trace: Trace
    steering: Steering
    wanted: float
    """Emitters per frame that shine when the target is met."""


def run(
    make: Maker,
    spec: FieldSpec,
    seed: int,
    duration_s: float,
    *,
    start: float = 1.0,
    found_per_frame: float = TARGET_PER_FRAME,
    event: str = "",
) -> Rehearsal:
    """Rehearse a law.

    Parameters
    ----------
    make
        Makes the law for a field, a target and a power.
    spec, seed
        The field.
    duration_s
        In simulated seconds.
    start
        Power at the start, as a multiple of what is needed; negative: as a multiple of the density.
    found_per_frame
        Target, in detected emitters per frame.
    event
        half, double or blind: what happens after a minute.
    """
    wanted = spec.true_per_frame(found_per_frame)
    w_cm2 = start * spec.needed_w_cm2(wanted) if start > 0 else spec.needed_w_cm2(-start * wanted)
    w_cm2 = min(w_cm2, CAP_W_CM2) if math.isfinite(w_cm2) else CAP_W_CM2 / 100
    steering = make(spec, found_per_frame, w_cm2)
    field = SimulatedField(spec, seed, follow_pixels=steering.follows_pixels)
    events = {"half": field.remove_half, "double": lambda: steering.set_target(2 * found_per_frame)}
    trace = rehearse(
        steering,
        field,
        w_cm2,
        duration_s,
        at_s=_DISTURB_S,
        disturb=events.get(event),
        blind_from_s=_DISTURB_S if event == "blind" else math.inf,
    )
    return Rehearsal(trace, steering, wanted)


def start_low(make: Maker, seed: int) -> Figures:
    """Start from a 20th of the power that is needed."""
    done = run(make, FIELD, seed, 60.0, start=1 / 20)
    return {
        "reach_s": law_metrics.reach_s(done.trace, done.wanted),
        "settle_s": law_metrics.settle_s(done.trace, done.wanted),
        "overshoot": law_metrics.overshoot(done.trace, done.wanted),
    }


def pool_halved(make: Maker, seed: int) -> Figures:
    """Take half of the emitters away."""
    done = run(make, FIELD, seed, _DISTURB_S + _RECOVER_S, event="half")
    after = done.trace.part(_DISTURB_S, _DISTURB_S + _RECOVER_S)
    return {"halved_s": law_metrics.settle_s(after, done.wanted)}


def target_doubled(make: Maker, seed: int) -> Figures:
    """Ask for twice as many."""
    done = run(make, FIELD, seed, _DISTURB_S + _RECOVER_S, event="double")
    after = done.trace.part(_DISTURB_S, _DISTURB_S + _RECOVER_S)
    wanted = FIELD.true_per_frame(2 * TARGET_PER_FRAME)
    return {"doubled_s": law_metrics.settle_s(after, wanted)}


def start_dense(make: Maker, seed: int) -> Figures:
    """Start ten times too dense, where the count is too high and where it is too low."""
    mild = run(make, FIELD, seed, 60.0, start=-10)
    inverted = run(make, EASILY_CROWDED, seed, 60.0, start=-10)
    power = inverted.trace.w_cm2
    return {
        "dense_s": law_metrics.settle_s(mild.trace, mild.wanted),
        "inverted_s": law_metrics.settle_s(inverted.trace, inverted.wanted),
        "inverted_power": float(power[-1] / power[0]),
    }


def blind_to_light(make: Maker, seed: int) -> Figures:
    """DNA-PAINT, with twice the emitters asked for that are there."""
    there = PAINT.found(PAINT.n_emitters * 0.0185 / (0.0185 + PAINT.rates[0]))
    done = run(make, PAINT, seed, 120.0, found_per_frame=2 * there * PAINT.per_frame_over_on)
    return {"paint_power": float(done.trace.w_cm2[-1] / CAP_W_CM2)}


def camera_lost(make: Maker, seed: int) -> Figures:
    """No frames any more."""
    done = run(make, FIELD, seed, _DISTURB_S + 20.0, event="blind")
    dark = np.flatnonzero(done.trace.part(_DISTURB_S, 1e9).w_cm2 == 0)
    return {"dark_s": float(dark[0]) * FIELD.frame_s if len(dark) else math.inf}


def hold_long(make: Maker, seed: int) -> Figures:
    """Hold the target for 0.6 of the life of a large pool."""
    done = run(make, FIELD, seed, 800.0)
    return {"hyperbola": law_metrics.from_hyperbola(done.trace, FIELD, 20.0)}


def until_exhausted(make: Maker, seed: int) -> Figures:
    """Hold the target until there is nothing left."""
    done = run(make, SMALL_POOL, seed, 700.0)
    steered = law_metrics.until_cap(done.trace)
    steady = steered.part(20.0, steered.duration_s)
    stopped = done.steering.stopped
    return {
        "bias": law_metrics.bias(steady, done.wanted),
        "spread": law_metrics.spread(steady, done.wanted),
        "jitter": law_metrics.power_jitter(steady),
        "swing": law_metrics.swing(steady),
        "stopped_s": done.trace.duration_s if stopped else math.inf,
    }


SCENARIOS = (
    start_low,
    pool_halved,
    target_doubled,
    start_dense,
    blind_to_light,
    camera_lost,
    hold_long,
    until_exhausted,
)
