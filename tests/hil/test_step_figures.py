"""Figures of a step response, on courses whose figures are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsmlm.hil.step_figures import Course, bias, course_of, overshoot, settle_s
from rtsmlm.hil.step_response import too_few


def course(ratio: list[float], tick_s: float = 1.0) -> Course:
    n = len(ratio)
    target = np.full(n, 0.1)
    return Course(np.arange(n) * tick_s, np.array(ratio) * target, target, np.ones(n))


def test_it_is_settled_from_the_tick_on_after_which_it_stays_near() -> None:
    rise = course([0.1, 0.5, 0.9, 1.0, 1.5, 1.5, 1.0, 1.0, 1.0])

    # Means of two ticks: .10 .30 .70 .95 1.25 1.50 1.25 1.0 1.0
    assert settle_s(rise, 0.0) == 7.0
    assert settle_s(rise, 2.0) == 5.0


def test_what_never_stays_near_is_never_settled() -> None:
    assert settle_s(course([1.0] * 9 + [1.5, 1.5]), 0.0) == math.inf
    assert settle_s(course([]), 0.0) == math.inf


def test_overshoot_is_that_of_the_five_second_mean_after_the_rise() -> None:
    peak = course([0.0] * 10 + [1.0, 1.5, 1.5, 1.0, 1.0, 1.0, 1.0, 1.0])

    assert overshoot(peak) == pytest.approx(0.2)
    assert overshoot(course([0.1] * 5)) == 0.0


def test_bias_is_the_mean_of_all_settled_ticks() -> None:
    assert bias(course([1.1, 1.1]), course([0.9, 0.9, 0.9, 0.9])) == pytest.approx(-0.1 / 3)
    assert math.isnan(bias(course([])))


def test_where_the_power_is_at_its_cap_throughout_there_is_no_bias() -> None:
    assert math.isnan(bias())


def test_only_ticks_of_the_laser_with_an_estimate_are_read() -> None:
    row = {
        "actuator": "activation", "kind": "command", "t_s": "12.5", "sent": "3",
        "estimate_per_um2": "0.05", "target_per_um2": "0.1",
    }  # fmt: skip
    rows = [
        row | {"kind": "arm", "t_s": "10", "estimate_per_um2": ""},
        row | {"actuator": "readout"},
        row,
        row | {"kind": "unchanged", "t_s": "13.5", "sent": "3"},
        row | {"estimate_per_um2": ""},
        row | {"kind": "refused"},
    ]

    found = course_of(rows, "activation")

    assert found.t_s.tolist() == [2.5, 3.5]
    assert found.power.tolist() == [3.0, 3.0]
    assert found.per_um2.tolist() == [0.05, 0.05]


def test_a_course_of_few_estimates_is_no_proof_and_says_so() -> None:
    assert too_few(8) == ""
    assert "only 7 estimates" in too_few(7)
    assert "hil.step_s" in too_few(7)
