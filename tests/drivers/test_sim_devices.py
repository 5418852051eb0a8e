from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pymmcore
import pytest
from pymmcore_plus.experimental.unicore import UniMMCore

from rtsmlm.drivers.simulated.camera import SimCamera
from rtsmlm.drivers.simulated.frame_code import decode_index, encode_index
from rtsmlm.drivers.simulated.hub import microscope_of_core
from rtsmlm.drivers.simulated.laser import SimLaser405
from rtsmlm.drivers.simulated.microscope import SimMicroscope
from rtsmlm.drivers.simulated.settings import MicroscopeSettings
from rtsmlm.errors import DeviceError
from rtsmlm.frames import Pixels
from rtsmlm.settings.load import packaged

SMALL = {"Width": "64", "Height": "48"}


@pytest.fixture
def new_core() -> Iterator[Callable[[], UniMMCore]]:
    cores: list[UniMMCore] = []

    def load() -> UniMMCore:
        core = UniMMCore()
        core.loadSystemConfiguration(packaged("sim_microscope.cfg"))
        for name, value in SMALL.items():
            core.setProperty("Camera", name, value)
        cores.append(core)
        return core

    yield load
    for core in cores:
        core.reset()


@pytest.fixture
def core(new_core: Callable[[], UniMMCore]) -> UniMMCore:
    return new_core()


def _take(core: UniMMCore, n: int) -> list[tuple[Pixels, Mapping[str, str]]]:
    core.startSequenceAcquisition(n, 0, True)
    return _drain(core)


def _drain(core: UniMMCore, timeout_s: float = 10.0) -> list[tuple[Pixels, Mapping[str, str]]]:
    frames = []
    deadline = time.monotonic() + timeout_s
    while core.isSequenceRunning() or core.getRemainingImageCount():
        if core.getRemainingImageCount():
            tags = pymmcore.Metadata()
            pixels = core.popNextImageMD(tags)
            frames.append((pixels, {k: tags.GetSingleTag(k).GetValue() for k in tags.GetKeys()}))
        elif time.monotonic() > deadline:
            pytest.fail(f"sequence did not end; got {len(frames)} frames")
        else:
            time.sleep(0.001)
    return frames


def _numbers(frames: list[tuple[Pixels, Mapping[str, str]]]) -> list[int]:
    return [int(tags["rtsmlm-FrameNumber"]) for _, tags in frames]


def test_shipped_configuration_snaps_an_image_of_the_sample() -> None:
    core = UniMMCore()
    core.loadSystemConfiguration(packaged("sim_microscope.cfg"))

    core.snapImage()
    image = core.getImage()

    assert image.shape == (256, 256)
    assert image.dtype == np.uint16
    assert image.mean() > 110
    assert core.getPixelSizeUm() == pytest.approx(0.1)
    assert core.getExposure() == 10.0
    core.reset()


@pytest.mark.parametrize(
    "name",
    [
        "sim_palm.cfg", "sim_paint.cfg", "sim_3d.cfg", "sim_astigmatic.cfg", "sim_aberrated.cfg",
        "sim_tetrapod.cfg", "sim_double_helix.cfg", "sim_two_colour.cfg",
    ],
)  # fmt: skip
def test_other_shipped_configurations_show_emitters(name: str) -> None:
    core = UniMMCore()
    core.loadSystemConfiguration(packaged(name))
    microscope = microscope_of_core(core)

    microscope.frames(60)

    counts = [len(microscope.emitters_in(frame, min_photons=50)) for frame in range(40, 60)]
    assert 5 < np.mean(counts) < 300
    core.reset()


def test_frames_come_on_schedule_in_order_and_know_their_number(core: UniMMCore) -> None:
    core.setProperty("Camera", "EncodeFrameIndex", 1)
    core.setExposure(20.0)

    start_ns = time.perf_counter_ns()
    frames = _take(core, 40)

    ends_ns = np.array([int(tags["rtsmlm-ExposureEnd-ns"]) for _, tags in frames])
    assert _numbers(frames) == list(range(40))
    assert [decode_index(pixels) for pixels, _ in frames] == list(range(40))
    assert ends_ns[0] - start_ns >= 20e6
    assert np.all(np.diff(ends_ns) > 0)
    # Deadlines are absolute: delays of single frames do not add up.
    off_schedule_ms = (ends_ns - ends_ns[0]) / 1e6 - 20.0 * np.arange(40)
    assert np.median(np.abs(off_schedule_ms)) < 5.0


def test_fast_pacing_does_not_wait(core: UniMMCore) -> None:
    core.setProperty("Camera", "Pacing", "fast")
    core.setExposure(200.0)

    start = time.monotonic()
    frames = _take(core, 20)

    assert len(frames) == 20
    assert time.monotonic() - start < 2.0


