"""A movement is predicted from noisy places, follows jumps, and stops where nothing is seen."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.analysis.drift_motion import MotionFilter, smoothed
from rtsmlm.analysis.drift_trace import DriftTrace

STEP, NOISE_NM = 100.0, 2.0
NEVER = np.full(3, np.inf)


def _followed(motion: MotionFilter, places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return what the filter predicts of each place before it is measured, (n, 3)."""
    predicted = []
    for k, place in enumerate(places):
        frame = motion.frame + STEP
        predicted.append(motion.predict(np.array([frame]))[0])
        measured = place + rng.normal(0, NOISE_NM, 3)
        motion.correct(frame, measured, np.full(3, NOISE_NM**2))
        assert motion.frame == pytest.approx((k + 1) * STEP)
    return np.array(predicted)


def test_a_steady_drift_is_predicted_as_well_as_it_is_measured(rng: np.random.Generator) -> None:
    k = np.arange(1, 201)[:, None]
    places = k * np.array([3.0, -1.0, 0.0])

    off = _followed(MotionFilter(0.0), places, rng) - places

    assert (off[50:].std(axis=0) < 1.2 * NOISE_NM).all()
    assert np.abs(off[50:].mean(axis=0)).max() < 1


def test_after_a_jump_the_next_place_is_where_it_went(rng: np.random.Generator) -> None:
    places = np.zeros((60, 3))
    places[30:] = [200.0, -150.0, 80.0]

    off = np.abs(_followed(MotionFilter(0.0), places, rng) - places)

    assert (off[30] > 50).all(), "a jump cannot be foreseen"
    assert off[33:].max() < 25
    assert off[50:].max() < 8


def test_without_measurements_it_stops_and_does_not_run_away(rng: np.random.Generator) -> None:
    motion = MotionFilter(0.0)
    _followed(motion, np.arange(1, 31)[:, None] * np.array([5.0, 5.0, 5.0]), rng)
    last = motion.place.copy()

    for _ in range(50):
        motion.correct(motion.frame + STEP, np.zeros(3), NEVER)

    assert np.abs(motion.velocity).max() < 1e-6
    assert np.abs(motion.place - last).max() < 20


def test_an_axis_without_measurements_stays_where_it_is(rng: np.random.Generator) -> None:
    motion = MotionFilter(0.0)

    for k in range(1, 20):
        motion.correct(k * STEP, np.array([3.0 * k, 0, 99]), np.array([1, 1, np.inf]))

    assert motion.place[0] == pytest.approx(57, abs=1)
    assert motion.place[2] == 0


def test_a_filter_goes_on_at_the_speed_with_which_a_movement_has_ended() -> None:
    frame = np.arange(10) * STEP
    trace = DriftTrace(frame, frame[:, None] * np.array([0.02, -0.01, 0.0]))

    motion = MotionFilter.after(trace)

    ahead = motion.predict(np.array([frame[-1] + 200]))[0]
    assert ahead == pytest.approx([22.0, -11.0, 0.0])


def test_a_jump_is_not_smoothed_away(rng: np.random.Generator) -> None:
    frame = np.arange(200) * STEP
    truth = np.where(np.arange(200) < 100, 0.0, 150.0)

    found = smoothed(frame, truth + rng.normal(0, 2, 200), np.full(200, 4.0), frame)

    assert np.abs(found[:95] - truth[:95]).max() < 12
    assert np.abs(found[105:] - truth[105:]).max() < 12


def test_before_the_first_and_after_the_last_measurement_the_speed_stays() -> None:
    frame = np.arange(50) * STEP + 1000

    found = smoothed(frame, 0.1 * frame, np.ones(50), np.array([0.0, 1050.0, 8000.0]))

    assert found == pytest.approx([0.0, 105.0, 800.0], abs=2)


@pytest.mark.parametrize("n_known", [0, 1, 2])
def test_few_measurements_are_joined_by_straight_lines(n_known: int) -> None:
    frame, variance = np.array([0.0, 100.0, 200.0]), np.full(3, np.inf)
    variance[:n_known] = 1.0

    found = smoothed(frame, np.array([4.0, 8.0, 100.0]), variance, np.array([0.0, 50.0, 200.0]))

    assert found.tolist() == [[0, 0, 0], [4, 4, 4], [4, 6, 8]][n_known]
