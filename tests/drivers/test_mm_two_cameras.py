"""Two cameras that Micro-Manager's own Multi Camera joins, in both kinds of core."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import numpy as np
import pytest
from pymmcore_plus import CMMCorePlus
from pymmcore_plus.experimental.unicore import UniMMCore

from rtsmlm.drivers.micromanager.camera import MicroManagerCamera
from rtsmlm.drivers.micromanager.core import release_core
from rtsmlm.errors import CameraOverflowError, CameraStalledError, ConfigError, DeviceError
from rtsmlm.settings.camera import AcquisitionSettings, MicroManagerSettings
from rtsmlm.settings.load import from_mapping

SIDE = 128
DARK = "Artificial Waves"
"""Mode of the demo camera in which all pixels lie above 0."""


@pytest.fixture(params=[CMMCorePlus, UniMMCore])
def core(request: pytest.FixtureRequest) -> Iterator[CMMCorePlus]:
    adapters = pytest.importorskip("mm_test_adapters").device_adapter_path()
    core = request.param(adapter_paths=[adapters])
    for label, library, name in (
        ("Left", "DemoCamera", "DCam"),
        ("Right", "DemoCamera", "DCam"),
        ("Both", "Utilities", "Multi Camera"),
    ):
        core.loadDevice(label, library, name)
    core.initializeAllDevices()
    for k, label in enumerate(("Left", "Right"), start=1):
        core.setProperty("Both", f"Physical Camera {k}", label)
        core.setProperty(label, "PixelType", "16bit")
    core.setProperty("Left", "Mode", "Fluorescent Beads")
    core.setProperty("Right", "Mode", DARK)
    core.setCameraDevice("Both")
    for label in ("Left", "Right"):
        core.setROI(label, 0, 0, SIDE, SIDE)
    core.setExposure(10.0)
    yield core
    if core.isSequenceRunning("Both"):
        core.stopSequenceAcquisition("Both")
    release_core(core)


def opened(core: CMMCorePlus, stall_timeout_s: float = 10.0, **settings: Any) -> MicroManagerCamera:
    acquisition = {
        "stall_timeout_s": stall_timeout_s,
        "exposure_ms": settings.pop("exposure_ms", None),
    }
    return MicroManagerCamera(
        core,
        settings=MicroManagerSettings(**{"circular_buffer_mb": 64, **settings}),
        acquisition=AcquisitionSettings(**acquisition),
    )


def wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def brightness(pixels: np.ndarray) -> list[float]:
    """Return the median of the left and of the right half: beads lie on black."""
    return [float(np.median(half)) for half in np.split(pixels, 2, axis=1)]


def test_frames_of_both_cameras_lie_side_by_side_in_order(core: CMMCorePlus) -> None:
    camera = opened(core)

    frames = [(f.index, *brightness(f.pixels), f.pixels.shape) for f in camera.stream(Event(), 30)]

    assert [index for index, *_ in frames] == list(range(30))
    assert camera.shape == (SIDE, 2 * SIDE)
    for _, left, right, shape in frames:
        assert shape == camera.shape
        assert left == 0.0
        assert right > 0.0
    assert not core.isSequenceRunning("Both")


def test_the_settings_say_which_camera_is_on_the_left(core: CMMCorePlus) -> None:
    camera = opened(core, cameras=("Right", "Left"))

    left, right = brightness(next(iter(camera.stream(Event(), 1))).pixels)

    assert (left > 0.0, right) == (True, 0.0)
    assert camera.describe()["cameras, from left to right"] == "Right, Left"
    assert camera.describe()["Left.Mode"] == "Fluorescent Beads"


def test_one_of_the_cameras_can_still_be_taken_alone(core: CMMCorePlus) -> None:
    camera = opened(core, camera="Right")

    assert camera.name == "Micro-Manager Right"
    assert next(iter(camera.stream(Event(), 1))).pixels.shape == (SIDE, SIDE)


def test_eight_bit_frames_of_both_are_widened(core: CMMCorePlus) -> None:
    camera = opened(core, properties={"Left.PixelType": "8bit", "Right.PixelType": "8bit"})

    frame = next(iter(camera.stream(Event(), 1)))

    assert frame.pixels.dtype == np.uint16
    assert 0 < frame.pixels.max() <= 255


def test_exposure_and_region_are_set_on_both(core: CMMCorePlus) -> None:
    core.setExposure("Left", 3.0)

    camera = opened(core, exposure_ms=7.5, roi=(32, 64, 128, 96))

    assert [core.getExposure(label) for label in ("Left", "Right")] == [7.5, 7.5]
    assert camera.exposure_ms == 7.5
    assert camera.shape == (96, 256)
    assert next(iter(camera.stream(Event(), 1))).pixels.shape == (96, 256)


def test_each_camera_may_have_a_region_of_its_own(core: CMMCorePlus) -> None:
    opened(core, roi=(0, 0, 128, 96), rois={"Right": (200, 100, 128, 96)})

    assert list(core.getROI("Left")) == [0, 0, 128, 96]
    assert list(core.getROI("Right")) == [200, 100, 128, 96]


def test_the_longest_exposure_counts_where_they_differ_and_is_warned_of(
    core: CMMCorePlus, caplog: pytest.LogCaptureFixture
) -> None:
    core.setExposure("Left", 3.0)
    core.setExposure("Right", 9.0)

    assert opened(core).exposure_ms == 9.0
    assert "expose differently: Left 3 ms, Right 9 ms" in caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"rois": {"Left": (0, 0, 64, 32)}},
            r"different sizes: Left 64 x 32, Right 128 x 128 .*micromanager\.rois",
        ),
        ({"rois": {"Third": (0, 0, 64, 32)}}, r"rois names Third; .*are Left, Right"),
        ({"properties": {"Right.PixelType": "8bit"}}, r"pixels of different types; choose one"),
        ({"cameras": ("Left", "Other")}, r"names Left, Other, but camera Both .* of Left, Right"),
        ({"camera": "Left", "cameras": ("Left", "Right")}, r"Left gives frames of Left; .*Multi C"),
        (
            {
                "properties": {
                    "Both.Physical Camera 1": "Undefined",
                    "Both.Physical Camera 2": "Undefined",
                }
            },
            r"camera Both joins no camera; set its properties Physical Camera 1",
        ),
    ],
)
def test_cameras_that_do_not_fit_each_other_are_refused_with_what_to_do(
    core: CMMCorePlus, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeviceError, match=message):
        opened(core, **settings)


@pytest.mark.parametrize("cameras", [["Left"], ["Left", "Left"]])
def test_one_camera_or_one_named_twice_is_a_wrong_setting(cameras: list[str]) -> None:
    with pytest.raises(ConfigError, match="name two or more cameras, each once"):
        from_mapping({"micromanager": {"cameras": cameras}})


def test_stop_ends_both_and_still_yields_the_whole_frames_that_were_delivered(
    core: CMMCorePlus,
) -> None:
    camera, stop = opened(core, roi=(0, 0, 64, 64)), Event()
    index: list[int] = []

    for frame in camera.stream(stop):
        index.append(frame.index)
        if len(index) == 3:
            wait_for(lambda: core.getRemainingImageCount() >= 12)
            stop.set()

    assert index == list(range(len(index)))
    assert len(index) >= 5
    for label in ("Both", "Left", "Right"):
        assert not core.isSequenceRunning(label)


def test_a_full_buffer_yields_whole_frames_in_order_and_then_the_error(core: CMMCorePlus) -> None:
    camera = opened(core, circular_buffer_mb=1)
    index: list[int] = []

    def take_all() -> None:
        for frame in camera.stream(Event()):
            index.append(frame.index)
            wait_for(lambda: not core.isSequenceRunning("Both"))

    with pytest.raises(CameraOverflowError, match=r"of camera Both was full after frame \d"):
        take_all()
    assert index == list(range(len(index)))


def test_a_sequence_of_a_host_is_drained_in_pairs_but_not_stopped(core: CMMCorePlus) -> None:
    core.startContinuousSequenceAcquisition(0)
    camera, stop = opened(core), Event()
    halves: list[list[float]] = []
    index: list[int] = []

    for frame in camera.stream(stop):
        index.append(frame.index)
        halves.append(brightness(frame.pixels))
        if len(index) == 10:
            stop.set()

    assert index[0] == 0
    assert np.all(np.diff(index) > 0)
    assert all(left == 0.0 < right for left, right in halves)
    assert core.isSequenceRunning("Both")


def test_a_camera_that_gives_no_frame_is_named_with_what_the_other_gave(core: CMMCorePlus) -> None:
    camera = opened(core, stall_timeout_s=0.5)
    core.setExposure("Right", 50.0)  # only to be slow to start
    stream = camera.stream(Event())
    first = next(stream)
    core.stopSequenceAcquisition("Right")

    with pytest.raises(CameraStalledError, match=r"Left gave frames 0 to \d+, Right gave"):
        for _ in stream:
            pass
    assert first.index == 0


def test_what_each_camera_states_is_kept_apart(core: CMMCorePlus) -> None:
    camera = opened(core, roi=(0, 0, 128, 96), rois={"Right": (200, 100, 128, 96)})

    stated = camera.stated

    assert [part.size for part in stated.parts] == [(128, 96), (128, 96)]
    assert [part.stated.region for part in stated.parts] == [(0, 0, 128, 96), (200, 100, 128, 96)]
    assert stated.region is None
