"""Parts of the simulated microscope: truth, sample, stages, and who shares a microscope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymmcore_plus.experimental.unicore import UniMMCore

from rtsmlm.drivers.simulated.hub import Attached, microscope_of_core
from rtsmlm.drivers.simulated.microscope import SimMicroscope
from rtsmlm.drivers.simulated.optics import make_psf
from rtsmlm.drivers.simulated.properties import Choices, plain, to_bool, to_int
from rtsmlm.drivers.simulated.sample import Sample
from rtsmlm.drivers.simulated.settings import MicroscopeSettings
from rtsmlm.drivers.simulated.stage import SimXYStage, SimZStage
from rtsmlm.drivers.simulated.truth import FrameTruth, TruthLog
from rtsmlm.errors import DeviceError
from rtsmlm.physics.photophysics import LitEmitters

SMALL = MicroscopeSettings(width=32, height=48, label_density_per_um2=30.0)


def truth(frame: int, *places: tuple[float, float, float]) -> FrameTruth:
    x, y, photons = np.array(places).reshape(-1, 3).T
    return FrameTruth(
        frame=frame, emitter=np.arange(len(x)), x_nm=x, y_nm=y, z_nm=0 * x, photons=photons,
        background=np.full(len(x), 3.0), drift_nm=np.zeros(3),
        dye=np.zeros(len(x), dtype=np.uint8),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("x_px", "y_px", "seen"),
    [(9.5, 25, True), (9.49, 25, False), (41.4, 25, True), (41.5, 25, False), (20, 19.5, True),
     (20, 19.4, False), (20, 43.4, True), (20, 43.5, False)],
)  # fmt: skip
def test_a_region_sees_what_lies_on_its_pixels(x_px: float, y_px: float, seen: bool) -> None:
    frame = truth(0, (100.0 * x_px, 100.0 * y_px, 500.0))

    assert (len(frame.seen((10, 20, 32, 24), 100.0, 1.0)) == 1) is seen


@given(st.integers(0, 40), st.integers(0, 40), st.floats(50.0, 200.0))
def test_places_are_counted_from_the_first_pixel_of_the_region(
    left: int, top: int, pixel_nm: float
) -> None:
    frame = truth(17, ((left + 3) * pixel_nm, (top + 5) * pixel_nm, 500.0))

    rows = frame.localizations((left, top, 20, 20), pixel_nm, 1.0)

    assert rows.frame.tolist() == [17]
    assert rows.x_nm[0] == pytest.approx(3 * pixel_nm, rel=1e-5)
    assert rows.y_nm[0] == pytest.approx(5 * pixel_nm, rel=1e-5)


def test_emitters_dimmer_than_asked_for_are_not_seen() -> None:
    frame = truth(0, (500, 500, 99.0), (600, 600, 100.0))

    assert frame.localizations((0, 0, 20, 20), 100.0, 100.0).photons.tolist() == [100.0]


@given(st.none() | st.integers(1, 8), st.integers(0, 20), st.integers(0, 25))
def test_the_last_frames_are_kept_and_others_are_an_error(
    keep: int | None, n: int, asked: int
) -> None:
    log = TruthLog(keep)
    for frame in range(5, 5 + n):
        log.append(truth(frame))

    kept = range(5 + n - min(n, n if keep is None else keep), 5 + n)

    if asked in kept:
        assert log.at(asked).frame == asked
    else:
        with pytest.raises(DeviceError, match=f"no truth for frame {asked}"):
            log.at(asked)


def test_keeping_fewer_frames_forgets_the_oldest_at_once() -> None:
    log = TruthLog(None)
    for frame in range(10):
        log.append(truth(frame))

    log.keep(3)

    assert log.at(7).frame == 7
    with pytest.raises(DeviceError):
        log.at(6)
    log.clear()
    with pytest.raises(DeviceError):
        log.at(9)


def test_frames_with_many_emitters_are_kept_for_a_shorter_time() -> None:
    log = TruthLog(100, keep_emitters=10)
    for frame in range(20):
        log.append(truth(frame, *[(500, 500, 99.0)] * 3))

    assert log.at(19).frame == 19
    assert log.at(17).frame == 17
    with pytest.raises(DeviceError, match="3 frames from 17 on"):
        log.at(16)


# -- properties --------------------------------------------------------------------------------


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_has_one_spelling_whatever_micro_manager_sends(number: int) -> None:
    spellings: list[Any] = [number, float(number), str(number), f"{number}.0000"]

    assert {plain(value) for value in spellings} == {str(number)}
    assert {to_int(value) for value in spellings} == {number}


@pytest.mark.parametrize(
    ("on", "off"), [(1, 0), (1.0, 0.0), ("1", "0"), ("1.0000", "0.0000"), (True, False)]
)
def test_every_spelling_of_on_is_on_and_of_off_off(on: Any, off: Any) -> None:
    assert to_bool(on)
    assert not to_bool(off)
    assert on in Choices(("0", "1"))
    assert on not in Choices(("0", "2"))
    assert "External" in Choices(("External",))


# -- the sample --------------------------------------------------------------------------------

DARK = np.zeros(3)
LIT = LitEmitters(emitter=np.array([0, 3]), on_s=np.full(2, 0.01), photons=np.array([400.0, 600.0]))


def test_one_seed_makes_one_sample_and_its_parts_are_drawn_apart() -> None:
    first, again = Sample(SMALL), Sample(SMALL)
    other_camera = Sample(
        MicroscopeSettings(width=32, height=48, label_density_per_um2=30.0, sensor="EMCCD")
    )

    np.testing.assert_array_equal(first.positions_nm, again.positions_nm)
    np.testing.assert_array_equal(
        first.positions_nm, other_camera.positions_nm, "another camera sees the same sample"
    )


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 10_000), st.sampled_from(["filaments", "uniform", "origami", "nuclear-pores"])
)
def test_emitters_lie_on_the_field_whose_first_pixel_is_centred_at_zero(
    seed: int, structure: Any
) -> None:
    sample = Sample(
        MicroscopeSettings(
            width=32, height=48, seed=seed, structure=structure, label_density_per_um2=30.0
        )
    )
    x, y, _ = sample.positions_nm.T

    assert len(x) == round(30.0 * 3.2 * 4.8)
    # A filament or a pore at the edge may reach out by its own size.
    assert x.min() > -350
    assert x.max() < 3200 + 350
    assert y.min() > -350
    assert y.max() < 4800 + 350


def test_stray_light_follows_the_readout_beams_and_not_the_activation() -> None:
    sample = Sample(SMALL)
    sample.illuminate(SMALL, DARK)

    none, violet, red, twice = (
        sample.stray_light(SMALL, np.array(light), LIT).mean()
        for light in ([0, 0, 0], [5000, 0, 0], [0, 0, 1000], [0, 0, 2000])
    )

    assert none == violet == 0.0
    assert red == pytest.approx(10.0, rel=0.1), "1 photon per ms and kW/cm², for 10 ms"
    assert twice == pytest.approx(2 * red)


def test_haze_is_the_stated_part_of_the_light_in_focus() -> None:
    hazy = MicroscopeSettings(width=32, height=48, label_density_per_um2=30.0, haze=0.5)
    sample = Sample(hazy)
    sample.illuminate(hazy, DARK)

    assert sample.stray_light(hazy, DARK, LIT).sum() == pytest.approx(0.5 * 1000.0, rel=1e-3)


def test_stage_moves_along_the_image_and_focus_against_the_depth() -> None:
    sample = Sample(SMALL)
    stray = np.full((48, 32), 7.0, np.float32)

    still = sample.truth(0, SMALL, DARK, LIT, stray)
    moved = sample.truth(0, SMALL, np.array([100.0, -50.0, 300.0]), LIT, stray)

    np.testing.assert_allclose(moved.x_nm - still.x_nm, 100.0)
    np.testing.assert_allclose(moved.y_nm - still.y_nm, -50.0)
    np.testing.assert_allclose(moved.z_nm - still.z_nm, -300.0)
    assert still.background.tolist() == [7.0, 7.0]


def test_drift_goes_with_time_at_the_speed_and_angle_that_were_set() -> None:
    drifting = MicroscopeSettings(
        width=32, height=48, label_density_per_um2=30.0, drift_nm_per_s=20.0,
        drift_z_nm_per_s=-5.0, exposure_ms=8.0, readout_ms=2.0,
    )  # fmt: skip
    sample = Sample(drifting)
    for _ in range(100):  # one second
        sample.pass_time(drifting)

    drift = sample.truth(100, drifting, DARK, LIT, np.zeros((48, 32), np.float32)).drift_nm

    assert np.hypot(drift[0], drift[1]) == pytest.approx(20.0)
    assert np.degrees(np.arctan2(drift[1], drift[0])) == pytest.approx(30.0)
    assert drift[2] == pytest.approx(-5.0)


@pytest.mark.parametrize("psf", ["gaussian", "astigmatic"])
def test_the_psf_is_as_wide_as_was_set(psf: str) -> None:
    narrow, wide = (
        make_psf(MicroscopeSettings(psf=psf, psf_sigma_nm=sigma))  # type: ignore[arg-type]
        for sigma in (100.0, 200.0)
    )
    one = [np.array([value]) for value in (15.0, 15.0, 0.0, 1000.0)]
    images = [np.zeros((31, 31), np.float32) for _ in range(2)]
    narrow.render(images[0], *one)
    wide.render(images[1], *one)

    assert images[0].max() / images[1].max() == pytest.approx(4.0, rel=0.1)


# -- stages and their microscope ---------------------------------------------------------------


def test_a_stage_counts_from_its_origin_and_goes_home_to_where_it_was_loaded() -> None:
    microscope = SimMicroscope(SMALL)
    stage, focus = SimXYStage(microscope), SimZStage(microscope)

    stage.set_position_um(10.0, -4.0)
    stage.set_origin_x()
    focus.set_position_um(2.0)
    focus.set_origin()
    assert stage.get_position_um() == (0.0, -4.0)
    assert focus.get_position_um() == 0.0

    stage.set_position_um(1.0, 1.0)
    focus.set_position_um(-0.5)
    assert microscope.stage_nm == (11_000.0, 1000.0, 1500.0)

    stage.home()
    focus.home()
    assert microscope.stage_nm == (0.0, 0.0, 0.0)
    assert stage.get_position_um() == (0.0, 0.0)


def test_a_device_in_no_core_says_how_to_load_it() -> None:
    with pytest.raises(DeviceError, match=r"SimXYStage is in no core: load it with loadPyDevice"):
        SimXYStage().set_position_um(1.0, 1.0)


def test_a_device_with_a_microscope_of_its_own_needs_no_core() -> None:
    microscope = SimMicroscope(SMALL)
    attached = Attached(SimZStage(), microscope)

    assert attached() is microscope
    attached.release()
    attached.release()


@pytest.fixture
def core() -> Iterator[UniMMCore]:
    made = UniMMCore()
    yield made
    made.reset()


def test_devices_of_a_core_share_a_microscope_until_the_last_is_unloaded(core: UniMMCore) -> None:
    for label, stage in (("XY", SimXYStage()), ("Z", SimZStage())):
        core.loadPyDevice(label, stage)
        core.initializeDevice(label)
    core.setXYPosition("XY", 3.0, 0.0)
    core.setPosition("Z", 1.0)
    microscope = microscope_of_core(core)
    assert microscope.stage_nm == (3000.0, 0.0, 1000.0)

    core.unloadDevice("XY")
    assert microscope_of_core(core) is microscope
    core.unloadDevice("Z")

    with pytest.raises(DeviceError, match="no simulated microscope"):
        microscope_of_core(core)


def test_a_new_microscope_has_all_its_lasers_off(core: UniMMCore) -> None:
    core.loadPyDevice("Z", SimZStage())
    core.initializeDevice("Z")
    core.setPosition("Z", 0.0)

    microscope = microscope_of_core(core)

    assert [microscope.laser_mw(nm) for nm in (405, 561, 640)] == [0.0, 0.0, 0.0]
