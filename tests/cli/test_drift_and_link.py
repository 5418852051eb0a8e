"""`rtsmlm drift` and `rtsmlm link` as they are typed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rtsmlm.bench.accuracy.drift_scene import Scene, blinking, sine_and_slope
from rtsmlm.cli import app
from rtsmlm.errors import ConfigError
from rtsmlm.files.tables.export import export
from rtsmlm.files.tables.read import Table, read_table


@pytest.fixture(scope="module")
def scene() -> Scene:
    return blinking(np.random.default_rng(0), sine_and_slope(2000, 80.0))


@pytest.fixture
def table(tmp_path: Path, scene: Scene) -> Path:
    export(Table(scene.rows, {"pixel_nm": 100.0, "shape": [64, 64]}), ["csv"], tmp_path)
    return tmp_path / "localizations.csv"


def test_a_table_is_corrected_into_a_folder_beside_it_which_is_printed(table: Path) -> None:
    done = CliRunner().invoke(app, ["drift", str(table)])

    assert done.exit_code == 0, done.output
    assert "drift: within" in done.output
    folder = table.with_name("localizations_drift")
    assert {path.name for path in folder.iterdir()} == {
        "drift.csv", "localizations.csv", "localizations-protocol.txt", "localizations_drift.txt",
    }  # fmt: skip


def test_another_format_is_written_where_it_is_asked_for(table: Path) -> None:
    CliRunner().invoke(app, ["drift", str(table), "--export", "parquet"])
    done = CliRunner().invoke(app, ["link", str(table), "--gap", "2", "--export", "picasso"])

    assert "emitters" in done.output
    assert (table.parent / "localizations_drift" / "localizations.parquet").exists()
    linked = read_table(table.parent / "localizations_linked" / "localizations.hdf5")
    assert linked.metadata["linked_gap_frames"] == 2


def test_a_folder_without_a_run_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    for command in (["drift"], ["drift", "--undo"], ["link"]):
        done = CliRunner().invoke(app, [command[0], str(tmp_path), *command[1:]])

        assert isinstance(done.exception, ConfigError)
        assert "give the folder of one" in str(done.exception)
