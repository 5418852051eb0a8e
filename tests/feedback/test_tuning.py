"""Step and relay experiments on plants whose gain and dead time are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rtsmlm.feedback.law.tuning import Plant, RelayTest, StepTest, law_gain


def experiment(
    test: StepTest | RelayTest, gain: float, dead_ticks: int, noise: float = 0.0
) -> tuple[Plant | None, list[float]]:
    rng = np.random.default_rng(1)
    offsets = [0.0] * (dead_ticks + 1)
    while True:
        log_density = gain * offsets[-1 - dead_ticks] + noise * rng.normal()
        offset = test.step(log_density, -log_density)
        if offset is None:
            return test.result(), offsets
        offsets.append(offset)


@pytest.mark.parametrize("test", [StepTest, RelayTest])
@pytest.mark.parametrize("gain", [0.3, 1.0])
@pytest.mark.parametrize("dead_ticks", [0, 1, 2])
def test_gain_and_dead_time_are_found(test: Any, gain: float, dead_ticks: int) -> None:
    plant, offsets = experiment(test(), gain, dead_ticks)

    assert plant is not None
    assert plant.gain == pytest.approx(gain, rel=0.05)
    assert plant.dead_ticks == pytest.approx(dead_ticks, abs=0.3)
    assert max(map(abs, offsets)) <= 0.4
    assert len(offsets) < 45


@pytest.mark.parametrize("test", [StepTest, RelayTest])
def test_counting_noise_changes_the_gain_by_little(test: Any) -> None:
    plant, _ = experiment(test(), 0.8, 0, noise=0.06)

    assert plant is not None
    assert plant.gain == pytest.approx(0.8, rel=0.3)


def test_noise_without_an_answer_gives_no_plant() -> None:
    assert experiment(StepTest(), 0.0, 0, noise=0.1)[0] is None


def test_a_relay_that_never_crosses_the_target_gives_no_plant() -> None:
    relay = RelayTest()
    while relay.step(-1.0, 1.0) is not None:
        pass

    assert relay.result() is None


@pytest.mark.parametrize("dead_ticks", [0.0, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("gain", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("smoothing", [0.3, 0.5, 1.0])
def test_the_gain_of_the_law_damps_the_plant_that_was_found(
    dead_ticks: float, gain: float, smoothing: float
) -> None:
    g = law_gain(Plant(gain, dead_ticks), smoothing)

    # ln(power) and the running mean, step by step, after a step of the target by 1.
    u, y, history = 0.0, 0.0, [0.0] * (int(dead_ticks) + 1)
    answers = []
    for _ in range(200):
        y += smoothing * (gain * history[-1 - int(dead_ticks)] - y)
        u += g * (1 - y)
        history.append(u)
        answers.append(gain * u)
    assert answers[-1] == pytest.approx(1.0, abs=0.05)
    assert max(answers) < 1.25


def test_later_answers_and_larger_gains_make_the_law_gentler() -> None:
    gains = [law_gain(Plant(0.8, float(d)), 0.5) for d in range(5)]

    assert gains == sorted(gains, reverse=True)
    assert law_gain(Plant(1.0, 1.0), 0.5) < law_gain(Plant(0.5, 1.0), 0.5)
    assert math.isfinite(law_gain(Plant(1.0, 0.0), 1.0))
