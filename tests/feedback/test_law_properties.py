"""What the law must never do, whatever comes in."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.feedback.law.law import DensityLaw
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.settings.feedback import FeedbackSettings, StopSettings

LEAST, HIGHEST = 0.02, 5.0

numbers = st.one_of(
    st.floats(0.0, 1.0),
    st.floats(0.095, 0.105),
    st.floats(),
    st.sampled_from([0.0, math.nan, math.inf, -1.0, 1e308]),
)


@st.composite
def estimates(draw: st.DrawFn) -> DensityEstimate | None:
    if draw(st.integers(0, 9)) == 0:
        return None
    fields: dict[str, Any] = {
        name: draw(numbers)
        for name in ("mean_per_um2", "std_per_um2", "local_per_um2", "new_per_um2", "unexplained")
    }
    return DensityEstimate(
        first_frame=0,
        last_frame=9,
        n_frames=draw(st.sampled_from([20, 1, 0])),
        t_exposure_end_ns=0,
        crowded=draw(st.sampled_from([False, False, True])),
        area_um2=draw(st.sampled_from([300.0, 1e-300, 1e300, math.nan])),
        **fields,
    )


@given(
    sequence=st.lists(estimates(), min_size=1, max_size=60),
    repeats=st.integers(1, 4),
    signal=st.sampled_from(["mean", "local", "new"]),
    feed_forward=st.booleans(),
    tune=st.sampled_from(["none", "step", "relay"]),
    max_local=st.sampled_from([None, 0.3]),
    start=st.sampled_from([0.0, 0.001, 0.3, 5.0]),
    max_rise=st.floats(0.01, 2.0),
)
@settings(max_examples=200, deadline=None)
def test_power_stays_within_limits_and_never_rises_too_fast_or_in_a_crowd(
    sequence: list[DensityEstimate | None],
    repeats: int,
    signal: Any,
    feed_forward: bool,
    tune: Any,
    max_local: float | None,
    start: float,
    max_rise: float,
) -> None:
    chosen = FeedbackSettings(
        signal=signal,
        feed_forward=feed_forward,
        tune=tune,
        max_local_per_um2=max_local,
        max_rise=max_rise,
        stop=StopSettings(exhausted_s=5.0),
    )
    law = DensityLaw(chosen, (LEAST, HIGHEST), start)
    power = 0.0 if start == 0 else min(max(start, LEAST), HIGHEST)
    stopped = False
    for tick, estimate in enumerate(e for e in sequence for _ in range(repeats)):
        decision = law.decide(estimate, float(tick))

        assert decision.power == 0 or LEAST <= decision.power <= HIGHEST
        if estimate is not None and estimate.crowded:
            assert decision.power <= power
        if estimate is None:
            assert decision.power in (0.0, power)
        if decision.state not in ("test", "tune"):
            base = power if power > 0 else 2 * LEAST
            assert decision.power <= base * math.exp(max_rise) * (1 + 1e-9)
        if stopped:
            assert decision.power == 0
            assert decision.stop
        power, stopped = decision.power, decision.stop
