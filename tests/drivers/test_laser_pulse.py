"""The split of an effective power into a level and a pulse length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.drivers.micromanager.laser_pulse import LEAST_DUTY, MOST_DUTY, Pulse, PulseSplit

FRAME_US = 10_000.0
BOTH = PulseSplit((1.0, 100.0), (0.0, 1e6), FRAME_US)

powers = st.floats(1e-4, 90.0)


@given(powers, st.none() | st.floats(0.1, 200.0))
def test_power_times_duty_is_what_was_asked_for(effective: float, level: float | None) -> None:
    pulse = BOTH.split(effective, level)

    assert BOTH.effective(pulse) == pytest.approx(effective, rel=1e-9)
    assert 1.0 <= pulse.power <= 100.0
    assert 1.0 <= pulse.length_us <= MOST_DUTY * FRAME_US * (1 + 1e-9)
    if pulse.power > 1.0:  # at the least power there is only the pulse left
        assert pulse.length_us / FRAME_US >= LEAST_DUTY * (1 - 1e-9)


@given(powers, st.floats(1 / 3.9, 3.9))
def test_the_level_stays_within_a_factor_of_four(effective: float, factor: float) -> None:
    first = BOTH.split(effective)
    if not 5.0 < first.power < 95.0:
        return

    again = BOTH.split(effective * factor, first.power)

    assert again.power == first.power


def test_the_level_moves_once_and_then_rests_in_the_middle() -> None:
    pulse = BOTH.split(1.0)
    levels = []
    for k in range(200):
        pulse = BOTH.split(1.0 * 1.02**k, pulse.power)
        levels.append(pulse.power)

    assert len(set(levels)) <= 5  # a factor of 52 on the way up
    assert levels == sorted(levels)
    before = levels[-1]
    assert BOTH.split(1.0 * 1.02**199 / 1.1, before).power == before


@given(st.floats(0.0, 10.0))
def test_pulses_alone_where_the_power_is_fixed(effective: float) -> None:
    split = PulseSplit((5.0, 5.0), (0.0, 1e6), FRAME_US)
    low, high = split.limits()
    assert (low, high) == pytest.approx((5.0 / FRAME_US, 4.5))

    pulse = split.split(effective)

    assert pulse.power == 5.0
    assert split.effective(pulse) == pytest.approx(min(max(effective, low), high))


@given(st.floats(0.0, 100.0))
def test_power_alone_where_the_pulse_is_fixed(effective: float) -> None:
    split = PulseSplit((1.0, 100.0), (2000.0, 2000.0), FRAME_US)
    assert split.limits() == pytest.approx((0.2, 20.0))

    pulse = split.split(effective, 50.0)

    assert pulse.length_us == 2000.0
    assert pulse.power == pytest.approx(min(max(5 * effective, 1.0), 100.0))


def test_a_pulse_longer_than_the_frame_is_light_all_the_time() -> None:
    split = PulseSplit((1.0, 100.0), (5e4, 5e4), FRAME_US)

    assert split.limits() == (1.0, 100.0)
    assert split.effective(Pulse(7.0, 5e4)) == 7.0


@given(st.floats(0.01, 6.5))
def test_a_trigger_that_counts_not_far_enough_for_the_frame(effective: float) -> None:
    split = PulseSplit((1.0, 100.0), (0.0, 65_535.0), 1e6)

    pulse = split.split(effective)

    assert split.effective(pulse) == pytest.approx(effective)


@pytest.mark.parametrize(
    ("power", "length_us", "frame_us", "message"),
    [
        ((5.0, 1.0), (0.0, 1e6), 1e4, "power is 5 to 1"),
        ((0.0, 0.0), (0.0, 1e6), 1e4, "power is 0 to 0"),
        ((1.0, 2.0), (-1.0, 1e6), 1e4, "length_us is -1"),
        ((1.0, 2.0), (0.0, 1e6), 0.0, "a frame of 0 us"),
        ((1.0, 2.0), (20_000.0, 1e6), 1e4, "no room for a pulse of 20000 us"),
        ((1.0, 2.0), (0.0, 1e6), float("nan"), "a frame of nan"),
    ],
)
def test_nothing_to_split_is_an_error(
    power: tuple[float, float], length_us: tuple[float, float], frame_us: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        PulseSplit(power, length_us, frame_us)


def test_a_laser_that_goes_down_to_zero() -> None:
    split = PulseSplit((0.0, 100.0), (0.0, 1e6), FRAME_US)

    assert split.limits()[0] == 0.0
    assert split.split(0.0) == Pulse(0.0, 1.0)
    assert split.effective(split.split(1e-3)) == pytest.approx(1e-3)
