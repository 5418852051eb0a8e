"""A run that takes the drift off: every row has both of its places, and the status the drift."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from rtsmlm.files.run.drift_file import read_drift
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings

N_FRAMES = 1500
WAIT_S = 120
STILL_NM = 3.0


def test_a_still_sample_stays_where_it_is_and_keeps_the_places_as_localized(
    spot_camera: Callable[..., Any], quick_settings: Callable[..., RunSettings]
) -> None:
    settings = quick_settings(
        "drift.correct=true", "linking.write=true", f"acquisition.frames={N_FRAMES}",
        "pipeline.when_behind=wait",
    )  # fmt: skip

    with Session(spot_camera(), settings) as session:
        assert session.wait(WAIT_S)
    report = session.report

    assert report.ok, report.failures
    table, metadata = read_arrow_table(report.folder / "localizations.arrows")
    assert {"raw_x_nm", "raw_y_nm", "raw_z_nm"} <= set(metadata["extra_columns"])
    assert np.unique(table.frame).tolist() == list(range(N_FRAMES))
    assert np.abs(table.x_nm - table.extras["raw_x_nm"]).max() < STILL_NM
    assert np.isfinite(table.extras["raw_y_nm"]).all()
    frame, drift_nm = read_drift(report.folder / "drift.csv")
    assert frame[-1] == N_FRAMES - 1
    assert np.abs(drift_nm).max() < STILL_NM
    stated = json.loads((report.folder / "statistics.json").read_text())
    assert stated["drift"]["taken_off"] is True
    assert stated["linking"]["rows"] == len(table)
    assert (report.folder / "linked.arrows").exists()
    assert any("drift: within" in notice.text for notice in report.notices)


def test_without_the_setting_the_drift_is_measured_and_published_all_the_same(
    spot_camera: Callable[..., Any], quick_settings: Callable[..., RunSettings]
) -> None:
    settings = quick_settings(f"acquisition.frames={N_FRAMES}", "pipeline.when_behind=wait")

    with Session(spot_camera(), settings) as session:
        assert session.wait(WAIT_S)
    report, progress = session.report, session.message()

    _, metadata = read_arrow_table(report.folder / "localizations.arrows")
    assert "extra_columns" not in metadata
    assert len(read_drift(report.folder / "drift.csv")[0]) > 1
    assert set(progress["drift"]) == {"x_nm", "y_nm", "z_nm"}
    assert progress["blinking"]["rows"] > 0
