from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from rtsmlm.drivers.simulated.microscope import SimMicroscope
from rtsmlm.drivers.simulated.settings import MicroscopeSettings
from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.frames import Pixels
from rtsmlm.localizations import Localizations

SMALL = MicroscopeSettings(width=64, height=48, seed=3)


def _photons(microscope: SimMicroscope, frames: Pixels) -> NDArray[np.float32]:
    return microscope.calibration().to_photons(frames)


def _all_truth(microscope: SimMicroscope, n: int) -> Localizations:
    return Localizations.concatenate([microscope.emitters_in(frame) for frame in range(n)])


def test_same_seed_and_same_lasers_give_the_same_frames_bit_for_bit() -> None:
    def run() -> Pixels:
        microscope = SimMicroscope(SMALL)
        first = microscope.frames(20)
        microscope.set_laser(405, 0.02)
        return np.concatenate([first, microscope.frames(20)])

    assert np.array_equal(run(), run())


def test_another_seed_gives_other_frames() -> None:
    other = MicroscopeSettings(width=64, height=48, seed=4)

    assert not np.array_equal(SimMicroscope(SMALL).frames(3), SimMicroscope(other).frames(3))


def test_a_restart_begins_again_from_the_seed() -> None:
    microscope = SimMicroscope(SMALL)
    first = microscope.frames(10)

    microscope.restart()

    assert np.array_equal(microscope.frames(10), first)


def test_demo_shows_a_tenth_of_an_emitter_per_um2_with_a_thousand_photons() -> None:
    microscope = SimMicroscope(MicroscopeSettings(width=256, height=256))
    microscope.frames(120)

    counts = [len(microscope.emitters_in(frame, min_photons=100)) for frame in range(20, 120)]
    brightest = np.percentile(_all_truth(microscope, 120).photons, 90)

    assert 0.06 < np.mean(counts) / 25.6**2 < 0.15
    assert 1000 < brightest < 3000


def test_light_in_the_frames_is_the_light_of_the_truth() -> None:
    microscope = SimMicroscope(
        MicroscopeSettings(width=64, height=64, background=0.5, psf_sigma_nm=120.0, seed=1)
    )
    n = 300
    seen = float(_photons(microscope, microscope.frames(n)).sum())

    truth = _all_truth(microscope, n)
    microscope.set_laser(405, 0.0)
    background = float(_photons(microscope, _without_emitters(microscope, n)).sum())
    inside = _share_inside(truth.x_nm) * _share_inside(truth.y_nm)
    assert seen - background == pytest.approx(np.sum(truth.photons * inside), rel=0.015)
    assert 0.9 < np.average(inside, weights=truth.photons) < 0.99


