"""Dyes as Markov chains: rates that follow the light, and the figures that are known of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import constants

from rtsmlm.physics.dyes import (
    LASERS_NM,
    ON,
    POOL,
    Dye,
    af647,
    dna_paint,
    excitation_rate,
    make_dye,
    meos32,
)

DYES = {dye.name: dye for dye in (af647(), meos32(), dna_paint())}
READOUT_NM = {"AF647": 640, "mEos3.2": 561, "DNA-PAINT": 640}

each_dye = pytest.mark.parametrize("name", DYES)
irradiances = st.fixed_dictionaries({nm: st.floats(0.0, 5000.0) for nm in LASERS_NM})


def generator(dye: Dye, light: Mapping[int, float]) -> np.ndarray:
    """Rates per second from state to state, rows summing to 0."""
    matrix = np.zeros((dye.n_states, dye.n_states))
    for start in range(dye.n_states):
        for end in range(dye.n_states):
            if start != end:
                matrix[start, end] = dye.rate(start, end, light)
    return matrix - np.diag(matrix.sum(axis=1))


def photons_before(dye: Dye, light: Mapping[int, float], ends: set[int]) -> float:
    """Mean detected photons of an emitter that starts ON until it first reaches one of `ends`."""
    inner = [state for state in range(dye.n_states) if state not in ends]
    rates = generator(dye, light)[np.ix_(inner, inner)]
    dwell_s = np.linalg.solve(-rates.T, [float(state == ON) for state in inner])
    per_s = dye.brightness() @ [light.get(nm, 0.0) for nm in LASERS_NM]
    return float(dwell_s[inner.index(ON)] * per_s)


@given(st.floats(100.0, 300e3), st.floats(350.0, 800.0))
def test_absorbed_photons_follow_from_the_molar_extinction(
    extinction: float, wavelength_nm: float
) -> None:
    cross_section_cm2 = 1000 * math.log(10) * extinction / constants.Avogadro
    photons_per_joule = wavelength_nm * 1e-9 / (constants.Planck * constants.speed_of_light)

    rate = excitation_rate(extinction, wavelength_nm)

    assert rate == pytest.approx(cross_section_cm2 * photons_per_joule, rel=1e-4)


@each_dye
def test_nothing_leaves_the_bleached_state_and_no_state_turns_into_itself(name: str) -> None:
    dye = DYES[name]

    assert all(t.start != dye.bleached for t in dye.transitions)
    assert all(t.start != t.end for t in dye.transitions)
    assert all(0 <= t.start < dye.n_states and 0 <= t.end < dye.n_states for t in dye.transitions)


@each_dye
def test_only_a_reversible_dye_returns_to_the_dark_pool(name: str) -> None:
    returns = any(t.end == POOL for t in DYES[name].transitions)

    assert returns == DYES[name].reversible


@each_dye
def test_tables_hold_every_transition_once_ordered_by_its_start(name: str) -> None:
    dye = DYES[name]

    edges, thermal_per_s, by_laser = dye.tables()

    assert sorted(map(tuple, edges.tolist())) == sorted((t.start, t.end) for t in dye.transitions)
    assert (np.diff(edges[:, 0]) >= 0).all()
    assert thermal_per_s.shape == (len(edges),)
    assert by_laser.shape == (len(edges), len(LASERS_NM))
    assert (thermal_per_s >= 0).all()
    assert (by_laser >= 0).all()


@each_dye
@given(irradiances)
def test_compiled_tables_and_rates_agree_under_any_light(
    name: str, light: dict[int, float]
) -> None:
    dye = DYES[name]
    edges, thermal_per_s, by_laser = dye.tables()

    rates = thermal_per_s + by_laser @ [light[nm] for nm in LASERS_NM]

    for (start, end), rate in zip(edges.tolist(), rates, strict=True):
        assert dye.rate(start, end, light) == pytest.approx(rate)


@each_dye
@given(irradiances, st.floats(0.0, 4.0))
def test_light_adds_to_a_rate_in_proportion(
    name: str, light: dict[int, float], factor: float
) -> None:
    dye = DYES[name]
    more = {nm: factor * value for nm, value in light.items()}
    for t in dye.transitions:
        in_the_dark = dye.rate(t.start, t.end, {})
        by_light = dye.rate(t.start, t.end, light) - in_the_dark

        scaled = dye.rate(t.start, t.end, more)

        assert scaled == pytest.approx(in_the_dark + factor * by_light, rel=1e-9, abs=1e-9)


@each_dye
def test_light_of_an_unknown_wavelength_does_nothing(name: str) -> None:
    dye = DYES[name]

    assert all(
        dye.rate(t.start, t.end, {700: 1e6}) == dye.rate(t.start, t.end, {})
        for t in dye.transitions
    )


@each_dye
def test_no_dye_emits_under_the_activation_laser_alone(name: str) -> None:
    brightness = dict(zip(LASERS_NM, DYES[name].brightness(), strict=True))

    assert brightness[405] == 0.0
    assert brightness[READOUT_NM[name]] > 0.0


def test_af647_is_on_for_less_than_a_thousandth_of_the_time_without_activation() -> None:
    dye = af647()
    rates = generator(dye, {640: 1000.0})[: dye.bleached, : dye.bleached]
    np.fill_diagonal(rates, 0.0)  # bleaching left out
    np.fill_diagonal(rates, -rates.sum(axis=1))

    equations = np.vstack([rates.T, np.ones(dye.bleached)])
    share = np.linalg.lstsq(equations, [0.0] * dye.bleached + [1.0], rcond=None)[0]

    # Dempsey et al., Nat. Methods 8, 1027 (2011): duty cycles of some 10^-4 to 10^-3.
    assert 5e-5 < share[ON] < 1e-3


def test_an_event_of_af647_has_the_photons_that_were_counted() -> None:
    # Dempsey et al.: 5202 in the mean at their detection; here a tenth is detected.
    assert 3000 < photons_before(af647(), {640: 1000.0}, {POOL, 3}) < 8000


def test_an_meos_gives_about_a_thousand_photons_before_it_bleaches() -> None:
    dye = meos32()

    photons = photons_before(dye, {561: 1000.0, 405: 1.0}, {dye.bleached})

    assert photons == pytest.approx(1000, rel=0.3)


def test_blinks_of_an_meos_cost_time_and_not_photons() -> None:
    dye = meos32()

    dim, bright = (
        photons_before(dye, {561: 500.0, 405: w405}, {dye.bleached}) for w405 in (0.1, 50.0)
    )

    assert dim == pytest.approx(bright, rel=1e-6)


def test_a_bound_imager_stays_for_280_ms_in_the_dark_and_shorter_under_light() -> None:
    dye = dna_paint()

    assert 1 / dye.rate(ON, POOL, {}) == pytest.approx(0.28)
    assert dye.rate(ON, POOL, {640: 1000.0}) > dye.rate(ON, POOL, {640: 100.0})


@given(st.floats(0.01, 20.0))
def test_binding_follows_the_imager_concentration_and_no_light(imager_nm: float) -> None:
    dye = dna_paint(imager_nm)
    per_s = imager_nm * 1e-9 * 3.7e7

    assert dye.rate(POOL, ON, {}) == pytest.approx(per_s)
    assert dye.rate(POOL, ON, dict.fromkeys(LASERS_NM, 1e4)) == pytest.approx(per_s)


def test_a_better_detector_sees_more_photons_of_the_same_blinks() -> None:
    for make in (af647, meos32):
        poor, good = make(detection=0.05), make(detection=0.1)

        np.testing.assert_allclose(good.brightness(), 2 * poor.brightness())
        assert good.transitions == poor.transitions


@pytest.mark.parametrize("name", ["AF647", "mEos3.2", "DNA-PAINT"])
def test_dyes_are_made_by_name_and_the_imager_matters_to_paint_alone(name: str) -> None:
    thin, thick = make_dye(name, 0.5), make_dye(name, 5.0)  # type: ignore[arg-type]

    assert thin.name == name
    assert (thin.transitions != thick.transitions) == (name == "DNA-PAINT")
