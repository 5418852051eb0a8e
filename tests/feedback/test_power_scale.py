"""The scale of the law has two ends and a dark below it, and stores nothing beyond its ends."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.errors import ConfigError
from rtsmlm.feedback.law.power_scale import PowerScale

SCALE = PowerScale(0.5, 50.0)


@pytest.mark.parametrize(
    ("least", "highest"),
    [(0.0, 50.0), (-1.0, 50.0), (50.0, 50.0), (60.0, 50.0), (1.0, math.inf), (math.nan, 1.0)],
)
def test_ends_between_which_no_logarithm_lies_are_refused(least: float, highest: float) -> None:
    with pytest.raises(ConfigError, match="0 < min_power < max_power"):
        PowerScale(least, highest)


@pytest.mark.parametrize(
    ("power", "nearest"),
    [(0.0, 0.0), (-3.0, 0.0), (math.nan, 0.0), (0.1, 0.5), (7.0, 7.0), (80.0, 50.0)],
)
def test_a_power_that_cannot_be_had_is_the_nearest_one_and_none_stays_none(
    power: float, nearest: float
) -> None:
    assert SCALE.nearest(power) == nearest


def test_the_logarithm_of_the_dark_is_that_of_the_least_power() -> None:
    assert SCALE.log(0.0) == SCALE.log(0.5) == pytest.approx(math.log(0.5))
    assert SCALE.log(500.0) == pytest.approx(math.log(50.0))


def test_light_that_falls_below_the_least_power_goes_out() -> None:
    power, log_power = SCALE.move(0.6, math.log(0.6), -0.5)

    assert power == 0.0
    assert log_power == pytest.approx(math.log(0.5))


def test_light_comes_back_at_twice_the_least_power_and_does_not_flicker() -> None:
    power, log_power = 0.0, SCALE.log(0.0)
    powers = []
    for change in [0.3, 0.3, 0.3, -0.3, -0.3, -0.1]:
        power, log_power = SCALE.move(power, log_power, change)
        powers.append(power)

    assert powers[:2] == [0.0, 0.0]
    assert powers[2] == pytest.approx(0.5 * math.exp(0.9))
    assert powers[2] > SCALE.relight
    assert 0.5 < powers[4] < SCALE.relight, "once lit it may fall below that power"
    assert powers[5] > 0.0


def test_where_twice_the_least_is_beyond_the_cap_light_comes_back_at_the_cap() -> None:
    scale = PowerScale(1.0, 1.5)

    assert scale.relight == 1.5
    assert scale.move(0.0, scale.log(0.0), 10.0)[0] == pytest.approx(1.5)


def test_nothing_is_wound_up_at_the_cap() -> None:
    power, log_power = 50.0, math.log(50.0)
    for _ in range(100):
        power, log_power = SCALE.move(power, log_power, 0.3)

    power, log_power = SCALE.move(power, log_power, -0.3)

    assert power == pytest.approx(50.0 * math.exp(-0.3)), "the first step down counts in full"


def test_only_the_cap_is_the_cap() -> None:
    assert SCALE.at_cap(50.0)
    assert SCALE.at_cap(50.0 * (1 - 1e-12))
    assert not SCALE.at_cap(49.9)
    assert not SCALE.at_cap(0.0)


@given(
    changes=st.lists(st.floats(-3.0, 3.0), max_size=30),
    least=st.floats(1e-3, 1.0),
    span=st.floats(1.01, 1e4),
)
def test_no_order_of_moves_leaves_the_limits(
    changes: list[float], least: float, span: float
) -> None:
    scale = PowerScale(least, least * span)
    power, log_power = 0.0, scale.log(0.0)
    for change in changes:
        power, log_power = scale.move(power, log_power, change)
        assert power == 0.0 or scale.least <= power <= scale.highest
        assert scale.log(scale.least) <= log_power <= scale.log(scale.highest)
