"""The window does less as the data get older, and never less than two pictures per second."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from rtsmlm.viewer.pace import CALM_S, FULL, LATE_S, LEAST, pace_for


def test_nothing_is_left_out_while_the_run_keeps_up_or_its_age_is_not_known() -> None:
    assert pace_for(0.02) == pace_for(CALM_S) == pace_for(math.nan) == FULL


def test_older_data_mean_fewer_pictures_plots_and_measurements() -> None:
    paces = [pace_for(age_s) for age_s in np.linspace(CALM_S, LATE_S, 6)]

    assert all(a.picture_s < b.picture_s and a.tick_s < b.tick_s for a, b in pairwise(paces))
    assert all(
        a.plots_s < b.plots_s and a.resolution_s < b.resolution_s for a, b in pairwise(paces)
    )


@pytest.mark.parametrize("age_s", [1.0, 7.7, 3600.0, math.inf])
def test_two_pictures_per_second_remain_however_old_the_data_are(age_s: float) -> None:
    assert pace_for(age_s) == LEAST
    assert LEAST.picture_s <= 0.5
    assert LEAST.tick_s <= 0.5


def test_the_window_goes_slower_with_old_data_and_faster_again_afterwards(
    open_window: Callable[..., Any], source: Any, status: Any, run_on: Any
) -> None:
    window = open_window()
    source.next = {"status": status(newest_age_s=6.0)}
    run_on(window, 1)
    late = window.refresher.timer.interval(), window.super_res.least_s
    source.next = {"status": status(newest_age_s=0.03)}
    run_on(window, 1)

    assert late == (round(1000 * LEAST.tick_s), LEAST.picture_s)
    assert window.refresher.timer.interval() == round(1000 * FULL.tick_s)
    assert window.super_res.least_s == FULL.picture_s


def test_a_loop_that_stood_still_was_late_for_every_beat_that_it_left_out(
    open_window: Callable[..., Any],
) -> None:
    meter = open_window().refresher.meter.loop
    meter.stop()
    meter.restart()
    for _ in range(900):
        meter.note(0.001)
    meter.note(1.0)

    assert meter.lag.max_ms == 1000.0
    assert meter.lag.p50_ms < 2.0
    # A hundred beats of ten milliseconds fell into that second: a tenth of all of them.
    assert meter.lag.p99_ms > 800.0
