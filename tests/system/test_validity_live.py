"""A run whose PSF is set wrong says so while it runs, and in its folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from rtsmlm.files.run.folder import RunFolder
from rtsmlm.offline.reconstruct import Reconstruction
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings


def run(camera: Any, settings: RunSettings) -> Any:
    session = Session(camera, settings)
    try:
        session.start()
        assert session.wait(60)
    finally:
        report = session.close()
    assert report.ok, report.failures
    return report


def test_a_wrong_psf_is_told_live_and_in_the_reconstruction(
    spot_camera: Callable[..., Any], quick_settings: Callable[..., RunSettings]
) -> None:
    settings = quick_settings("acquisition.frames=600", "psf.sigma_nm=105")

    report = run(spot_camera(period_s=0.002), settings)
    folder = RunFolder.create(report.folder.parent, "again")
    with Reconstruction([report.folder / "raw.ome.zarr"], settings, lambda: folder) as work:
        work.run(lambda done, found: None, lambda step: None)

    offline = json.loads((folder.path / "validity.json").read_text())
    assert offline["width_ratio"] > 1.15
    assert any("calibrate psf" in note for note in work.notes)
    live = json.loads((report.folder / "validity.json").read_text())
    assert live["spots"] > 0
    assert "Does the model fit the data?" in (report.folder / "report.html").read_text()


def test_the_meter_can_be_left_out(
    spot_camera: Callable[..., Any], quick_settings: Callable[..., RunSettings]
) -> None:
    settings = quick_settings("acquisition.frames=60", "pipeline.validity=false")

    report = run(spot_camera(), settings)

    assert report.validity == {}
    assert not (report.folder / "validity.json").exists()
