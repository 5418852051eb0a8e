"""Drift and blinking are known while rows come, and go on after an analysis that was killed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.bench.accuracy.drift_scene import SIDE_NM, Scene, blinking, sine_and_slope
from rtsmlm.files.run.drift_file import read_drift
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, read_arrow_table
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.offline.drift import with_raw_columns
from rtsmlm.physics.psf import GaussianPsf
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.live_rows import LiveRows
from rtsmlm.settings.load import load

N_FRAMES, CUT = 8000, 5000
LIVE_NM, ON_TIME_ERROR = 5.0, 0.15


@pytest.fixture(scope="module")
def scene() -> Scene:
    return blinking(np.random.default_rng(0), sine_and_slope(N_FRAMES, 60.0))


def _rows(folder: Path, warnings: list[str] | None = None, *, correct: bool = True) -> LiveRows:
    settings = load(None, [f"drift.correct={str(correct).lower()}"])
    job = PipelineJob(ring="", folder=folder, settings=settings, run_id="1")
    return LiveRows(job, (64, 64), SIDE_NM / 64, ([] if warnings is None else warnings).append)


def _feed(live: LiveRows, file: ArrowStreamFile, scene: Scene, start: int, stop: int) -> None:
    for rows in scene.batches():
        if len(rows) and start <= rows.frame[0] < stop:
            file.put(live.corrected(rows))
            live.learn(rows)


def _taken_off(table: Localizations) -> np.ndarray:
    now = np.column_stack([table.x_nm, table.y_nm, table.z_nm])
    return np.column_stack([table.extras[f"raw_{axis}_nm"] for axis in "xyz"]) - now


def test_rows_leave_without_their_drift_and_with_the_places_as_localized(
    tmp_path: Path, scene: Scene
) -> None:
    live, path = _rows(tmp_path), tmp_path / "localizations.arrows"

    with ArrowStreamFile(path, with_raw_columns({})) as file:
        _feed(live, file, scene, 0, N_FRAMES)
    live.finish()

    table, _ = read_arrow_table(path)
    assert np.array_equal(table.extras["raw_x_nm"], scene.rows.x_nm)
    assert (scene.rms_nm(_taken_off(table))[:2] < LIVE_NM).all()
    frame, drift_nm = read_drift(tmp_path / "drift.csv")
    assert frame[-1] > N_FRAMES - 300
    assert live.drift_nm["x_nm"] == pytest.approx(drift_nm[-1, 0], abs=0.01)
    # The scene is on for 2 frames on average, and each frame is the last with one half.
    assert live.blinking["on_time_frames"] == pytest.approx(1 / np.log(2), rel=ON_TIME_ERROR)


def test_after_an_analysis_that_was_killed_the_drift_goes_on_from_where_it_was(
    tmp_path: Path, scene: Scene
) -> None:
    path = tmp_path / "localizations.arrows"
    with ArrowStreamFile(path, with_raw_columns({})) as file:
        _feed(_rows(tmp_path), file, scene, 0, CUT)

    again = _rows(tmp_path)
    file = ArrowStreamFile.resume(path, CUT)
    again.resume()
    with file:
        _feed(again, file, scene, CUT, N_FRAMES)

    table, _ = read_arrow_table(path)
    assert len(table) == len(scene.rows)
    assert (scene.rms_nm(_taken_off(table))[:2] < LIVE_NM).all()
    frame, _ = read_drift(tmp_path / "drift.csv")
    assert (np.diff(frame) > 0).all()


def test_without_the_setting_rows_stay_as_they_are_and_the_drift_is_written_all_the_same(
    tmp_path: Path, scene: Scene
) -> None:
    live = _rows(tmp_path, correct=False)

    for rows in scene.batches():
        assert live.corrected(rows) is rows
        live.learn(rows)

    assert len(read_drift(tmp_path / "drift.csv")[0]) > 10


def test_a_fault_costs_the_figures_and_one_warning_and_no_row(tmp_path: Path, scene: Scene) -> None:
    warnings: list[str] = []
    live = _rows(tmp_path / "gone", warnings)  # no folder: drift.csv cannot be written

    rows = [live.corrected(batch) for batch in scene.batches() if live.learn(batch) is None]

    assert sum(map(len, rows)) == len(scene.rows)
    assert live.drift_nm == {}
    assert len(warnings) == 1
    assert "the drift is no longer measured" in warnings[0]


def test_without_localizations_the_image_states_the_drift_and_the_file_says_so(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    side, pixel_nm, n_blocks = 96, 100.0, 5
    job = PipelineJob(ring="", folder=tmp_path, settings=load(None, []), run_id="1")
    live = LiveRows(job, (side, side), pixel_nm, lambda text: None)
    x, y, light = *rng.uniform(-10, side + 10, (2, 300)), rng.exponential(60, 300)
    for k in range(n_blocks):
        still = np.full((side, side), 10.0, np.float32)
        GaussianPsf(2.2).render(still, x + 0.2 * k, y, 0 * x, light)
        for start in range(0, 200, 20):
            pixels = (100 + rng.poisson(still, (20, side, side))).astype(np.uint16)
            index = 200 * k + start + np.arange(20)
            t_ns = index + 1
            live.look(
                FrameBatch(pixels=pixels, index=index, t_exposure_end_ns=t_ns, t_ring_ns=t_ns,
                           activation_power=np.full(20, np.nan))
            )  # fmt: skip
    live.finish()

    lines = (tmp_path / "drift.csv").read_text().splitlines()
    assert lines[0] == "frame,dx_nm,dy_nm,dz_nm,source"
    assert [line.split(",")[-1] for line in lines[1:]] == ["image"] * n_blocks
    _, drift_nm = read_drift(tmp_path / "drift.csv")
    assert drift_nm[-1, 0] - drift_nm[0, 0] == pytest.approx(80, abs=15)
    assert live.drift_block.t_first_ns == 200 * (n_blocks - 1) + 1
    assert np.isnan(live.drift_block.z_nm)
    stated = json.loads((tmp_path / "statistics.json").read_text())["drift"]
    assert (stated["blocks_by_localizations"], stated["blocks_by_image"]) == (0, n_blocks)
    assert not stated["taken_off"]
