"""`rtsmlm drift` takes the drift off a run or a table, says what it was, and can put it back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.analysis.drift_trace import RAW_COLUMNS
from rtsmlm.bench.accuracy.drift_scene import SIDE_NM, Scene, blinking, sine_and_slope
from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.files.run.drift_file import read_drift, write_drift
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, read_arrow_table
from rtsmlm.files.tables.export import export
from rtsmlm.files.tables.read import Table, read_table
from rtsmlm.offline.drift import measure_drift
from rtsmlm.offline.drift_of_run import correct_foreign_table, correct_run, restore_run
from rtsmlm.settings.run import RunSettings

N_FRAMES = 3000
MOST_NM = 3.0
METADATA = {"shape": [64, 64], "pixel_nm": SIDE_NM / 64, "n_frames": N_FRAMES + 10}


@pytest.fixture(scope="module")
def scene() -> Scene:
    return blinking(np.random.default_rng(0), sine_and_slope(N_FRAMES, 100.0))


def _run(folder: Path, scene: Scene) -> Path:
    run = RunFolder.create(folder, "run")
    run.write_settings(RunSettings(), {})
    with ArrowStreamFile(run.localizations, METADATA) as file:
        for rows in scene.batches(200):
            file.put(rows)
    run.release()
    return run.path


def _no_step(_: str) -> None:
    return None


def test_the_table_of_a_run_is_corrected_and_put_back_bit_by_bit(
    tmp_path: Path, scene: Scene
) -> None:
    run = _run(tmp_path, scene)
    table = RunFolder(run).localizations
    before = table.read_bytes()

    correct_run(run, _no_step)
    corrected, metadata = read_arrow_table(table)
    taken_off = np.column_stack(
        [
            corrected.extras[raw] - getattr(corrected, now)
            for raw, now in zip(RAW_COLUMNS, ("x_nm", "y_nm", "z_nm"), strict=True)
        ]
    )

    assert (scene.rms_nm(taken_off) < MOST_NM).all()
    assert np.array_equal(corrected.extras["raw_x_nm"], scene.rows.x_nm)
    assert metadata["extra_columns"]["raw_x_nm"] == "nm"
    frame, drift = read_drift(run / "drift.csv")
    stated = np.interp(corrected.frame, frame, drift[:, 0])
    assert np.abs(stated - taken_off[:, 0]).max() < 0.02
    assert (run / "image.png").exists()
    stated = json.loads((run / "statistics.json").read_text())["drift"]
    assert stated["range_x_nm"] == pytest.approx(np.ptp(scene.drift_nm[:, 0]), abs=5)

    restore_run(run, _no_step)
    assert table.read_bytes() == before
    assert not (run / "drift.csv").exists()
    assert "drift" not in json.loads((run / "statistics.json").read_text())


def test_correcting_twice_is_as_good_as_once(tmp_path: Path, scene: Scene) -> None:
    run = _run(tmp_path, scene)

    correct_run(run, _no_step)
    once = read_table(run).localizations
    correct_run(run, _no_step)
    twice = read_table(run).localizations

    assert np.array_equal(once.x_nm, twice.x_nm)
    assert np.array_equal(twice.extras["raw_x_nm"], scene.rows.x_nm)


def test_the_drift_file_of_picasso_has_a_line_for_each_frame_in_pixels(
    tmp_path: Path, scene: Scene
) -> None:
    export(Table(scene.rows, METADATA), ["picasso"], tmp_path)

    folder, _ = correct_foreign_table(tmp_path / "localizations.hdf5", [], None, _no_step)
    lines = np.loadtxt(folder / "localizations_drift.txt", delimiter=" ")

    assert lines.shape[1] == 3
    assert len(lines) >= N_FRAMES
    off = lines[scene.rows.frame] * [SIDE_NM / 64, SIDE_NM / 64, 1.0]
    assert (scene.rms_nm(off) < MOST_NM).all()
    corrected = read_table(folder / "localizations.hdf5").localizations
    truth = scene.rows.x_nm - scene.drift_nm[scene.rows.frame, 0]
    assert np.std(corrected.x_nm - truth) < MOST_NM


def test_a_table_too_short_for_a_drift_is_left_alone(tmp_path: Path, scene: Scene) -> None:
    run = _run(tmp_path, Scene(scene.rows.take(slice(0, 100)), scene.drift_nm, scene.event))
    before = (run / "localizations.arrows").read_bytes()

    notes = correct_run(run, _no_step)

    assert "not known" in notes.warnings[0]
    assert (run / "localizations.arrows").read_bytes() == before


def test_a_folder_without_a_run_is_refused_with_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give the folder of one"):
        correct_run(tmp_path, _no_step)


def test_a_torn_last_line_of_the_drift_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "drift.csv"
    write_drift(path, np.array([0.0, 100.0]), np.array([[0, 0, 0], [1.5, -2, 3]]))
    with path.open("a") as file:
        file.write("200,1.")

    frame, drift = read_drift(path)

    assert frame.tolist() == [0, 100]
    assert drift[1].tolist() == [1.5, -2, 3]


@pytest.mark.parametrize("text", ["", "a,b\n", "frame,dx_nm,dy_nm,dz_nm\n5,0,0,0\n3,0,0,0\n"])
def test_another_file_is_no_drift(tmp_path: Path, text: str) -> None:
    path = tmp_path / "drift.csv"
    path.write_text(text)

    with pytest.raises(FileFormatError):
        read_drift(path)


def test_of_a_long_table_every_second_frame_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, scene: Scene
) -> None:
    monkeypatch.setattr("rtsmlm.offline.drift._MOST_ROWS", len(scene.rows) // 2 + 1)

    measured = measure_drift(lambda: scene.batches(200))

    assert measured.n_frames == scene.rows.frame[-1] + 1
    assert (scene.rms_nm(measured.trace.at(scene.rows.frame))[:2] < MOST_NM).all()
