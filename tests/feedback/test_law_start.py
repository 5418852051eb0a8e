"""The start of the law: test pulses and experiments, tick by tick."""

from __future__ import annotations

import pytest

from rtsmlm.feedback.law.law import DensityLaw
from rtsmlm.feedback.records import Decision, DensityEstimate
from rtsmlm.settings.feedback import FeedbackSettings

TARGET = 0.1


def estimate(density: float, *, crowded: bool = False) -> DensityEstimate:
    return DensityEstimate(
        first_frame=0,
        last_frame=19,
        n_frames=20,
        t_exposure_end_ns=0,
        mean_per_um2=density,
        std_per_um2=0.05 * density,
        local_per_um2=2 * density,
        new_per_um2=density / 2,
        unexplained=0.0,
        crowded=crowded,
        area_um2=300.0,
    )


def law(start_power: float = 1.0, **settings: object) -> DensityLaw:
    chosen = {"feed_forward": False, "target_per_um2": TARGET} | settings
    return DensityLaw(FeedbackSettings.model_validate(chosen), (0.01, 10.0), start_power)


def feed(steering: DensityLaw, density: float, ticks: int) -> list[Decision]:
    return [steering.decide(estimate(density), float(tick)) for tick in range(ticks)]


def test_the_first_pulses_work_out_the_power_that_is_needed() -> None:
    steering = law(start_power=0.05, feed_forward=True)
    power, powers = 0.05, []
    for tick in range(8):
        power = steering.decide(estimate(TARGET * power), float(tick)).power
        powers.append(power)

    assert powers[0] == 0.05
    assert powers[-1] == pytest.approx(1.0, rel=0.2)
    assert max(powers) < 1.05, "it falls short rather than beyond"


def test_a_test_pulse_that_brings_a_crowd_is_cut_short() -> None:
    steering = law(start_power=0.5, feed_forward=True)
    feed(steering, TARGET / 10, 2)

    decision = steering.decide(estimate(TARGET / 10, crowded=True), 2.0)

    assert decision.state == "steer"
    assert decision.power < 5.0


@pytest.mark.parametrize("tune", ["step", "relay"])
def test_an_experiment_that_meets_a_crowd_is_broken_off_downwards(tune: str) -> None:
    steering = law(tune=tune)
    during = feed(steering, TARGET * 1.02, 8)
    assert during[-1].state == "tune"
    assert during[-1].power < 1.0

    decision = steering.decide(estimate(TARGET * 1.02, crowded=True), 8.0)

    assert decision.state == "steer"
    assert decision.power < during[-1].power
