"""A network in a whole session: the same rows live, offline, caught up, and after a crash."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.report import RunReport
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.localizations import Localizations
from rtsmlm.offline.reconstruct import Reconstruction
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings

Make = Callable[..., RunSettings]
FLAGSHIP = "localizer.name=flagship-2d"


def table_of(report: RunReport) -> Localizations:
    return read_arrow_table(report.folder / "localizations.arrows")[0]


def assert_same(a: Localizations, b: Localizations) -> None:
    assert len(a) == len(b) > 0
    for name, column in a.columns().items():
        assert np.array_equal(column, b.columns()[name], equal_nan=True), name


def run(camera: Any, settings: RunSettings) -> RunReport:
    session = Session(camera, settings)
    try:
        session.start()
        assert session.wait(60)
    finally:
        report = session.close()
    assert report.ok, report.failures
    return report


def test_the_reconstruction_of_a_live_run_has_the_same_rows(
    spot_camera: Callable[..., Any], quick_settings: Make
) -> None:
    settings = quick_settings("acquisition.frames=90", FLAGSHIP)

    report = run(spot_camera(), settings)

    folder = RunFolder.create(report.folder.parent, "again")
    with Reconstruction([report.folder / "raw.ome.zarr"], settings, lambda: folder) as work:
        work.run(lambda done, found: None, lambda step: None)
    live = table_of(report)
    assert np.unique(live.frame).tolist() == list(range(90))
    assert_same(live, read_arrow_table(folder.localizations)[0])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_analysis_leaves_no_trace_in_the_rows(
    spot_camera: Callable[..., Any], quick_settings: Make
) -> None:
    overrides = ["acquisition.frames=200", "pipeline.process=true", FLAGSHIP]
    expected = run(spot_camera(), quick_settings(*overrides, "results.name=undisturbed"))
    session = Session(spot_camera(period_s=0.02), quick_settings(*overrides))
    try:
        session.start()
        while session.status().totals.localized < 40:
            assert not session.wait(0.02)
        assert session.analysis_pid is not None
        os.kill(session.analysis_pid, signal.SIGKILL)
        assert session.wait(60)
    finally:
        report = session.close()

    assert report.ok, report.failures
    assert any("restarted" in text for text in report.warnings)
    assert_same(table_of(report), table_of(expected))
