"""The tracker of a run states nothing before it knows something, and goes on after a crash."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.analysis.drift import BLOCK_FRAMES, FIRST_ROWS, DriftTracker, bins_of
from rtsmlm.analysis.drift_trace import DriftTrace
from rtsmlm.bench.accuracy.drift_scene import SIDE_NM, Scene, blinking, sine_and_slope
from rtsmlm.localizations import Localizations

N_FRAMES = 3000


@pytest.fixture(scope="module")
def scene() -> Scene:
    return blinking(np.random.default_rng(0), sine_and_slope(N_FRAMES, 40.0))


def _rows(**columns: list[float]) -> Localizations:
    n = len(columns["frame"])
    whole = {"x_nm": [0.0] * n, "y_nm": [0.0] * n, **columns}
    return Localizations.from_columns({k: np.array(v) for k, v in whole.items()})


def test_before_the_first_block_is_whole_no_drift_is_stated(scene: Scene) -> None:
    tracker = DriftTracker(SIDE_NM)

    drift = tracker.add(scene.rows.take(slice(0, FIRST_ROWS // 2)))

    assert not drift.any()
    assert tracker.n_knots == tracker.n_blocks == 0
    assert tracker.trace.at(np.array([5.0])).tolist() == [[0, 0, 0]]
    assert not tracker.at(np.array([0, 100])).any()


def test_no_rows_are_taken_without_a_complaint() -> None:
    tracker = DriftTracker(SIDE_NM)

    assert tracker.add(Localizations.empty()).shape == (0, 3)


def test_few_rows_a_frame_make_a_block_after_200_frames(rng: np.random.Generator) -> None:
    sparse = blinking(rng, np.zeros((4000, 3)), per_frame=0.6)
    tracker = DriftTracker(SIDE_NM)

    for rows in sparse.batches(20):
        tracker.add(rows)

    gaps = np.diff(tracker.trace.frame)
    assert len(gaps) > 5
    assert gaps.max() < 2 * BLOCK_FRAMES[1]


def test_rows_that_are_no_places_do_not_count(scene: Scene) -> None:
    x = scene.rows.x_nm.copy()
    x[::50] = np.nan
    broken = Localizations.from_columns({**scene.rows.columns(), "x_nm": x})
    tracker = DriftTracker(SIDE_NM)

    for rows in Scene(broken, scene.drift_nm, scene.event).batches():
        tracker.add(rows)

    assert np.isfinite(tracker.trace.drift_nm).all()
    assert (scene.rms_nm(tracker.trace.at(scene.rows.frame))[:2] < 6).all()


def test_a_tracker_that_goes_on_states_all_knots_and_compares_with_what_was_there(
    scene: Scene,
) -> None:
    half = scene.rows.frame < N_FRAMES // 2
    known = DriftTrace(np.arange(0.0, N_FRAMES // 2, 50), scene.drift_nm[: N_FRAMES // 2 : 50])
    tracker = DriftTracker(SIDE_NM)

    tracker.resume([scene.rows.take(half)], known)
    assert tracker.n_knots == len(known.frame)
    later = Scene(scene.rows.take(~half), scene.drift_nm, scene.event[~half])
    off = np.concatenate([tracker.add(rows) for rows in later.batches() if len(rows)])

    # Against the truth itself: the reference is that of the first half.
    error = off - scene.drift_nm[later.rows.frame]
    assert np.abs(error.mean(axis=0))[:2].max() < 4
    assert (later.rms_nm(off)[:2] < 6).all()


def test_bins_follow_the_precision_within_bounds() -> None:
    def bins(std_nm: float, std_z_nm: float = np.nan) -> tuple[float, float | None]:
        return bins_of(_rows(frame=[0, 0], std_x_nm=[std_nm] * 2, std_y_nm=[std_nm] * 2,
                             std_z_nm=[std_z_nm] * 2))  # fmt: skip

    assert bins(8.0) == (8.0, None)
    assert bins(1.0) == (5.0, None)
    assert bins(40.0, 30.0) == (15.0, 30.0)
    assert bins(np.nan, 500.0) == (10.0, 40.0)


def test_drift_stands_still_before_and_after_what_is_known() -> None:
    trace = DriftTrace(np.array([10.0, 20.0]), np.array([[0, 0, 0], [10, 20, 30.0]]))

    assert trace.at(np.array([0, 15, 99])).tolist() == [[0, 0, 0], [5, 10, 15], [10, 20, 30]]
    assert trace.from_zero(20).at(np.array([10])).tolist() == [[-10, -20, -30]]
