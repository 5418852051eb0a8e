"""The drift of a sample is found on its localizations, while they come and afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from scipy.ndimage import median_filter

from rtsmlm.analysis.drift import DriftTracker
from rtsmlm.analysis.drift_motion import smoothed
from rtsmlm.analysis.drift_refine import drift_of, refined
from rtsmlm.analysis.drift_trace import DriftTrace, as_localized, without_drift
from rtsmlm.bench.accuracy.drift_scene import (
    N_FRAMES,
    SIDE_NM,
    Scene,
    blinking,
    sine_and_slope,
    with_beads,
)
from rtsmlm.localizations import COLUMN_DTYPES, Localizations

LIVE_NM, FINAL_NM, FINAL_Z_NM = 5.0, 2.0, 10.0
"""Error of the drift, rms, in x and y while rows come, and in the end; and in z."""


def _live(scene: Scene) -> tuple[DriftTracker, np.ndarray]:
    """Return the tracker, and the drift that each row had taken off as it came."""
    tracker = DriftTracker(SIDE_NM)
    return tracker, np.concatenate([tracker.add(rows) for rows in scene.batches()])


@pytest.mark.parametrize("structure", ["filaments", "nuclear-pores"])
def test_sine_and_slope_of_300_nm_are_followed_live_and_known_in_the_end(
    rng: np.random.Generator, structure: str
) -> None:
    scene = blinking(rng, sine_and_slope(), structure)  # type: ignore[arg-type]

    tracker, live = _live(scene)
    final = refined(scene.rows, tracker.trace, SIDE_NM, tracker.fiducials)

    assert (scene.rms_nm(live)[:2] < LIVE_NM).all()
    error = scene.rms_nm(final.at(scene.rows.frame))
    assert (error[:2] < FINAL_NM).all()
    assert error[2] < FINAL_Z_NM
    assert np.allclose(final.at(scene.rows.frame[:1]), 0, atol=1e-6)


def test_a_real_trace_of_a_bead_is_followed(
    rng: np.random.Generator, data_dir: Callable[[str], Path]
) -> None:
    bead = scipy.io.loadmat(data_dir("bead_drift") / "bead.mat")
    # The bead was lost in a frame or two; the noise of its places is no drift.
    x, y = (median_filter(bead[k].ravel(), 51) for k in ("x", "y"))
    steps = np.arange(N_FRAMES) * (len(x) - 200) // N_FRAMES + 100
    real = np.column_stack([x[steps] - x[100], y[steps] - y[100], np.zeros(N_FRAMES)])
    scene = blinking(rng, real)

    tracker, live = _live(scene)
    final = refined(scene.rows, tracker.trace, SIDE_NM, tracker.fiducials)

    assert (scene.rms_nm(live)[:2] < LIVE_NM).all()
    assert (scene.rms_nm(final.at(scene.rows.frame))[:2] < FINAL_NM).all()


def test_without_depth_no_drift_in_z_is_stated(rng: np.random.Generator) -> None:
    scene = blinking(rng, sine_and_slope(4000), flat=True)

    trace = drift_of(scene.rows, SIDE_NM)

    assert not trace.drift_nm[:, 2].any()
    assert (scene.rms_nm(trace.at(scene.rows.frame))[:2] < FINAL_NM).all()


def test_a_jump_of_250_nm_is_found_again(rng: np.random.Generator) -> None:
    jump = np.zeros((N_FRAMES, 3))
    jump[N_FRAMES // 2 :] = [250.0, -200.0, 0.0]
    scene = blinking(rng, jump)

    trace = drift_of(scene.rows, SIDE_NM)
    before, after = trace.at(np.array([N_FRAMES // 2 - 1000, N_FRAMES // 2 + 1000]))

    assert np.abs(after - before - [250, -200, 0]).max() < 5


def test_rows_that_repeat_no_structure_are_left_alone(rng: np.random.Generator) -> None:
    n = 40_000
    x, y = rng.uniform(0, SIDE_NM, (2, n))
    frame = np.sort(rng.integers(0, 10_000, n))
    rows = Localizations.from_columns({"frame": frame, "x_nm": x, "y_nm": y})
    scene = Scene(rows, np.zeros((10_000, 3)), np.arange(n))

    _, live = _live(scene)

    assert np.abs(live).max() < 20
    assert len(drift_of(rows, SIDE_NM).frame) == 1


def test_beads_are_found_and_state_the_drift_where_emitters_say_nothing(
    rng: np.random.Generator,
) -> None:
    unrelated = blinking(rng, sine_and_slope(4000), "uniform", per_frame=2.0, on_frames=1.01)
    places = np.array([[1000.0, 1500.0, 50.0], [5000.0, 4000.0, -80.0], [2500.0, 5200.0, 0.0]])
    scene = with_beads(rng, unrelated, places, std_nm=4.0)

    tracker, _ = _live(scene)

    assert len(tracker.fiducials) == 3
    final = refined(scene.rows, tracker.trace, SIDE_NM, tracker.fiducials)
    assert (scene.rms_nm(final.at(scene.rows.frame)) < 1.0).all()


def test_a_bead_that_comes_loose_does_not_take_the_image_along(rng: np.random.Generator) -> None:
    still = blinking(rng, np.zeros((6000, 3)))
    places = np.array([[1000.0, 1500.0, 0.0], [5000.0, 4000.0, 0.0], [2500.0, 5200.0, 0.0]])
    scene = with_beads(rng, still, places, std_nm=4.0)
    x = scene.rows.x_nm.copy()
    loose = (scene.event == -1) & (scene.rows.y_nm < 2000) & (np.abs(x - 1000) < 100)
    x[loose] += np.maximum(scene.rows.frame[loose] - 2000, 0) * np.float32(0.01)
    moved = Localizations.from_columns({**scene.rows.columns(), "x_nm": x})
    scene = Scene(moved, scene.drift_nm, scene.event)

    assert (scene.rms_nm(drift_of(moved, SIDE_NM).at(moved.frame))[:2] < FINAL_NM).all()


def test_drift_is_taken_off_and_put_back_bit_by_bit(rng: np.random.Generator) -> None:
    rows = blinking(rng, sine_and_slope(500)).rows
    trace = DriftTrace(np.array([0.0, 499.0]), np.array([[0, 0, 0], [100.3, -50.7, 20.1]]))

    corrected = without_drift(rows, trace.at(rows.frame))
    again = without_drift(corrected, 2 * trace.at(rows.frame))

    assert np.abs(corrected.x_nm + trace.at(rows.frame)[:, 0] - rows.x_nm).max() < 1e-2
    for back in (as_localized(corrected), as_localized(again)):
        assert all(
            np.array_equal(getattr(back, name), getattr(rows, name), equal_nan=True)
            for name in COLUMN_DTYPES
        )
        assert not back.extras


def test_a_smoothed_movement_is_nearer_to_the_truth_than_what_was_measured(
    rng: np.random.Generator,
) -> None:
    frame = np.arange(200) * 100.0 + 50
    truth = 300 * np.sin(frame / 20_000 * 2 * np.pi)
    variance = np.full(200, 4.0)
    variance[60:65] = np.inf
    measured = truth + rng.normal(0, 2, 200)

    found = smoothed(frame, measured, variance, frame)

    assert np.sqrt(((found - truth) ** 2).mean()) < 1.0  # half of what was measured
