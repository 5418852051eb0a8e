"""Cameras of a Micro-Manager core, with the real C++ DemoCamera in both kinds of core."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from pymmcore_plus import CMMCorePlus
from pymmcore_plus.experimental.unicore import UniMMCore

from rtsmlm.drivers.micromanager.camera import MicroManagerCamera, open_camera
from rtsmlm.drivers.micromanager.core import release_core, stated_calibration
from rtsmlm.errors import (
    CameraOverflowError,
    ConfigError,
    DeviceError,
    RtsmlmError,
)
from rtsmlm.frames import CameraFrame
from rtsmlm.realtime.clock import now_ns
from rtsmlm.settings.camera import AcquisitionSettings, MicroManagerSettings
from rtsmlm.settings.load import from_mapping, load


@pytest.fixture(params=[CMMCorePlus, UniMMCore])
def demo_core(request: pytest.FixtureRequest) -> Iterator[CMMCorePlus]:
    adapters = pytest.importorskip("mm_test_adapters").device_adapter_path()
    core = request.param(adapter_paths=[adapters])
    core.loadDevice("Camera", "DemoCamera", "DCam")
    core.initializeDevice("Camera")
    core.setCameraDevice("Camera")
    core.setProperty("Camera", "PixelType", "16bit")
    core.setProperty("Camera", "Mode", "Fluorescent Beads")
    core.setExposure(1.0)
    yield core
    if core.isSequenceRunning("Camera"):
        core.stopSequenceAcquisition("Camera")
    release_core(core)


def opened(core: CMMCorePlus, stall_timeout_s: float = 10.0, **settings: Any) -> MicroManagerCamera:
    settings.setdefault("circular_buffer_mb", 16)
    return MicroManagerCamera(
        core,
        settings=MicroManagerSettings(**settings),
        acquisition=AcquisitionSettings(stall_timeout_s=stall_timeout_s),
    )


def run_out(
    stream: Iterator[CameraFrame], each: Callable[[CameraFrame], Any] = lambda _: None
) -> tuple[list[int], RtsmlmError | None]:
    """Return the numbers of all frames, and the error in which the stream ended."""
    index: list[int] = []
    try:
        for frame in stream:
            index.append(frame.index)
            each(frame)
    except RtsmlmError as error:
        return index, error
    return index, None


def wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_demo_camera_yields_frames_in_order_and_with_times_of_this_run(
    demo_core: CMMCorePlus,
) -> None:
    camera = opened(demo_core)
    start_ns = now_ns()

    frames = [(f.index, f.t_exposure_end_ns, now_ns()) for f in camera.stream(Event(), 60)]

    index, ended_ns, taken_ns = np.array(frames).T
    assert index.tolist() == list(range(60))
    assert ended_ns[0] > start_ns
    assert np.all(np.diff(ended_ns) >= 0)
    assert np.all(ended_ns <= taken_ns)
    assert np.median(taken_ns - ended_ns) < 50e6
    assert not demo_core.isSequenceRunning("Camera")


def test_a_stream_can_be_started_again_and_counts_from_zero(demo_core: CMMCorePlus) -> None:
    camera = opened(demo_core)

    for _ in range(2):
        assert [f.index for f in camera.stream(Event(), 5)] == [0, 1, 2, 3, 4]


def test_8_bit_frames_are_widened(demo_core: CMMCorePlus) -> None:
    camera = opened(demo_core, properties={"Camera.PixelType": "8bit"})

    frame = next(iter(camera.stream(Event(), 1)))

    assert frame.pixels.dtype == np.uint16
    assert frame.pixels.shape == camera.shape == (512, 512)
    assert 0 < frame.pixels.max() <= 255


@pytest.mark.parametrize("pixel_type", ["32bitRGB", "32bit"])
def test_colour_and_float_are_refused(demo_core: CMMCorePlus, pixel_type: str) -> None:
    with pytest.raises(DeviceError, match="only one gray value of 8 or 16 bits"):
        opened(demo_core, properties={"Camera.PixelType": pixel_type})


@pytest.mark.parametrize(
    ("binning", "height_nm"), [("2", None), ("2x2", None), ("1x2", 200), ("2x1", 100)]
)
def test_pixels_that_the_camera_bins_unequally_are_not_square(
    bench: Any, binning: str, height_nm: float | None
) -> None:
    fake_core, device, value = bench
    camera = device("Lib", "Cam", {"Binning": value(binning), "PixelSize_nm": value("100")})

    stated = stated_calibration(fake_core({"Camera": camera}), "Camera")

    assert stated.pixel_height_nm == height_nm


def test_the_region_on_the_chip_is_stated_of_pixels_that_are_not_binned(
    demo_core: CMMCorePlus,
) -> None:
    demo_core.setProperty("Camera", "Binning", "1")
    demo_core.setROI(60, 100, 80, 64)
    assert stated_calibration(demo_core, "Camera").region == (60, 100, 80, 64)

    demo_core.clearROI()
    demo_core.setProperty("Camera", "Binning", "2")
    assert stated_calibration(demo_core, "Camera").region is None


def test_overflow_yields_what_was_delivered_and_then_raises(demo_core: CMMCorePlus) -> None:
    camera = opened(demo_core, circular_buffer_mb=3)

    index, error = run_out(
        camera.stream(Event()),
        each=lambda _: wait_for(lambda: not demo_core.isSequenceRunning("Camera")),
    )

    assert isinstance(error, CameraOverflowError)
    assert f"full after frame {index[-1]}" in str(error)
    assert "6 MB" in str(error)
    assert index == list(range(len(index)))
    assert len(index) >= 12  # as many as the buffer holds


def test_stop_ends_the_camera_and_still_yields_what_it_delivered(demo_core: CMMCorePlus) -> None:
    camera, stop = opened(demo_core, circular_buffer_mb=64), Event()
    index: list[int] = []

    for frame in camera.stream(stop):
        index.append(frame.index)
        if frame.index == 3:
            wait_for(lambda: demo_core.getRemainingImageCount() >= 5)
            stop.set()

    assert index == list(range(len(index)))
    assert len(index) >= 4 + 5
    # The newest one was given, too, and stays where the program that owns the core looks for it.
    assert demo_core.getRemainingImageCount() == 1
    assert not demo_core.isSequenceRunning("Camera")


def test_closing_the_iterator_stops_the_camera(demo_core: CMMCorePlus) -> None:
    stream = opened(demo_core).stream(Event())
    next(iter(stream))
    assert demo_core.isSequenceRunning("Camera")

    stream.close()  # type: ignore[attr-defined]

    assert not demo_core.isSequenceRunning("Camera")


def test_a_sequence_of_the_host_is_drained_but_not_stopped(demo_core: CMMCorePlus) -> None:
    demo_core.startContinuousSequenceAcquisition(0)
    camera, stop = opened(demo_core, properties={"Camera.Binning": 2}), Event()
    index: list[int] = []

    for frame in camera.stream(stop):
        index.append(frame.index)
        if len(index) == 10:
            stop.set()

    assert index[:10] == list(range(10))
    assert demo_core.isSequenceRunning("Camera")
    assert demo_core.getProperty("Camera", "Binning") == "1"  # a running camera is left alone


def test_the_second_run_on_a_sequence_of_the_host_gets_no_frame_of_the_first(
    demo_core: CMMCorePlus,
) -> None:
    demo_core.startContinuousSequenceAcquisition(0)
    runs: list[list[float]] = [[], []]

    for times_ns in runs:
        camera, stop = opened(demo_core), Event()
        for frame in camera.stream(stop):
            times_ns.append(frame.t_exposure_end_ns)
            if len(times_ns) == 5:
                stop.set()

    assert max(runs[0]) < min(runs[1])


def test_the_stream_ends_where_the_host_ends_its_sequence(demo_core: CMMCorePlus) -> None:
    demo_core.startSequenceAcquisition("Camera", 30, 0, True)

    index = [frame.index for frame in opened(demo_core).stream(Event())]

    assert index == list(range(30))


def test_exposure_and_region_are_set(demo_core: CMMCorePlus) -> None:
    camera = MicroManagerCamera(
        demo_core,
        settings=MicroManagerSettings(roi=(32, 64, 128, 96), circular_buffer_mb=16),
        acquisition=AcquisitionSettings(exposure_ms=7.5),
    )

    frame = next(iter(camera.stream(Event(), 1)))

    assert camera.exposure_ms == 7.5
    assert frame.pixels.shape == camera.shape == (96, 128)
    assert camera.describe()["roi"] == "32, 64, 128, 96"


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"Camera.Mode": "Stars"}, r"Camera.Mode refused .*'Stars' \(allowed: .*Noise"),
        ({"Camera.Gain": 99}, r"Camera.Gain refused .*'99' \(limits: -5 to 8\)"),
        ({"Camera.CameraID": "x"}, r"read-only"),
        ({"Camera.MaximumExposureMs": 5}, r"in the .cfg file"),
        ({"Camera.Colour": "x"}, r"no property 'Colour'; it has .*Binning"),
        ({"Laser.Power": 1}, r"no device of that label is loaded; loaded: Camera, Core"),
    ],
)
def test_a_refused_property_is_named_with_what_is_allowed(
    demo_core: CMMCorePlus, properties: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeviceError, match=message):
        opened(demo_core, properties=properties)


def test_an_unknown_camera_is_refused_with_those_there_are(demo_core: CMMCorePlus) -> None:
    with pytest.raises(DeviceError, match="no camera 'Kinetix'; its cameras: Camera"):
        opened(demo_core, camera="Kinetix")


def test_the_demo_configuration_shows_beads_on_a_black_background() -> None:
    pytest.importorskip("mm_test_adapters")
    settings = load(Path("mm_demo.toml"), ["micromanager.circular_buffer_mb=32"])
    camera = open_camera(settings)
    try:
        frame = next(iter(camera.stream(Event(), 1)))
        facts = camera.describe()

        assert camera.stated.pixel_nm == 100.0
        assert frame.pixels.shape == (512, 512)
        assert np.median(frame.pixels) == 0
        assert frame.pixels.max() > 200
        assert facts["adapter"] == "DemoCamera"
        assert facts["Camera.Mode"] == "Fluorescent Beads"
        assert "MMCore" in facts["core"]
    finally:
        camera.close()
        camera.close()


def test_a_configuration_that_does_not_load_ends_in_advice(tmp_path: Path) -> None:
    path = tmp_path / "rig.cfg"
    path.write_text("Device,Camera,NoSuchVendor,Cam\nProperty,Core,Initialize,1\n")

    with pytest.raises(DeviceError, match=r"NoSuchVendor.*mmcore"):
        open_camera(from_mapping({"micromanager": {"config": str(path)}}))


def test_a_configuration_that_is_not_there_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match=r"no_rig.cfg"):
        open_camera(from_mapping({"micromanager": {"config": "no_rig.cfg"}}))


def test_adapter_folders_must_exist() -> None:
    settings = {"config": "mm_demo.cfg", "adapter_paths": ["nowhere"]}
    with pytest.raises(DeviceError, match="nowhere, which is no folder"):
        open_camera(from_mapping({"micromanager": settings}))
