"""A live run says what it assumes, what its first frames contradict, and what is saturated."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rtsmlm.calibration import StatedCalibration
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings


def run(camera: Any, settings: RunSettings) -> tuple[list[str], dict[str, Any], str, Any]:
    """Return warnings, run.toml, the page and the last status of a run."""
    session = Session(camera, settings)
    try:
        session.start()
        assert session.wait(60)
    finally:
        report = session.close()
    noted = tomllib.loads((Path(report.folder) / "run.toml").read_text())
    page = (Path(report.folder) / "report.html").read_text()
    return report.warnings, noted["run"], page, session.message()


def test_saturated_pixels_of_a_run_are_in_its_status_its_warnings_and_its_files(
    spot_camera: Callable[..., Any], quick_settings: Callable[..., RunSettings]
) -> None:
    camera = spot_camera(fault_at=0, fault=lambda pixels: np.minimum(pixels, 200))
    n_full = sum(int(np.count_nonzero(camera.pixels(k) >= 200)) for k in range(60))

    warnings, noted, page, status = run(camera, quick_settings("acquisition.frames=60"))

    said = f"{n_full} pixels are saturated (at 200 ADU)"
    assert status["saturated_pixels"] == noted["pixels"]["saturated_pixels"] == n_full
    assert any(said in text for text in warnings)
    assert said in page


def test_what_nothing_states_is_said_and_compared_with_the_first_frames(
    spot_camera: Callable[..., Any], quick_settings: Callable[..., RunSettings]
) -> None:
    camera = spot_camera(fault_at=0, fault=lambda pixels: pixels - 80)
    camera.stated = StatedCalibration(e_per_adu=1.0)

    warnings, noted, page, _ = run(camera, quick_settings("acquisition.frames=20"))

    for said in (
        "not specified; assumed: pixel of 100 nm (camera.pixel_nm); dark value of 100 ADU",
        "of the pixels lie below the dark value of 100 ADU that was assumed",
    ):
        assert sum(said in text for text in warnings) == 1
        assert any(said in text for text in noted["warnings"])
        assert said in page
