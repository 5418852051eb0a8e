"""A host program keeps its live preview while a run of ours takes the frames."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pymmcore_plus.experimental.unicore import UniMMCore

import rtsmlm
from rtsmlm.drivers.simulated.frame_code import decode_index
from rtsmlm.session.session import Session
from rtsmlm.settings.load import packaged

FRAMES = 40
"""That a run takes while a preview looks on."""


def wait_until_frames_come(core: UniMMCore) -> None:
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s:
        try:
            core.getLastImage()
        except (IndexError, RuntimeError):
            time.sleep(0.01)
        else:
            return
    raise TimeoutError("no frame has come")


def looks_of(core: UniMMCore, session: Session) -> list[np.ndarray]:
    """What a preview gets that asks for the newest image while the run takes 40 frames more.

    Frames that a running camera had waiting are taken in one go, so that 40 may pass between two
    exposures: the preview looks on until it has seen another image than its first.
    """
    seen = [core.getLastImage()]
    enough = session.status().totals.received + FRAMES
    end_s = time.monotonic() + 60
    while session.status().totals.received < enough or np.array_equal(seen[0], seen[-1]):
        assert time.monotonic() < end_s, "the preview stands still"
        assert not session.wait(0.004), "the run has ended"
        seen.append(core.getLastImage())
    return seen


def overrides(tmp_path: Path, *more: str) -> tuple[str, ...]:
    return (
        f"results.out={tmp_path.as_posix()}", "results.name=run", "psf.sigma_nm=130",
        "localizer.name=gaussian-mle", "stream.enabled=false", "pipeline.process=false", *more,
    )  # fmt: skip


@pytest.fixture
def simulated() -> Iterator[UniMMCore]:
    core = UniMMCore()
    core.loadSystemConfiguration(str(packaged("sim_microscope.cfg")))
    for name, value in {"Width": 64, "Height": 64, "EncodeFrameIndex": 1}.items():
        core.setProperty("Camera", name, value)
    core.setExposure(5)
    yield core
    if core.isSequenceRunning():
        core.stopSequenceAcquisition()
    core.unloadAllDevices()


@pytest.fixture
def demo() -> Iterator[UniMMCore]:
    adapters = pytest.importorskip("mm_test_adapters", reason="needs mm-test-adapters")
    core = UniMMCore(adapter_paths=[adapters.device_adapter_path()])
    core.loadSystemConfiguration(str(packaged("mm_demo.cfg")))
    core.setProperty("Camera", "PixelType", "16bit")
    core.setROI(0, 0, 64, 64)
    core.setExposure(5)
    yield core
    if core.isSequenceRunning():
        core.stopSequenceAcquisition()
    core.unloadAllDevices()


@pytest.mark.parametrize("which", ["simulated", "demo"])
@pytest.mark.parametrize("host_runs_it", [False, True])
def test_the_newest_image_can_always_be_had_and_no_frame_is_lost_by_it(
    which: str, host_runs_it: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    core: UniMMCore = request.getfixturevalue(which)
    if host_runs_it:
        core.startSequenceAcquisition(100_000, 0, True)
    live: list[str] = []
    core.events.continuousSequenceAcquisitionStarted.connect(lambda: live.append("on"))
    core.events.sequenceAcquisitionStopped.connect(lambda _camera: live.append("off"))
    session = rtsmlm.attach(core, overrides=overrides(tmp_path))
    try:
        wait_until_frames_come(core)
        seen = looks_of(core, session)
    finally:
        session.stop()
        report = session.close()

    assert report.ok, report.failures
    assert live == ([] if host_runs_it else ["on", "off"]), "previews begin and end with the run"
    assert {image.shape for image in seen} == {(64, 64)}
    totals = report.totals
    assert totals is not None
    assert totals.received == totals.localized + totals.skipped > 0
    assert totals.recorded == totals.received
    assert totals.lost == 0
    if which == "simulated":
        numbers = [decode_index(image) for image in seen]
        assert numbers == sorted(numbers)
        assert numbers[-1] > numbers[0], "the preview moves on"
