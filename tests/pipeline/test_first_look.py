"""The first frames are looked at beside the run: width and remarks come, whenever the run ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting.psf_meter import PSF_FRAMES, PsfMeter, PsfWidth
from rtsmlm.frames import Pixels
from rtsmlm.pipeline import first_look
from rtsmlm.pipeline.camera_look import CameraLook
from rtsmlm.pipeline.first_look import FirstLook
from rtsmlm.pipeline.rate import simulated_frames
from rtsmlm.settings.camera import CameraSettings

CAMERA = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, read_noise_e=1.5)
WAIT_S = 60.0


@pytest.fixture
def frames() -> Pixels:
    return simulated_frames((128, 128), CAMERA, 150.0, 80).pixels


@pytest.fixture
def open_look() -> Any:
    opened: list[FirstLook] = []

    def make(warnings: list[str], **more: Any) -> FirstLook:
        opened.append(FirstLook(CAMERA, warnings.append, **more))
        return opened[-1]

    yield make
    for look in opened:
        look.close()


def width_of(look: FirstLook) -> PsfWidth:
    for _ in range(int(WAIT_S / 0.01)):
        if (width := look.take_width()) is not None:
            return width
        threading.Event().wait(0.01)
    raise AssertionError("no width came")


def test_the_width_is_that_of_the_first_frames_and_comes_once(
    open_look: Callable[..., FirstLook], frames: Pixels
) -> None:
    look = open_look([], meter=PsfMeter(CAMERA, most_frames=500))
    assert look.take_width() is None

    for k in range(0, 40, 4):
        look.add(frames[k : k + 4], k)

    assert width_of(look).sigma_nm == pytest.approx(150.0, rel=0.03)
    assert look.take_width() is None
    assert look.n_wanted == 0


def test_frames_that_are_shown_twice_are_taken_once(
    open_look: Callable[..., FirstLook], frames: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Pixels] = []

    def measure(self: PsfMeter, pixels: Pixels, *, are_all: bool = False) -> PsfWidth:
        seen.append(pixels)
        return PsfWidth(150.0)

    monkeypatch.setattr(PsfMeter, "measure", measure)
    look = open_look([], meter=PsfMeter(CAMERA, most_frames=500))

    look.add(frames[:10], 0)
    look.add(frames[:25], 0)  # as they wait in the ring
    look.add(frames[20:40], 20)
    width_of(look)

    assert np.array_equal(seen[0], frames[: PSF_FRAMES[0]])


def test_a_run_that_ends_early_is_measured_on_what_there_is(
    open_look: Callable[..., FirstLook], frames: Pixels
) -> None:
    look = open_look([], meter=PsfMeter(CAMERA, most_frames=500))
    look.add(frames[:20], 0)
    look.finish()
    assert width_of(look).sigma_nm == pytest.approx(150.0, rel=0.05)

    warnings: list[str] = []
    dark = open_look(warnings, meter=PsfMeter(CAMERA, most_frames=500))
    dark.add(np.random.default_rng(0).poisson(110, (20, 128, 128)).astype(np.uint16), 0)
    dark.finish()
    assert "is assumed" in width_of(dark).note
    assert sum("is assumed, set psf.sigma_nm" in text for text in warnings) == 1


def test_what_the_frames_contradict_is_said_once_though_the_run_ends_before_there_are_enough(
    open_look: Callable[..., FirstLook], frames: Pixels
) -> None:
    warnings: list[str] = []
    look = open_look(warnings, assumed=("offset_adu",))

    look.add(frames[:5] - 80, 0)
    assert warnings == []
    look.finish()

    assert sum("lie below the dark value" in text for text in warnings) == 1


def test_a_measurement_that_fails_leaves_a_width_and_says_so(
    open_look: Callable[..., FirstLook], frames: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: PsfMeter, pixels: Pixels, *, are_all: bool = False) -> PsfWidth:
        raise MemoryError("no memory")

    monkeypatch.setattr(first_look.PsfMeter, "measure", fail)
    warnings: list[str] = []
    look = open_look(warnings, meter=PsfMeter(CAMERA, most_frames=500))

    look.add(frames[:40], 0)

    assert width_of(look).sigma_nm == pytest.approx(130.0)
    assert any("were not looked at: MemoryError" in text for text in warnings)


def test_a_run_that_goes_on_after_a_crash_with_a_known_width_needs_no_thread(
    open_look: Callable[..., FirstLook], frames: Pixels
) -> None:
    before = threading.active_count()

    look = open_look([], compares=False)
    look.add(frames, 0)
    look.finish()

    assert threading.active_count() == before
    assert look.take_width() is None


def test_what_the_frames_tell_of_the_camera_comes_before_the_width_and_is_used_for_it(
    open_look: Callable[..., FirstLook], frames: Pixels
) -> None:
    hot = frames.copy()
    hot[:, 20, 30] += 500
    camera = CameraLook(CAMERA, CameraSettings(), (), (128, 128), most_frames=200)
    look = open_look([], meter=PsfMeter(CAMERA, most_frames=500), camera=camera)
    assert look.n_wanted == camera.n_wanted

    look.add(hot, 0)
    look.finish()

    assert width_of(look).sigma_nm == pytest.approx(150.0, rel=0.03)
    found = look.take_camera()
    assert found is not None
    assert np.argwhere(found.kind).tolist() == [[20, 30]]
    assert found.calibration.masked is not None
    assert "1 pixel is masked" in found.informed
    assert look.take_camera() is None


def test_nothing_comes_of_a_camera_that_is_as_it_is_stated(
    open_look: Callable[..., FirstLook], frames: Pixels
) -> None:
    camera = CameraLook(CAMERA, CameraSettings(), (), (128, 128), most_frames=200)
    look = open_look([], camera=camera)
    look.add(frames, 0)
    look.finish()

    assert look.take_camera() is None


def test_too_few_frames_tell_nothing_of_the_camera(frames: Pixels) -> None:
    camera = CameraLook(CAMERA, CameraSettings(), (), (128, 128), most_frames=200)

    assert not camera.find(frames[:12]).is_worth_telling
