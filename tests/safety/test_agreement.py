"""Readings against commands: two wrong of five, settled within a second, not excused for ever."""

from __future__ import annotations

import math
import random

import pytest

from rtsmlm.safety.agreement import SETTLE_S, Commanded, ReadingJudge

POLL_S = 0.25


class Bench:
    """Time, commands and a judge of the readings."""

    def __init__(self, *, is_exact: bool = False) -> None:
        self.t_s = 0.0
        self.commanded = Commanded()
        self.judge = ReadingJudge(
            "measured", "mW", lambda value: max(0.1 * value, 0.5), is_exact=is_exact
        )

    @property
    def t_ns(self) -> int:
        return round(self.t_s * 1e9)

    def command(self, value: float) -> None:
        self.commanded.change(value, self.t_ns)
        self.commanded.arrive(self.t_ns)

    def read(self, value: float, *, most: float = 55.0) -> str | None:
        self.t_s += POLL_S
        return self.judge.judge(value, self.commanded.at(self.t_ns), most, self.t_ns)


@pytest.mark.parametrize("pattern", ["10", "100", "1000", "110", "10010"])
def test_a_reading_that_is_wrong_in_two_of_five_polls_is_found(pattern: str) -> None:
    bench = Bench()
    bench.commanded.begin(10.0)
    found = [bench.read(50.0 if wrong == "1" else 10.0) for wrong in pattern * 4]

    assert any(found)
    assert found.index(next(filter(None, found))) <= 5


def test_one_wrong_reading_in_five_is_noise() -> None:
    bench = Bench()
    bench.commanded.begin(10.0)

    assert not any(bench.read(50.0 if k % 5 == 0 else 10.0) for k in range(100))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 55.1])
def test_no_number_and_light_above_the_cap_are_found_at_once(value: float) -> None:
    bench = Bench()
    bench.commanded.begin(10.0)

    assert bench.read(value) is not None


def test_a_reading_may_lie_between_old_and_new_for_a_second_and_then_has_to_match() -> None:
    bench = Bench()
    bench.commanded.begin(10.0)
    bench.read(10.0)
    bench.command(40.0)

    while bench.t_s < SETTLE_S:
        assert bench.read(25.0) is None
    assert [bench.read(25.0) is None for _ in range(3)] == [True, True, False]


def test_a_command_that_takes_long_excuses_the_old_value_until_it_is_done() -> None:
    bench = Bench()
    bench.commanded.begin(10.0)
    bench.commanded.change(40.0, bench.t_ns)

    for _ in range(12):
        assert bench.read(10.0) is None
    bench.commanded.arrive(bench.t_ns)
    for _ in range(4):
        assert bench.read(38.0) is None


def test_a_reading_outside_both_values_is_wrong_however_often_the_value_changes() -> None:
    bench = Bench()
    bench.commanded.begin(10.0)
    found = None
    polls = 0
    while found is None:
        bench.command(12.0 if polls % 2 else 10.0)
        found = bench.read(50.0)
        polls += 1

    assert polls == 2


@pytest.mark.parametrize("stuck", [0.0, 5.0, 10.0])
def test_a_reading_that_never_follows_is_found_though_the_value_changes_all_the_time(
    stuck: float,
) -> None:
    bench = Bench()
    bench.commanded.begin(10.0)
    found = None
    polls = 2
    while found is None:
        if polls % 2 == 0:
            bench.command(0.0 if polls % 4 else 10.0)
        found = bench.read(stuck)
        polls += 1
        assert polls < 60

    assert polls * POLL_S > SETTLE_S


@pytest.mark.parametrize("lag_s", [0.0, 0.2, 0.4])
def test_a_meter_that_follows_within_the_time_to_settle_is_never_wrong(lag_s: float) -> None:
    random_ = random.Random(1)
    bench = Bench()
    bench.commanded.begin(10.0)
    measured = 10.0
    for _ in range(2000):
        if random_.random() < 0.2:
            bench.command(random_.choice([0.0, 5.0, 10.0, 12.0, 40.0]))
        part = 1.0 if lag_s == 0 else 1 - math.exp(-POLL_S / lag_s)
        measured += part * (bench.commanded.value - measured)
        if lag_s == 0.4:  # it needs the whole time to settle; changes are as rare as that
            bench.t_s += 3 * POLL_S
            measured += (1 - math.exp(-3 * POLL_S / lag_s)) * (bench.commanded.value - measured)
        assert bench.read(measured) is None


def test_a_set_point_that_is_not_dark_where_it_has_to_be_is_found_at_once() -> None:
    bench = Bench(is_exact=True)
    bench.commanded.begin(10.0)
    bench.command(0.0)
    assert bench.read(10.0) is None, "for a second it may be the one before"
    bench.t_s += SETTLE_S

    assert bench.read(0.0) is None
    assert bench.read(0.01) is not None


def test_a_reading_that_vanishes_is_wrong() -> None:
    judge = Bench().judge

    assert judge.judge_missing("unplugged") is None
    text = judge.judge_missing("unplugged")
    assert text is not None
    assert "nothing measured, although it was at arming: unplugged" in text
