from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsmlm.physics.dyes import LASERS_NM, ON, POOL, Dye, af647, dna_paint, meos32
from rtsmlm.physics.illumination import beam_profile, peak_irradiance_w_cm2
from rtsmlm.physics.photophysics import Emitters

SHORT_DARK_SHARE = 50.0 / 550.0
"""Part of the visits to the short dark state of AF647 that end in the radical anion."""


def _light(w405: float = 0.0, w561: float = 0.0, w640: float = 0.0) -> NDArray[np.float64]:
    return np.array([w405, w561, w640])


def _as_mapping(light: NDArray[np.float64]) -> dict[int, float]:
    return dict(zip(LASERS_NM, light.tolist(), strict=True))


def _off_rates(dye: Dye, light: NDArray[np.float64]) -> tuple[float, float]:
    lasers = _as_mapping(light)
    k_off = dye.rate(ON, 2, lasers) * SHORT_DARK_SHARE + dye.rate(ON, POOL, lasers)
    return k_off, dye.rate(ON, 3, lasers)


def _seed(n: int = 0) -> np.random.SeedSequence:
    return np.random.SeedSequence(n)


@pytest.mark.parametrize(
    ("w405", "k_act"), [(0, 0.0025), (0.01, 0.0056), (0.1, 0.034), (1, 0.314), (10, 3.12)]
)
def test_af647_activation_follows_the_405_nm_laser(w405: float, k_act: float) -> None:
    assert af647().rate(POOL, ON, {405: w405}) == pytest.approx(k_act, rel=0.02)


def test_af647_turns_off_as_fast_as_measured_at_one_kilowatt() -> None:
    # 21.7 and 2.69 per second at 647 nm; absorption at 640 nm is 0.834 of it.
    k_off, k_bleach = _off_rates(af647(), _light(w640=1000.0))

    assert k_off == pytest.approx(21.7 * 0.834, rel=0.02)
    assert k_bleach == pytest.approx(2.69 * 0.834, rel=0.02)


@pytest.mark.parametrize("w640", [500.0, 1000.0, 4000.0])
def test_af647_photons_per_event_do_not_depend_on_the_readout_power(w640: float) -> None:
    emitters = Emitters(af647(detection=0.1), 20_000, _seed())
    light = _light(0.3, 0.0, w640)

    photons = sum(emitters.advance(0.01, 0.01, light).photons.sum() for _ in range(600))

    assert emitters.n_activations > 5000
    assert photons / emitters.n_activations == pytest.approx(4500, rel=0.06)


def test_number_of_emitters_on_is_that_of_the_rate_equations() -> None:
    emitters = Emitters(af647(), 50_000, _seed(1))
    light = _light(0.1, 0.0, 1000.0)
    for _ in range(30):
        emitters.advance(0.05, 0.05, light)

    on, dark = [], []
    for _ in range(400):
        emitters.advance(0.05, 0.05, light)
        on.append(emitters.n_on)
        dark.append(emitters.n_dark)

    k_act = emitters.dye.rate(POOL, ON, _as_mapping(light))
    expected = k_act * np.mean(dark) / sum(_off_rates(emitters.dye, light))
    # Some 80 are on, and 50 ms frames are nearly independent of each other.
    assert np.mean(on) == pytest.approx(expected, rel=0.03)


def test_light_of_a_frame_counts_the_time_on_and_not_whole_frames() -> None:
    emitters = Emitters(af647(), 100_000, _seed(2))
    light = _light(0.1, 0.0, 2000.0)

    lit = [emitters.advance(0.02, 0.02, light) for _ in range(100)]

    on_s = np.concatenate([frame.on_s for frame in lit])
    photons = np.concatenate([frame.photons for frame in lit])
    assert on_s.max() <= 0.02
    assert np.mean(on_s < 0.01) > 0.3
    full_per_s = emitters.dye.detected_per_s[640] * 2000.0
    assert np.allclose(photons, on_s * full_per_s)


def test_no_light_is_collected_during_readout() -> None:
    # Half the period is dead time: the number of emitters on is the same, the light half.
    whole = Emitters(af647(), 30_000, _seed(3))
    half = Emitters(af647(), 30_000, _seed(4))
    light = _light(0.1, 0.0, 1000.0)

    light_whole = sum(whole.advance(0.02, 0.02, light).on_s.sum() for _ in range(500))
    light_half = sum(half.advance(0.02, 0.01, light).on_s.sum() for _ in range(500))

    assert light_half / light_whole == pytest.approx(0.5, rel=0.06)


def test_frame_length_does_not_change_the_kinetics() -> None:
    light = _light(0.1, 0.0, 1000.0)

    bleached = []
    for seed, period_s in ((5, 0.002), (6, 0.2)):
        emitters = Emitters(af647(), 20_000, _seed(seed))
        for _ in range(round(20.0 / period_s)):
            emitters.advance(period_s, period_s, light)
        bleached.append(emitters.n_bleached)

    assert bleached[0] == pytest.approx(bleached[1], rel=5 * math.sqrt(2 / min(bleached)))