def test_a_computer_that_is_too_slow_gets_all_frames_and_is_told(
    core: UniMMCore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsmlm.drivers.simulated.camera.WARN_BEHIND_NS", 1)
    core.setProperty("Camera", "Width", 512)
    core.setProperty("Camera", "Height", 512)
    core.setExposure(0.1)

    with caplog.at_level(logging.WARNING, logger="rtsmlm.drivers.simulated.camera"):
        frames = _take(core, 100)

    assert _numbers(frames) == list(range(100))
    assert core.getProperty("Camera", "LateFrames") > 50
    assert sum("simulated camera is" in record.message for record in caplog.records) == 1


def test_a_sequence_counts_from_zero_again_and_the_sample_goes_on(core: UniMMCore) -> None:
    core.setProperty("Camera", "Pacing", "fast")
    _take(core, 30)
    dark_before = microscope_of_core(core).emitters.n_dark

    frames = _take(core, 30)

    assert _numbers(frames) == list(range(30))
    assert microscope_of_core(core).emitters.n_dark < dark_before + 100
    assert len(microscope_of_core(core).emitters_in(29)) > 0


def test_lasers_of_the_core_steer_its_sample(core: UniMMCore) -> None:
    microscope = microscope_of_core(core)

    core.setProperty("Laser405", "PowerSetpoint", "50")

    assert microscope.laser_mw(405) == pytest.approx(0.05)
    core.setProperty("Laser405", "State", "0")
    assert microscope.laser_mw(405) == 0.0
    assert core.getProperty("Laser405", "PowerReadback") == 50.0
    core.setShutterOpen("Laser405", True)
    assert microscope.laser_mw(405) == pytest.approx(0.05)


@pytest.mark.parametrize("power_mw", [0.0, 0.99, 100.1, -5.0, float("nan")])
def test_laser_refuses_power_that_its_head_cannot_give(core: UniMMCore, power_mw: float) -> None:
    with pytest.raises((ValueError, DeviceError)):
        core.setProperty("Laser405", "PowerSetpoint", power_mw)

    assert core.getProperty("Laser405", "PowerSetpoint") == 1.4
    assert microscope_of_core(core).laser_mw(405) == pytest.approx(0.0014)


def test_laser_says_what_an_obis_head_says(core: UniMMCore) -> None:
    names = set(core.getDevicePropertyNames("Laser405"))

    assert {
        "PowerSetpoint",
        "PowerReadback",
        "State",
        "Minimum Laser Power",
        "Maximum Laser Power",
        "Wavelength",
        "HeadID",
        "Head Usage Hours",
    } <= names
    assert core.getPropertyLowerLimit("Laser405", "PowerSetpoint") == 1.0
    assert core.getPropertyUpperLimit("Laser405", "PowerSetpoint") == 100.0
    assert core.getAllowedPropertyValues("Laser405", "State") == ("0", "1")
    assert core.getProperty("Laser405", "Wavelength") == 405.0
    with pytest.raises(ValueError, match="read-only"):
        core.setProperty("Laser405", "PowerReadback", 3.0)


def test_laser_reads_back_another_power_in_a_drill(core: UniMMCore) -> None:
    core.setProperty("Laser405", "FaultReadback_mW", 7.5)

    assert core.getProperty("Laser405", "PowerReadback") == 7.5
    assert core.getProperty("Laser405", "PowerSetpoint") == 1.4


def test_laser_message_names_value_and_limit() -> None:
    laser = SimLaser405(SimMicroscope())

    with pytest.raises(DeviceError, match=r"405 nm laser asked for 0\.5 mW; the head gives 1\.0"):
        laser.set_power_mw(0.5)


def test_two_cores_do_not_share_a_microscope(new_core: Callable[[], UniMMCore]) -> None:
    first, second = new_core(), new_core()

    first.setProperty("Laser640", "State", 0)

    assert microscope_of_core(first) is not microscope_of_core(second)
    assert microscope_of_core(first).laser_mw(640) == 0.0
    assert microscope_of_core(second).laser_mw(640) == 42.0


def test_a_new_core_never_finds_the_microscope_of_a_dead_one() -> None:
    seen = []
    for _ in range(5):
        core = UniMMCore()
        core.loadSystemConfiguration(packaged("sim_microscope.cfg"))
        seen.append(microscope_of_core(core))
        del core
        gc.collect()

    assert len({id(microscope) for microscope in seen}) == 5


def test_a_core_without_simulated_devices_says_so() -> None:
    with pytest.raises(DeviceError, match=r"sim_microscope\.cfg"):
        microscope_of_core(UniMMCore())
    with pytest.raises(DeviceError, match="in no core"):
        SimCamera().get_exposure()


def test_same_configuration_gives_the_same_frames(new_core: Callable[[], UniMMCore]) -> None:
    runs = []
    for _ in range(2):
        core = new_core()
        core.setProperty("Camera", "Pacing", "fast")
        runs.append(np.stack([pixels for pixels, _ in _take(core, 20)]))

    assert np.array_equal(runs[0], runs[1])


def test_camera_properties_reach_the_sample(core: UniMMCore) -> None:
    changes = {
        "Dye": "DNA-PAINT",
        "Structure": "origami",
        "PSF": "astigmatic",
        "NoiseModel": "EMCCD",
        "Seed": "12",
        "EmitterCount": "500",
        "Drift_nm_per_s": "2.5",
        "StartAllOn": "1",
    }
    for name, value in changes.items():
        core.setProperty("Camera", name, value)

    settings = microscope_of_core(core).settings
    assert (settings.dye, settings.structure) == ("DNA-PAINT", "origami")
    assert (settings.psf, settings.sensor) == ("astigmatic", "EMCCD")
    assert (settings.seed, settings.emitter_count) == (12, 500)
    assert settings.drift_nm_per_s == 2.5
    assert settings.all_on
    assert core.getProperty("Camera", "EMGain") == 300.0
    with pytest.raises(ValueError, match="not allowed"):
        core.setProperty("Camera", "Dye", "fluorescein")


def test_camera_states_its_calibration(core: UniMMCore) -> None:
    calibration = microscope_of_core(core).calibration()

    assert core.getProperty("Camera", "PixelSize_nm") == 100.0
    assert core.getProperty("Camera", "EMGain") == 1.0
    assert core.getProperty("Camera", "Offset_ADU") == pytest.approx(
        np.mean(calibration.offset_adu)
    )
    assert core.getProperty("Camera", "ElectronsPerADU") == pytest.approx(0.46, rel=0.01)
    assert core.getProperty("Camera", "ReadNoise_e") == pytest.approx(1.6, abs=0.4)


def test_region_of_interest_reaches_the_frames(core: UniMMCore) -> None:
    core.setProperty("Camera", "Pacing", "fast")

    core.setROI(8, 4, 32, 16)
    frames = _take(core, 3)

    assert frames[0][0].shape == (16, 32)
    core.clearROI()
    core.snapImage()
    assert core.getImage().shape == (48, 64)


def test_stages_move_the_sample(core: UniMMCore) -> None:
    core.setXYPosition(1.5, -2.0)
    core.setPosition(0.3)

    assert microscope_of_core(core).stage_nm == (1500.0, -2000.0, 300.0)
    assert core.getXYPosition() == (1.5, -2.0)
    core.setOriginXY()
    core.setRelativeXYPosition(0.5, 0.0)
    assert core.getXYPosition() == (0.5, 0.0)
    assert microscope_of_core(core).stage_nm == (2000.0, -2000.0, 300.0)


def test_lost_frames_leave_gaps_in_the_camera_numbers(core: UniMMCore) -> None:
    core.setProperty("Camera", "Pacing", "fast")
    core.setProperty("Camera", "EncodeFrameIndex", 1)
    core.setProperty("Camera", "FaultDropEvery", 5)

    frames = _take(core, 9)

    assert _numbers(frames) == [0, 1, 2, 3, 5, 6, 7, 8, 10]
    assert [decode_index(pixels) for pixels, _ in frames] == _numbers(frames)


def test_a_stalled_camera_stays_silent_until_the_fault_is_lifted(core: UniMMCore) -> None:
    core.setProperty("Camera", "Pacing", "fast")
    core.setProperty("Camera", "FaultStallAfter", 4)
    core.startSequenceAcquisition(10, 0, True)
    time.sleep(0.3)

    assert core.getRemainingImageCount() == 4
    assert core.isSequenceRunning()
    core.setProperty("Camera", "FaultStallAfter", 0)
    assert len(_drain(core)) == 4


def test_a_frame_of_another_shape_comes_when_asked_for(core: UniMMCore) -> None:
    core.setProperty("Camera", "Pacing", "fast")
    core.setProperty("Camera", "FaultShapeAfter", 2)

    shapes = [pixels.shape for pixels, _ in _take(core, 4)]

    assert shapes == [(48, 64), (48, 64), (24, 64), (24, 64)]


@pytest.mark.parametrize("exposure_ms", [0.0, 5000.0])
def test_exposure_outside_the_limits_is_refused(core: UniMMCore, exposure_ms: float) -> None:
    with pytest.raises(DeviceError, match=r"takes 0\.1 to 1000"):
        core.setExposure(exposure_ms)

    assert core.getExposure() == 10.0


def test_camera_can_be_given_a_microscope_of_its_own() -> None:
    microscope = SimMicroscope(MicroscopeSettings(width=32, height=16))
    core = UniMMCore()
    core.loadPyDevice("Camera", SimCamera(microscope))
    core.initializeAllDevices()
    core.setCameraDevice("Camera")

    core.snapImage()

    assert core.getImage().shape == (16, 32)
    assert microscope.frame == 1
    core.reset()


def test_frame_number_survives_the_pixels() -> None:
    pixels = np.full((4, 8), 500, dtype=np.uint16)

    for index in (0, 1, 65_535, 65_536, 123_456_789_012, 2**64 - 1):
        encode_index(pixels, index)
        assert decode_index(pixels) == index

    assert (pixels[1:] == 500).all()
    assert (pixels[0, 4:] == 500).all()
    with pytest.raises(ValueError, match="does not fit"):
        encode_index(pixels, -1)


def test_configuration_file_is_plain_text_without_local_paths() -> None:
    files = sorted(Path(packaged("sim_microscope.cfg")).parent.glob("sim_*.cfg"))
    assert len(files) >= 8
    for file in files:
        text = file.read_text(encoding="ascii")
        assert all(line.startswith("#") for line in text.splitlines() if line)
