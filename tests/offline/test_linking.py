"""`rtsmlm link` writes a linked table beside that of all rows, and says how emitters blink."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.bench.accuracy.drift_scene import Scene, blinking
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.files.tables.export import export
from rtsmlm.files.tables.read import Table, read_table
from rtsmlm.offline.drift import correct_table, measure_drift
from rtsmlm.offline.finish_table import finish_table
from rtsmlm.offline.linking_of_run import link_foreign_table, link_run
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings

METADATA = {"shape": [64, 64], "pixel_nm": 100.0}


@pytest.fixture
def scene(rng: np.random.Generator) -> Scene:
    return blinking(rng, np.zeros((2000, 3)), on_frames=3.0)


def _run(folder: Path, scene: Scene, *, reverse: bool = False) -> Path:
    run = RunFolder.create(folder, "run")
    run.write_settings(RunSettings(), {})
    with ArrowStreamFile(run.localizations, METADATA) as file:
        batches = list(scene.batches(100))
        for rows in reversed(batches) if reverse else batches:
            file.put(rows)
    run.release()
    return run.path


def _no_step(_: str) -> None:
    return None


def test_the_linked_table_lies_beside_all_rows_which_stay(tmp_path: Path, scene: Scene) -> None:
    run = _run(tmp_path, scene)
    before = (run / "localizations.arrows").read_bytes()

    notes = link_run(run, 1, _no_step)

    linked = read_table(run / "linked.arrows")
    n_events = len(np.unique(scene.event))
    assert (run / "localizations.arrows").read_bytes() == before
    assert len(linked.localizations) == pytest.approx(n_events, rel=0.05)
    assert np.isclose(linked.localizations.photons.sum(), scene.rows.photons.sum())
    assert linked.metadata["extra_columns"] == {"n_rows": "1", "on_frames": "frames"}
    stated = json.loads((run / "statistics.json").read_text())["linking"]
    assert stated["emitters"] == len(linked.localizations)
    assert f"{stated['emitters']} emitters" in notes.verdict


def test_rows_that_were_caught_up_out_of_order_are_linked_all_the_same(
    tmp_path: Path, scene: Scene
) -> None:
    forward, backward = _run(tmp_path / "a", scene), _run(tmp_path / "b", scene, reverse=True)

    for run in (forward, backward):
        link_run(run, 1, _no_step)

    counts = [len(read_table(run / "linked.arrows").localizations) for run in (forward, backward)]
    assert counts[0] == counts[1]


def test_linked_rows_keep_their_places_as_localized(tmp_path: Path, scene: Scene) -> None:
    run = _run(tmp_path, scene)
    table = RunFolder(run).localizations
    correct_table(table, measure_drift(lambda: scene.batches(100)))

    finish_table(table, load(None, ["linking.write=true"]), _no_step)

    linked = read_table(run / "linked.arrows").localizations
    all_rows = read_table(run).localizations
    moved = np.abs(linked.extras["raw_x_nm"] - linked.x_nm)
    assert moved.max() <= np.abs(all_rows.extras["raw_x_nm"] - all_rows.x_nm).max() + 0.01


def test_a_table_of_another_program_is_linked_in_its_own_format(
    tmp_path: Path, scene: Scene
) -> None:
    export(Table(scene.rows, METADATA), ["csv"], tmp_path)

    folder, _ = link_foreign_table(tmp_path / "localizations.csv", [], None, 1, _no_step)

    linked = read_table(folder / "localizations.csv").localizations
    assert len(linked) == pytest.approx(len(np.unique(scene.event)), rel=0.05)