def _share_inside(x_nm: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return which part of a spot of 120 nm falls on the 64 pixels."""
    edges = stats.norm.cdf((6350.0 - x_nm) / 120.0), stats.norm.cdf((-50.0 - x_nm) / 120.0)
    return np.asarray(edges[0] - edges[1])


def _without_emitters(microscope: SimMicroscope, n: int) -> Pixels:
    microscope.configure(emitter_count=1)
    microscope.begin_sequence()
    return microscope.frames(n)


def test_truth_lies_where_the_light_is() -> None:
    microscope = SimMicroscope(
        MicroscopeSettings(width=64, height=64, background=0.2, sensor="ideal", seed=2),
        power_mw={405: 0.0005, 640: 42.0},
    )
    frames = _photons(microscope, microscope.frames(200))

    errors_nm = []
    for frame in range(200):
        truth = microscope.emitters_in(frame, min_photons=600)
        for x_nm, y_nm in zip(truth.x_nm, truth.y_nm, strict=True):
            others = np.hypot(
                microscope.emitters_in(frame).x_nm - x_nm, microscope.emitters_in(frame).y_nm - y_nm
            )
            column, row = round(x_nm / 100), round(y_nm / 100)
            if not (5 < column < 58 and 5 < row < 58) or np.sum(others < 1500) > 1:
                continue
            box = frames[frame, row - 4 : row + 5, column - 4 : column + 5]
            box = box - np.median(box)
            k = np.arange(-4, 5)
            errors_nm.append((box.sum(0) @ k / box.sum() + column) * 100 - x_nm)

    assert len(errors_nm) > 30
    # Centre of mass of 600 photons and more over background: some 20 nm, and no bias.
    assert abs(np.mean(errors_nm)) < 5 * np.std(errors_nm) / np.sqrt(len(errors_nm))
    assert np.std(errors_nm) < 40


def test_more_activation_light_gives_more_emitters() -> None:
    microscope = SimMicroscope(SMALL, power_mw={405: 0.001, 640: 42.0})
    microscope.frames(200)
    few = np.mean([len(microscope.emitters_in(frame)) for frame in range(50, 200)])

    microscope.set_laser(405, 0.01)
    microscope.frames(200)
    many = np.mean([len(microscope.emitters_in(frame)) for frame in range(250, 400)])

    assert many / few == pytest.approx(10.0 * 0.95, rel=0.3)


def test_without_lasers_the_camera_sees_its_offset() -> None:
    microscope = SimMicroscope(SMALL, power_mw={})

    photons = _photons(microscope, microscope.frames(50))

    assert len(microscope.emitters_in(49)) == 0
    assert abs(photons.mean()) < 0.05


def test_background_follows_the_readout_power() -> None:
    microscope = SimMicroscope(SMALL, power_mw={640: 20.0})
    weak = _photons(microscope, microscope.frames(50)).mean()

    microscope.set_laser(640, 40.0)
    strong = _photons(microscope, microscope.frames(50)).mean()

    assert strong / weak == pytest.approx(2.0, rel=0.02)


def test_drift_moves_the_truth_and_is_told() -> None:
    microscope = SimMicroscope(
        MicroscopeSettings(
            width=64, height=64, structure="origami", drift_nm_per_s=100.0, exposure_ms=20.0
        )
    )
    microscope.frames(101)

    x_nm, y_nm, z_nm = microscope.drift_nm(100)

    assert np.hypot(x_nm, y_nm) == pytest.approx(200.0)
    assert x_nm == pytest.approx(200.0 * np.cos(np.pi / 6))
    assert z_nm == 0.0
    ids = {frame: microscope.identities_in(frame) for frame in range(101)}
    pairs = [(a, b) for a in range(100) for b in (a + 1,) if np.intersect1d(ids[a], ids[b]).size]
    before, after = pairs[0]
    common = np.intersect1d(ids[before], ids[after])[0]
    step = [microscope.emitters_in(f).x_nm[ids[f] == common][0] for f in (before, after)]
    assert step[1] - step[0] == pytest.approx(2.0 * np.cos(np.pi / 6), abs=0.01)


def test_random_walk_spreads_as_the_root_of_time() -> None:
    ends = []
    for seed in range(30):
        microscope = SimMicroscope(
            MicroscopeSettings(
                width=8, height=8, emitter_count=1, drift_walk_nm=10.0, exposure_ms=100, seed=seed
            )
        )
        microscope.frames(41)
        ends.append(microscope.drift_nm(40))

    assert np.std(ends) == pytest.approx(10.0 * np.sqrt(4.0), rel=0.25)


def test_stage_moves_the_image_and_the_focus() -> None:
    microscope = SimMicroscope(MicroscopeSettings(width=64, height=64, depth_nm=0.0))
    microscope.frames(20)
    still = dict(zip(microscope.identities_in(19), microscope.emitters_in(19).x_nm, strict=True))

    microscope.move_stage(x_nm=500.0, z_nm=300.0)
    microscope.frames(1)

    moved = microscope.emitters_in(20)
    steps = [
        x_nm - still[i]
        for i, x_nm in zip(microscope.identities_in(20), moved.x_nm, strict=True)
        if i in still
    ]
    assert steps
    assert np.allclose(steps, 500.0, atol=0.01)
    # Filament walls reach 12.5 nm above and below their axis.
    assert np.abs(moved.z_nm + 300.0).max() <= 12.6


def test_a_region_of_the_chip_shows_the_same_emitters() -> None:
    settings = MicroscopeSettings(width=64, height=64, seed=5)
    microscope = SimMicroscope(settings, power_mw={405: 0.02, 640: 42.0})
    microscope.frames(30)
    whole = microscope.emitters_in(29)

    microscope.set_roi((10, 20, 32, 24))
    part = microscope.emitters_in(29)

    assert microscope.frames(1).shape == (1, 24, 32)
    assert microscope.calibration().map_shape == (24, 32)
    assert microscope.camera_maps()[0].shape == (24, 32)
    inside = (whole.x_nm >= 950) & (whole.x_nm < 4150) & (whole.y_nm >= 1950) & (whole.y_nm < 4350)
    assert 0 < len(part) < len(whole)
    assert np.allclose(part.x_nm, whole.x_nm[inside] - 1000.0)
    assert np.allclose(part.y_nm, whole.y_nm[inside] - 2000.0)


def test_truth_is_kept_for_a_while_only() -> None:
    microscope = SimMicroscope(SMALL, keep_frames=5)
    microscope.frames(8)

    assert microscope.emitters_in(7).frame.tolist() == [7] * len(microscope.emitters_in(7))
    with pytest.raises(DeviceError, match="no truth for frame 2; 5 frames from 3 on"):
        microscope.emitters_in(2)


@pytest.mark.parametrize("psf", ["gaussian", "astigmatic", "scalar", "vectorial"])
@pytest.mark.parametrize("sensor", ["sCMOS", "EMCCD", "ideal"])
def test_every_psf_works_with_every_camera(psf: str, sensor: str) -> None:
    settings = {"width": 32, "height": 32, "psf": psf, "sensor": sensor, "background": 0.1}
    microscope = SimMicroscope(MicroscopeSettings(**settings))  # type: ignore[arg-type]

    photons = _photons(microscope, microscope.frames(60))

    truth = sum(microscope.emitters_in(frame).photons.sum() for frame in range(60))
    background = 0.1 * 10.0 * 2.32 * 32 * 32 * 60
    assert photons.sum() == pytest.approx(truth + background, rel=0.15)


def test_haze_adds_light_in_step_with_the_emitters() -> None:
    def total(haze: float) -> float:
        microscope = SimMicroscope(
            MicroscopeSettings(width=48, height=48, haze=haze, background=0.0, sensor="ideal")
        )
        return float(_photons(microscope, microscope.frames(100)).sum())

    assert total(1.0) / total(0.0) == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize(
    "change", [{"width": 2}, {"exposure_ms": 0.0}, {"seed": -1}, {"psf_sigma_nm": float("nan")}]
)
def test_impossible_settings_are_refused_by_name(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        SimMicroscope(SMALL).configure(**change)


def test_unknown_settings_and_lasers_are_refused() -> None:
    with pytest.raises(ConfigError, match="colour"):
        SimMicroscope(SMALL).configure(colour="red")
    with pytest.raises(DeviceError, match="532"):
        SimMicroscope(SMALL).set_laser(532, 1.0)
    with pytest.raises(DeviceError, match="-1"):
        SimMicroscope(SMALL).set_laser(405, -1.0)
    with pytest.raises(DeviceError, match="does not lie on the chip"):
        SimMicroscope(SMALL).set_roi((60, 0, 32, 32))
