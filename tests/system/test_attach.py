"""Plug-in use: somebody else's core, camera and sequence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pymmcore_plus.experimental.unicore import UniMMCore

import rtsmlm
from rtsmlm.drivers.simulated.frame_code import decode_index
from rtsmlm.files.movies.open import open_movie
from rtsmlm.settings.camera import MovieSettings
from rtsmlm.settings.load import packaged


@pytest.fixture
def host_core() -> Iterator[UniMMCore]:
    """The core of a host program: the simulated microscope, frames that carry their number."""
    core = UniMMCore()
    core.loadSystemConfiguration(str(packaged("sim_microscope.cfg")))
    core.setProperty("Camera", "Width", 64)
    core.setProperty("Camera", "Height", 64)
    core.setProperty("Camera", "EncodeFrameIndex", 1)
    core.setExposure(5)
    yield core
    if core.isSequenceRunning():
        core.stopSequenceAcquisition()
    core.unloadAllDevices()


def settings(tmp_path: Path, *more: str) -> tuple[str, ...]:
    return (
        f"results.out={tmp_path.as_posix()}", "results.name=run", "psf.sigma_nm=130",
        "stream.enabled=false", *more,
    )  # fmt: skip


def test_a_host_program_gets_its_frames_localized_and_every_frame_knows_itself(
    host_core: UniMMCore, tmp_path: Path
) -> None:
    session = rtsmlm.attach(host_core, overrides=settings(tmp_path, "acquisition.frames=120"))
    assert session.wait(60)
    report = session.close()

    assert report.ok, report.failures
    assert report.totals is not None
    assert (report.totals.localized, report.totals.lost) == (120, 0)
    with open_movie(report.folder, MovieSettings()) as movie:
        pixels = movie.read(np.arange(120))
        assert movie.frame_index is not None
        assert [decode_index(frame) for frame in pixels] == movie.frame_index.tolist()
        assert movie.frame_index.tolist() == list(range(120))
    assert not host_core.isSequenceRunning()
    assert "Camera" in host_core.getLoadedDevices(), "the host's devices are not ours to unload"


def test_a_sequence_that_the_host_has_started_is_joined_and_left_running(
    host_core: UniMMCore, tmp_path: Path
) -> None:
    host_core.startSequenceAcquisition(100_000, 0, True)

    session = rtsmlm.attach(host_core, overrides=settings(tmp_path, "acquisition.frames=60"))
    assert session.wait(60)
    report = session.close()

    assert report.ok, report.failures
    assert report.totals is not None
    assert report.totals.localized == 60
    assert host_core.isSequenceRunning()


def test_frames_that_the_camera_drops_are_booked_as_lost(
    host_core: UniMMCore, tmp_path: Path
) -> None:
    host_core.setProperty("Camera", "FaultDropEvery", 10)

    session = rtsmlm.attach(host_core, overrides=settings(tmp_path, "acquisition.frames=50"))
    assert session.wait(60)
    report = session.close()

    assert report.totals is not None
    assert report.totals.lost > 0
    assert report.totals.camera == report.totals.received + report.totals.lost
    assert f"{report.totals.lost} lost" in report.verdict


def test_a_camera_that_stops_yielding_ends_the_run_with_a_sentence(
    host_core: UniMMCore, tmp_path: Path
) -> None:
    host_core.setProperty("Camera", "FaultStallAfter", 40)

    session = rtsmlm.attach(
        host_core, overrides=settings(tmp_path, "acquisition.stall_timeout_s=0.5")
    )
    assert session.wait(60)
    report = session.close()
    host_core.setProperty("Camera", "FaultStallAfter", 0)

    assert not report.ok
    assert "no frame" in report.failures[0]
    assert report.totals is not None
    assert (report.totals.received, report.totals.recorded, report.totals.localized) == (40,) * 3
