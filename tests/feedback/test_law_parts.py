"""Parts of the law, each on a plant whose answer is known."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.feedback.law.feed_forward import FeedForward
from rtsmlm.feedback.law.power_scale import PowerScale
from rtsmlm.feedback.law.reading import Reading
from rtsmlm.feedback.law.thermal_floor import ThermalFloor
from rtsmlm.feedback.law.tuning import Plant, RelayTest, StepTest, law_gain

SCALE = PowerScale(least=0.01, highest=100.0)
TARGET = 0.1


def reading(density: float, std: float = 0.0) -> Reading:
    return Reading(
        density=density, std=std, target=TARGET, exposure_um2=3000.0, crowded=False,
        log_limit=math.inf,
    )  # fmt: skip


def started(
    slope: float, thermal: float, test_power: float, std_part: float = 0.0
) -> tuple[list[float], list[bool]]:
    """Powers and which ticks were measured, for a density of `thermal + slope * power`."""
    forward = FeedForward(SCALE, test_power)
    power, powers, measured = 0.0, [], []
    for _ in range(30):
        density = thermal + slope * power
        wanted, was_measured = forward.step(reading(density, std_part * density))
        measured.append(was_measured)
        if wanted is None:
            return powers, measured
        power = wanted
        powers.append(power)
    pytest.fail("the start never ends")


slopes = st.floats(1e-4, 1.0)


@settings(max_examples=200)
@given(slopes, st.floats(0.0, 0.05), st.floats(0.01, 1.0))
def test_the_start_never_jumps_beyond_the_target_and_ends_after_five_jumps(
    slope: float, thermal: float, test_power: float
) -> None:
    powers, measured = started(slope, thermal, test_power)

    for before, after in pairwise(powers):
        if after != before:
            assert thermal + slope * after <= TARGET * (1 + 1e-6)
            assert after <= 10 * before * (1 + 1e-9), "no jump is larger than tenfold"
    assert len({*powers}) <= 6
    assert max(powers) <= SCALE.highest
    assert measured[0] is False
    assert measured[-1] is True


@settings(max_examples=100)
@given(st.floats(0.02, 0.5), st.floats(0.01, 0.3))
def test_without_thermal_activation_the_start_arrives_near_the_target(
    slope: float, test_power: float
) -> None:
    powers, _ = started(slope, 0.0, test_power)

    reached = slope * powers[-1]
    assert reached >= TARGET / 1.25 * (1 - 1e-6) or slope * test_power >= 0.85 * TARGET


def test_what_is_known_less_well_is_jumped_to_less_far() -> None:
    firsts = [started(0.1, 0.0, 0.2, std_part)[0][2] for std_part in (0.0, 0.5, 1.0)]

    assert firsts == sorted(firsts, reverse=True)
    assert firsts[0] > firsts[-1]


def test_each_power_has_a_tick_to_settle_before_it_is_measured() -> None:
    _, measured = started(0.01, 0.0, 0.1)

    assert measured == [False, True] * (len(measured) // 2)


def test_a_pulse_of_no_power_measures_the_dark_and_then_lights_gently() -> None:
    powers, _ = started(0.05, 0.01, 0.0)

    assert powers[0] == 0.0
    assert powers[1] == SCALE.relight


def test_a_test_pulse_that_already_reaches_the_target_is_the_end_of_the_start() -> None:
    powers, measured = started(1.0, 0.0, 0.2)

    assert powers == [0.2]
    assert measured == [False, True]


def floor_of(densities: list[float]) -> list[bool]:
    floor = ThermalFloor()
    return [floor.stands(math.log(density), above=True) for density in densities]


def test_ten_ticks_in_the_dark_without_a_fall_are_a_floor() -> None:
    assert floor_of([0.2] * 12) == [False] * 9 + [True] * 3


@given(st.floats(0.001, 10.0), st.integers(0, 2**32 - 1))
def test_the_floor_does_not_depend_on_the_density_and_bears_counting_noise(
    density: float, seed: int
) -> None:
    noise = np.random.default_rng(seed).normal(1.0, 0.02, 10)

    assert floor_of((density * noise).tolist())[-1]


@pytest.mark.parametrize(("half_life_ticks", "stands"), [(5, False), (20, False), (200, True)])
def test_a_density_that_still_falls_is_waited_for(half_life_ticks: float, stands: bool) -> None:
    assert floor_of([0.5 ** (k / half_life_ticks) for k in range(10)])[-1] is stands


def test_one_tick_of_light_or_below_the_target_begins_the_wait_anew() -> None:
    floor = ThermalFloor()
    for _ in range(9):
        floor.stands(0.0, above=True)

    assert not floor.stands(0.0, above=False)
    assert not any(floor.stands(0.0, above=True) for _ in range(9))
    assert floor.stands(0.0, above=True)


def test_a_fall_that_ends_is_a_floor_in_the_end() -> None:
    verdicts = floor_of([0.1 + math.exp(-k / 3.0) for k in range(40)])

    assert not verdicts[9]
    assert verdicts[-1]


plants = st.builds(Plant, st.floats(0.05, 5.0), st.floats(0.0, 8.0))
smoothings = st.floats(0.2, 1.0)


@given(plants, smoothings)
def test_the_law_corrects_a_part_of_the_error_between_a_fiftieth_and_all_of_it(
    plant: Plant, smoothing: float
) -> None:
    assert 0.02 <= law_gain(plant, smoothing) <= 1.0


@given(st.floats(0.2, 5.0), st.integers(0, 8), smoothings)
def test_the_loop_is_stable_also_when_light_outweighs_heat_later(
    found: float, dead_ticks: int, smoothing: float
) -> None:
    gain = law_gain(Plant(found, float(dead_ticks)), smoothing)

    # ln(power) integrates gain times the running mean of ln(density), a dead time late; the
    # plant itself now has a gain of 1. z^(d+1) (z - 1 + w) (z - 1) + gain w z = 0.
    w = smoothing
    polynomial = np.polymul([1.0, -(1.0 - w)], [1.0, -1.0])
    polynomial = np.polymul(polynomial, [1.0, *[0.0] * dead_ticks])
    polynomial = np.polyadd(polynomial, [gain * w, 0.0])

    assert np.abs(np.roots(polynomial)).max() < 1.0


@given(st.floats(0.0, 8.0), smoothings, st.floats(0.2, 1.5), st.floats(0.2, 1.5))
def test_a_livelier_plant_gets_a_gentler_law(
    dead_ticks: float, smoothing: float, one: float, other: float
) -> None:
    gains = [law_gain(Plant(gain, dead_ticks), smoothing) for gain in sorted((one, other))]

    assert gains[0] >= gains[1]


@pytest.mark.parametrize(("gain", "believed"), [(0.001, 0.2), (40.0, 1.5)])
def test_a_plant_that_cannot_be_is_not_believed(gain: float, believed: float) -> None:
    assert law_gain(Plant(gain, 2.0), 0.5) == law_gain(Plant(believed, 2.0), 0.5)


def offsets_of(test: StepTest | RelayTest, log_error: float, ticks: int) -> list[float]:
    offsets = []
    for _ in range(ticks):
        offset = test.step(-log_error, log_error)
        if offset is None:
            return offsets
        offsets.append(offset)
    return offsets


@pytest.mark.parametrize(
    ("log_error", "sign"), [(1.0, 1), (0.25, 1), (0.15, -1), (0.0, -1), (-1.0, -1)]
)
def test_a_step_goes_down_unless_the_density_has_room_above(log_error: float, sign: int) -> None:
    offsets = offsets_of(StepTest(), log_error, 100)

    assert offsets[0] == 0.0, "the density before is measured first"
    assert {math.copysign(1, offset) for offset in offsets if offset} == {sign}
    assert len(offsets) < 20


def test_a_relay_pushes_up_from_below_and_down_from_above() -> None:
    assert set(offsets_of(RelayTest(), 0.5, 5)) == {0.3}
    assert set(offsets_of(RelayTest(), -0.5, 5)) == {-0.3}


def test_a_relay_is_not_switched_by_noise_within_its_band() -> None:
    relay = RelayTest()
    relay.step(0.0, 0.01)

    assert {relay.step(0.0, error) for error in (-0.04, 0.04, -0.04, 0.04)} == {0.3}


@pytest.mark.parametrize("test", [StepTest, RelayTest])
def test_an_answer_the_wrong_way_round_is_no_plant(test: type) -> None:
    experiment, offset = test(), 0.0
    while offset is not None:
        offset = experiment.step(-1.0 * offset, 1.0 * offset)

    assert experiment.result() is None