def test_dstorm_starts_with_a_switch_off_phase_when_all_are_on() -> None:
    emitters = Emitters(af647(), 5000, _seed(7), all_on=True)
    light = _light(0.0, 0.0, 2000.0)

    emitters.advance(0.05, 0.05, light)
    early = emitters.n_on
    for _ in range(10):
        emitters.advance(0.05, 0.05, light)

    assert early > 500
    assert emitters.n_on < 20
    assert emitters.n_dark > 4000


def test_meos_never_returns_to_the_pool() -> None:
    emitters = Emitters(meos32(), 20_000, _seed(8))
    light = _light(5.0, 500.0, 0.0)

    dark = []
    for _ in range(500):
        emitters.advance(0.05, 0.05, light)
        dark.append(emitters.n_dark)

    assert np.all(np.diff(dark) <= 0)
    k_conversion = 1.15e-3 * 5.0
    assert dark[-1] == pytest.approx(20_000 * math.exp(-k_conversion * 25.0), rel=0.02)
    assert emitters.n_activations == 20_000 - dark[-1]


def test_meos_red_form_is_dark_under_640_nm() -> None:
    emitters = Emitters(meos32(), 5000, _seed(9))

    lit = [emitters.advance(0.05, 0.05, _light(5.0, 0.0, 1000.0)) for _ in range(100)]

    assert emitters.n_activations > 0
    assert sum(frame.photons.sum() for frame in lit) == 0.0


def test_dna_paint_is_blind_to_the_activation_laser() -> None:
    seen = []
    for w405 in (0.0, 100.0):
        emitters = Emitters(dna_paint(), 2000, _seed(10))
        frames = [emitters.advance(0.1, 0.1, _light(w405, 0.0, 175.0)) for _ in range(200)]
        seen.append([frame.photons.sum() for frame in frames])

    assert seen[0] == seen[1]


def test_dna_paint_occupancy_and_brightness_are_those_of_binding() -> None:
    emitters = Emitters(dna_paint(imager_nm=2.0), 5000, _seed(11))
    light = _light(0.0, 0.0, 175.0)
    frames = [emitters.advance(0.1, 0.1, light) for _ in range(600)]

    bound = np.mean([frame.on_s.sum() / 0.1 for frame in frames[50:]])
    dark_s = 1.0 / (3.7e7 * 2e-9)
    bound_s = 1.0 / (1.0 / 0.28 + 53e3 / 1.5e6)
    assert bound == pytest.approx(5000 * bound_s / (bound_s + dark_s), rel=0.05)
    brightest = max(frame.photons.max() for frame in frames)
    assert brightest == pytest.approx(53.0 * 100.0, rel=1e-3)


def test_activation_follows_the_local_irradiance() -> None:
    n = 40_000
    emitters = Emitters(af647(), n, _seed(12))
    profile = np.ones((n, len(LASERS_NM)))
    profile[: n // 2, 0] = 0.25
    emitters.illuminate(profile)
    light = _light(1.0, 0.0, 2000.0)

    seen = np.concatenate([emitters.advance(0.01, 0.01, light).emitter for _ in range(200)])

    k_weak, k_strong = (af647().rate(POOL, ON, {405: w}) for w in (0.25, 1.0))
    # Depletion over two seconds takes more from the strong half.
    expected = (1 - math.exp(-2 * k_weak)) / (1 - math.exp(-2 * k_strong))
    touched = np.unique(seen)
    ratio = np.sum(touched < n // 2) / np.sum(touched >= n // 2)
    assert ratio == pytest.approx(expected, rel=0.06)


def test_emitters_are_conserved() -> None:
    emitters = Emitters(af647(), 3000, _seed(13), all_on=True)

    for i in range(300):
        lit = emitters.advance(0.02, 0.02, _light(float(i % 7), 0.0, 1000.0))
        assert len(np.unique(lit.emitter)) == len(lit.emitter)
        assert emitters.n_dark + emitters.n_active + emitters.n_bleached == 3000
        assert emitters.n_on <= emitters.n_active


def test_gaussian_beam_holds_its_power() -> None:
    # 50 mW in 50 um full width gives 1.77 kW/cm² in the centre.
    assert peak_irradiance_w_cm2(50.0, 50.0) == pytest.approx(1765, rel=0.005)

    x_nm, y_nm = np.meshgrid(*2 * (np.arange(-60e3, 60e3, 500.0),))
    irradiance = 1765.0 * beam_profile(x_nm, y_nm, (0.0, 0.0), 50.0)
    assert irradiance.sum() * (500e-7) ** 2 * 1e3 == pytest.approx(50.0, rel=0.01)
