"""The control law tick by tick, on estimates made up for the purpose."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from rtsmlm.errors import ConfigError
from rtsmlm.feedback.law.law import DensityLaw
from rtsmlm.feedback.records import Decision, DensityEstimate
from rtsmlm.settings.feedback import FeedbackSettings, StopSettings

LEAST, HIGHEST = 0.01, 10.0
TARGET = 0.1


def estimate(density: float, **changes: Any) -> DensityEstimate:
    values: dict[str, Any] = {
        "first_frame": 0,
        "last_frame": 19,
        "n_frames": 20,
        "t_exposure_end_ns": 0,
        "mean_per_um2": density,
        "std_per_um2": 0.05 * density if math.isfinite(density) else math.nan,
        "local_per_um2": 2 * density,
        "new_per_um2": density / 2,
        "unexplained": 0.0,
        "crowded": False,
        "area_um2": 300.0,
    }
    return DensityEstimate(**values | changes)


def law(start_power: float = 1.0, **settings: Any) -> DensityLaw:
    settings = {"feed_forward": False, "target_per_um2": TARGET} | settings
    return DensityLaw(FeedbackSettings(**settings), (LEAST, HIGHEST), start_power)


def feed(
    steering: DensityLaw, density: float, ticks: int, start_s: float = 0.0, **changes: Any
) -> list[Decision]:
    return [steering.decide(estimate(density, **changes), start_s + tick) for tick in range(ticks)]


def test_too_few_emitters_raise_the_power_by_the_permitted_part_per_tick() -> None:
    powers = [d.power for d in feed(law(), TARGET / 10, 5)]

    assert powers[0] == pytest.approx(math.exp(0.2))
    assert powers[4] / powers[3] == pytest.approx(math.exp(0.2))


def test_too_many_emitters_lower_it_faster_than_it_may_rise() -> None:
    assert feed(law(), TARGET * 100, 1)[0].power == pytest.approx(math.exp(-0.7))


def test_an_error_within_the_dead_band_is_left_to_the_slow_drift() -> None:
    steering = law()

    powers = [d.power for d in feed(steering, TARGET * 1.04, 30)]

    assert powers == [1.0] * 30


def test_the_drift_of_a_shrinking_pool_is_learned() -> None:
    # A pool that shrinks by half a percent per tick needs as much more light in each.
    steering, power, densities = law(), 1.0, []
    for tick in range(300):
        density = TARGET * power * math.exp(-0.005 * tick)
        densities.append(density)
        power = steering.decide(estimate(density), tick).power

    late = sum(densities[100:]) / 200
    assert late == pytest.approx(TARGET, rel=0.01)
    assert max(densities[100:]) < 1.06 * TARGET, "learning it must not make the loop swing"


@pytest.mark.parametrize("late_ticks", [0, 1, 2])
def test_estimates_that_come_late_do_not_make_it_swing(late_ticks: int) -> None:
    steering, powers = law(start_power=0.2), [0.2] * (late_ticks + 1)
    for tick in range(80):
        density = TARGET * powers[-1 - late_ticks]
        powers.append(steering.decide(estimate(density), float(tick)).power)

    assert powers[-20:] == pytest.approx([1.0] * 20, rel=0.08)
    assert max(powers) < 1.7


def test_no_emitter_at_all_is_a_bounded_error() -> None:
    assert feed(law(), 0.0, 3)[-1].power == pytest.approx(math.exp(0.6))


def test_a_stored_error_does_not_keep_the_power_at_its_cap() -> None:
    steering = law(stop=StopSettings(exhausted_s=None))
    feed(steering, TARGET, 30)
    assert feed(steering, TARGET / 2, 470, 30.0)[-1].power == HIGHEST

    down = [d.power for d in feed(steering, TARGET * 2, 3, 500.0)]

    assert down[1] < HIGHEST, "anti-windup: after one tick of averaging it comes down"
    assert down[2] < down[1]


def test_a_crowd_lowers_the_power_whatever_the_count_says() -> None:
    decisions = feed(law(), TARGET / 20, 6, crowded=True)

    powers = [1.0, *(d.power for d in decisions)]
    assert all(after < before for before, after in itertools.pairwise(powers))
    assert powers[-1] < 0.05
    assert decisions[0].event == "crowded"


def test_counts_made_in_a_crowd_do_not_raise_the_power_after_it() -> None:
    steering = law()
    power = feed(steering, TARGET / 20, 4, crowded=True)[-1].power

    after = steering.decide(estimate(TARGET), 4.0)

    assert after.power == pytest.approx(power)


def test_tiles_denser_than_the_limit_lower_the_power_below_the_target() -> None:
    steering = law(max_local_per_um2=0.3)

    decisions = feed(steering, TARGET / 2, 5, local_per_um2=0.6)

    assert decisions[-1].power < 0.5


def test_where_the_settings_name_no_limit_that_of_the_localizer_holds() -> None:
    limited = feed(law(), TARGET / 2, 5, local_per_um2=0.6, max_local_per_um2=0.3)
    free = feed(law(), TARGET / 2, 5, local_per_um2=0.6)
    overruled = feed(
        law(max_local_per_um2=5.0), TARGET / 2, 5, local_per_um2=0.6, max_local_per_um2=0.3
    )

    assert limited[-1].power < 0.5
    assert [d.power for d in overruled] == [d.power for d in free]
    assert free[-1].power > 1.0


@pytest.mark.parametrize("signal", ["mean", "local", "new"])
def test_the_signal_that_is_held_is_the_one_chosen(signal: str) -> None:
    values = {"mean_per_um2": 0.02, "local_per_um2": 0.02, "new_per_um2": 0.02}
    values[f"{signal}_per_um2"] = 0.4

    decision = law(signal=signal).decide(estimate(0.02, **values), 0.0)

    assert decision.power < 1.0


def test_no_occupied_tile_is_a_local_density_of_none() -> None:
    decision = law(signal="local").decide(estimate(0.0, local_per_um2=math.nan), 0.0)

    assert decision.state == "steer"
    assert decision.power > 1.0


def test_the_target_moves_with_time() -> None:
    steering = law(target_per_um2=((0.0, 0.1), (100.0, 0.4)))

    at_once = steering.decide(estimate(0.1), 0.0).power
    later = steering.decide(estimate(0.1), 90.0).power

    assert at_once == 1.0
    assert later > 1.2


@pytest.mark.parametrize(
    "bad",
    [None, estimate(math.nan), estimate(math.inf), estimate(-1.0), estimate(0.1, n_frames=0)],
)
def test_without_a_usable_estimate_power_is_held_for_two_ticks_and_then_off(
    bad: DensityEstimate | None,
) -> None:
    steering = law()

    decisions = [steering.decide(bad, float(tick)) for tick in range(4)]

    assert [d.state for d in decisions] == ["hold", "hold", "off", "off"]
    assert [d.power for d in decisions] == [1.0, 1.0, 0.0, 0.0]
    assert "no usable estimate" in decisions[2].reason


def test_light_comes_back_gently_when_estimates_do() -> None:
    steering = law()
    for tick in range(3):
        steering.decide(None, float(tick))

    power, powers = 0.0, []
    for tick in range(3, 60):
        power = steering.decide(estimate(TARGET * power), float(tick)).power
        powers.append(power)

    first = next(p for p in powers if p > 0)
    assert 2 * LEAST <= first <= 2 * LEAST * math.exp(0.2)
    assert powers[-1] == pytest.approx(1.0, rel=0.1)


def test_a_start_in_the_dark_comes_to_light() -> None:
    powers = [d.power for d in feed(law(start_power=0.0), TARGET / 10, 10)]

    assert powers[0] == 0.0
    assert powers[-1] > 2 * LEAST


def test_near_the_least_power_the_laser_does_not_flicker() -> None:
    # Nine tenths of the target come on by themselves; LEAST brings more than what is missing.
    steering, power, states = law(start_power=0.1), 0.1, []
    for tick in range(400):
        density = TARGET * (0.9 + 0.2 * power / LEAST)
        power = steering.decide(estimate(density), float(tick)).power
        states.append(power > 0)

    switches = sum(a != b for a, b in itertools.pairwise(states))
    assert 1 <= switches <= 400 / 15


def test_emitters_that_stay_on_in_the_dark_are_told_and_not_integrated_against() -> None:
    steering = law()

    decisions = feed(steering, TARGET * 3, 60)

    assert [d.event for d in decisions].count("below thermal floor") == 1
    assert decisions[-1].power == 0.0
    assert decisions[-1].state == "off"
    # Once the pool has shrunk the light comes back in a few ticks.
    assert feed(steering, TARGET / 3, 8, 60.0)[-1].power > 0


def test_a_density_that_still_falls_in_the_dark_is_no_floor() -> None:
    steering = law(start_power=LEAST)

    decisions = [
        steering.decide(estimate(50 * math.exp(-0.08 * tick)), float(tick)) for tick in range(60)
    ]

    assert "below thermal floor" not in [d.event for d in decisions]


def test_a_used_up_pool_ends_the_acquisition_after_the_time_set() -> None:
    steering = law(start_power=HIGHEST, stop=StopSettings(exhausted_s=30.0))

    decisions = feed(steering, TARGET * 0.4, 40)

    ends = [tick for tick, d in enumerate(decisions) if d.stop]
    assert ends[0] == pytest.approx(30, abs=1)
    assert decisions[ends[0]].event == "exhausted"
    assert {d.power for d in decisions[ends[0] :]} == {0.0}
    assert {d.state for d in decisions[ends[0] :]} == {"stopped"}


def test_more_than_half_of_the_target_at_the_cap_goes_on() -> None:
    steering = law(start_power=HIGHEST, stop=StopSettings(exhausted_s=30.0))

    decisions = feed(steering, TARGET * 0.6, 100)

    assert not any(d.stop for d in decisions)
    assert decisions[-1].power == HIGHEST


def test_a_density_that_does_not_answer_is_recognised_and_power_goes_back() -> None:
    steering = law(start_power=0.5)

    decisions = feed(steering, TARGET / 3, 60)

    told = [tick for tick, d in enumerate(decisions) if d.event == "no response"]
    assert len(told) == 1
    assert math.log(decisions[told[0] - 1].power / 0.5) > 1.0, "not before an e-fold of power"
    assert {d.power for d in decisions[told[0] :]} == {0.5}


def test_a_pool_that_runs_dry_after_long_service_is_not_mistaken_for_no_response() -> None:
    steering = law(stop=StopSettings(exhausted_s=20.0))
    feed(steering, TARGET, 50)

    decisions = feed(steering, TARGET * 0.45, 80, 50.0)

    events = [d.event for d in decisions]
    assert "exhausted" in events
    assert "no response" not in events


def test_a_power_that_somebody_else_sets_is_taken_over() -> None:
    steering = law(start_power=1.0)
    steering.follow(3.0)

    assert steering.decide(estimate(TARGET), 0.0).power == pytest.approx(3.0)


def test_limits_that_a_logarithm_cannot_take_are_an_error() -> None:
    with pytest.raises(ConfigError, match="min_power"):
        DensityLaw(FeedbackSettings(), (0.0, 10.0), 0.0)
