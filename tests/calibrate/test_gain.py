"""Gain by photon transfer: exact data give exact gains, and noise is drawn to the common gain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.calibrate.gain import GainMap, Level, fit_gain
from rtsmlm.errors import CalibrationError

SHAPE = (24, 32)
DARK_ADU2 = np.full(SHAPE, 4.0)
N_DARK = 2000


def level(
    signal_adu: float,
    gain: np.ndarray | float,
    *,
    n_frames: int = 1000,
    flicker: float = 0.0,
    rng: np.random.Generator | None = None,
    usable: np.ndarray | None = None,
    name: str = "light",
) -> Level:
    """Return a level of light; with `rng` the variances scatter as those of so many frames."""
    signal = np.full(SHAPE, signal_adu)
    variance = gain * signal
    if rng is not None:
        scatter = rng.chisquare(n_frames - 1, SHAPE) / (n_frames - 1)
        variance = (variance + DARK_ADU2) * scatter - DARK_ADU2
    return Level(
        name=name,
        signal_adu=signal,
        extra_variance_adu2=variance + flicker * signal**2,
        n_frames=n_frames,
        flicker=flicker,
        usable=np.ones(SHAPE, np.bool_) if usable is None else usable,
    )


def fitted(*levels: Level, multiplied: float = 1.0) -> GainMap:
    return fit_gain(levels, DARK_ADU2, N_DARK, multiplied)


@settings(deadline=None, max_examples=30)
@given(
    gain=st.floats(0.05, 50), signal=st.floats(20, 5000), flicker=st.floats(0, 1e-3),
    multiplied=st.floats(1, 600),
)  # fmt: skip
def test_variances_without_noise_give_the_gain_itself(
    gain: float, signal: float, flicker: float, multiplied: float
) -> None:
    levels = [level(k * signal, gain * multiplied, flicker=flicker) for k in (1, 2, 4)]

    found = fitted(*levels, multiplied=multiplied)

    assert found.typical == pytest.approx(gain, rel=1e-4)
    np.testing.assert_allclose(found.adu_per_e, gain, rtol=1e-3)
    assert found.n_defects == found.n_unknown == 0
    for _, at_level in found.levels:
        assert at_level == pytest.approx(gain, rel=1e-4)


def test_the_gain_of_equal_pixels_is_not_scattered_by_the_noise_of_their_variances(
    rng: np.random.Generator,
) -> None:
    found = fitted(level(500, 2.0, n_frames=200, rng=rng))

    assert found.pixel_std == pytest.approx(2.0 * np.sqrt(2 / 199), rel=0.1)
    assert found.adu_per_e.std() < 0.3 * found.pixel_std
    assert abs(found.typical - 2.0) < 4 * found.typical_std
    assert found.reliability < 0.3
    assert any("stays close to the typical gain" in note for note in found.notes)


def test_true_differences_between_pixels_are_kept(rng: np.random.Generator) -> None:
    true = 2.0 * (1 + 0.1 * rng.standard_normal(SHAPE))

    found = fitted(level(500, true, n_frames=2000, rng=rng))

    assert found.spread == pytest.approx(0.2, rel=0.15)
    assert found.reliability > 0.8
    assert np.corrcoef(found.adu_per_e.ravel(), true.ravel())[0, 1] > 0.9
    raw_error = found.pixel_std
    assert np.sqrt(np.mean((found.adu_per_e - true) ** 2)) < 1.05 * raw_error


def test_every_gain_is_between_its_own_slope_and_the_common_one(rng: np.random.Generator) -> None:
    light = level(500, 2.0 * (1 + 0.03 * rng.standard_normal(SHAPE)), n_frames=300, rng=rng)

    found = fitted(light)

    raw = light.extra_variance_adu2 / light.signal_adu
    low, high = np.minimum(raw, found.typical), np.maximum(raw, found.typical)
    assert ((found.adu_per_e >= low - 1e-3) & (found.adu_per_e <= high + 1e-3)).all()


def test_the_map_is_nearer_to_the_true_gains_than_raw_slopes_and_than_one_number(
    rng: np.random.Generator,
) -> None:
    true = 2.0 * (1 + 0.06 * rng.standard_normal(SHAPE))
    light = level(500, true, n_frames=400, rng=rng)

    found = fitted(light)

    def error(gain: np.ndarray | float) -> float:
        return float(np.sqrt(np.mean((gain - true) ** 2)))

    raw = light.extra_variance_adu2 / light.signal_adu
    assert error(found.adu_per_e) < 0.85 * error(raw)
    assert error(found.adu_per_e) < 0.85 * error(found.typical)


def test_a_pixel_without_light_takes_the_typical_gain(rng: np.random.Generator) -> None:
    usable = np.ones(SHAPE, np.bool_)
    usable[3, 4] = False

    found = fitted(level(500, 2.0, rng=rng, usable=usable))

    assert found.n_unknown == 1
    assert found.adu_per_e[3, 4] == pytest.approx(found.typical)


def test_a_defect_keeps_its_slope_unless_that_is_beyond_belief(rng: np.random.Generator) -> None:
    gain = np.full(SHAPE, 2.0)
    gain[1, 2], gain[5, 6] = 6.0, 60.0

    found = fitted(level(500, gain, rng=rng))

    assert (found.n_defects, found.n_unknown) == (1, 1)
    assert found.adu_per_e[1, 2] == pytest.approx(6.0, rel=0.3)
    assert found.adu_per_e[5, 6] == pytest.approx(2.0, rel=0.05)


def test_frames_whose_variance_falls_with_the_light_are_refused() -> None:
    with pytest.raises(CalibrationError, match="neither averaged nor denoised"):
        fitted(level(500, -0.01))


def test_a_gain_that_depends_on_the_light_is_pointed_out_with_its_figures() -> None:
    found = fitted(level(100, 2.0), level(1000, 2.2))

    assert any("check its linearity" in n and "2.2 at 1000 ADU" in n for n in found.notes)
    assert not any("linearity" in n for n in fitted(level(100, 2.0), level(1000, 2.02)).notes)


def test_flicker_worth_a_tenth_of_the_photon_noise_is_pointed_out_by_level() -> None:
    strong = fitted(level(1000, 2.0, flicker=1e-3, name="bright.tif"))
    weak = fitted(level(1000, 2.0, flicker=1e-4))

    assert any("bright.tif flickered" in note for note in strong.notes)
    assert not any("flickered" in note for note in weak.notes)
