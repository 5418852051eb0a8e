"""Whether a sample answers to its laser is judged on a climb of the power, and not by noise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsmlm.feedback.law.reading import Reading
from rtsmlm.feedback.law.response import ResponseWatch

AREA_UM2 = 300.0


def reading(density: float, frames: int = 100, std: float | None = None) -> Reading:
    exposure = AREA_UM2 * frames
    return Reading(
        density=density,
        std=math.sqrt(density / exposure) if std is None else std,
        target=0.5,
        exposure_um2=exposure,
        crowded=False,
        log_limit=math.inf,
    )


def climb(
    watch: ResponseWatch, gain: float, *, rise: float = 2.0, ticks: int = 12, noise: float = 0.0
) -> bool:
    """Raise the power; return whether at any tick no answer was found."""
    rng = np.random.default_rng(4)
    found = False
    for log_power in np.linspace(0.0, rise, ticks):
        log_density = math.log(0.05) + gain * log_power + noise * rng.standard_normal()
        watch.note(float(log_power), reading(math.exp(log_density)))
        found = found or watch.none()
    return found


def test_a_density_that_stays_while_the_power_rises_sevenfold_is_no_answer() -> None:
    assert climb(ResponseWatch(), gain=0.0)


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.5])
def test_a_density_that_rises_with_the_power_is_an_answer_for_good(gain: float) -> None:
    watch = ResponseWatch()

    assert not climb(watch, gain)
    watch.forget(on_target=False)

    assert watch.answered
    assert not climb(watch, 0.0), "at the end of the pool more light brings no more either"


@pytest.mark.parametrize("rise", [0.2, 0.9])
def test_a_small_climb_proves_nothing(rise: float) -> None:
    assert not climb(ResponseWatch(), gain=0.0, rise=rise)


def test_two_densities_prove_nothing() -> None:
    assert not climb(ResponseWatch(), gain=0.0, ticks=2)


def test_a_few_emitters_that_scatter_prove_nothing() -> None:
    watch = ResponseWatch()
    found = False
    for log_power in np.linspace(0.0, 1.2, 4):
        watch.note(float(log_power), reading(0.05, std=0.05))
        found = found or watch.none()

    assert not found


def test_a_density_held_for_twenty_ticks_counts_as_an_answer() -> None:
    watch = ResponseWatch()

    for _ in range(19):
        watch.forget(on_target=True)
    assert not watch.answered
    watch.forget(on_target=True)

    assert watch.answered


def test_a_tick_off_the_target_begins_the_count_anew() -> None:
    watch = ResponseWatch()

    for tick in range(30):
        watch.forget(on_target=tick % 15 != 14)

    assert not watch.answered


def test_what_was_seen_before_the_climb_is_forgotten() -> None:
    watch = ResponseWatch()
    watch.note(-5.0, reading(0.05))
    watch.note(-5.0, reading(0.05))

    watch.forget(on_target=False)

    assert not climb(watch, gain=0.0, rise=0.5), "the climb begins here, not at -5"
