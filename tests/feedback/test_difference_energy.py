"""The energy of the difference of two frames: of its light, of its model, and of noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.feedback.density.difference_energy import (
    N_SUMS,
    PIXELS,
    SHARP,
    VARIANCE,
    add_model,
    add_photons,
    hide_steady,
    sum_up,
)

F32 = np.float32


def test_a_window_of_a_frame_becomes_photons_with_the_maps_of_its_own_pixels(
    rng: np.random.Generator,
) -> None:
    pixels = rng.integers(100, 200, (20, 24)).astype(np.uint16)
    pixels.flags.writeable = False
    offset = rng.uniform(90, 100, (20, 24)).astype(F32)
    gain = rng.uniform(0.4, 0.6, (20, 24)).astype(F32)
    sums = np.zeros((2, 8, 9), F32)

    add_photons(pixels, offset, gain, 5, 7, -1.0, sums)
    add_photons(pixels, offset, gain, 5, 7, 1.0, sums)

    photons = (pixels - offset) * gain
    np.testing.assert_allclose(sums[0], 0.0, atol=1e-4)
    np.testing.assert_allclose(sums[1], 2 * photons[5:13, 7:16], rtol=1e-5)


@settings(max_examples=50, deadline=None)
@given(
    st.floats(12.0, 28.0), st.floats(12.0, 28.0), st.floats(1.0, 1e5), st.sampled_from([1.0, -1.0])
)
def test_a_drawn_emitter_has_its_photons_at_its_place(
    x: float, y: float, photons: float, sign: float
) -> None:
    out = np.zeros((41, 41), F32)

    n = add_model(np.array([x], F32), np.array([y], F32), np.array([photons], F32), 1.3, sign, out)

    place = np.arange(41)
    assert n == 1
    assert out.sum() == pytest.approx(sign * photons, rel=2e-3)
    assert (out.sum(axis=0) @ place) / out.sum() == pytest.approx(x, abs=0.02)
    assert (out.sum(axis=1) @ place) / out.sum() == pytest.approx(y, abs=0.02)


def test_rows_outside_or_not_finite_draw_nothing_and_do_not_count() -> None:
    out = np.zeros((20, 20), F32)
    x = np.array([math.nan, 10, 10, 500, -500], F32)
    y = np.array([10, math.inf, 10, 10, 10], F32)
    photons = np.array([1000, 1000, math.nan, 1000, 1000], F32)

    assert add_model(x, y, photons, 1.3, 1.0, out) == 0
    assert not out.any()


def test_an_emitter_beyond_the_edge_shines_in_and_does_not_count() -> None:
    out = np.zeros((20, 20), F32)
    one = np.array([-0.6], F32), np.array([10.0], F32), np.array([1000.0], F32)

    assert add_model(*one, 1.3, 1.0, out) == 0
    assert 100 < out.sum() < 500


def hidden_by(before: list[tuple[float, ...]], after: list[tuple[float, ...]]) -> np.ndarray:
    hidden = np.ones((40, 40), np.bool_)
    columns = (np.array(rows, F32).reshape(-1, 3).T.copy() for rows in (before, after))
    hide_steady(*columns, 1000.0, 1.3, hidden)
    return hidden


def test_only_what_is_bright_at_one_place_in_both_frames_is_hidden() -> None:
    bright, elsewhere, dim = (20.0, 20.0, 5000.0), (30.0, 20.0, 5000.0), (20.0, 20.0, 900.0)

    hidden = hidden_by([bright], [(20.5, 20.5, 6000.0)])
    assert hidden[20, 20]
    assert not hidden[:14].any()
    assert hidden.sum() == 13 * 13, "four widths to every side"
    assert not hidden_by([bright], [elsewhere]).any()
    assert not hidden_by([bright], [dim]).any()
    assert not hidden_by([dim], [bright]).any()
    assert not hidden_by([], [bright]).any()


def test_white_noise_has_the_energy_that_its_variance_states(rng: np.random.Generator) -> None:
    noise = rng.normal(0.0, 5.0, (200, 200)).astype(F32)
    frames = np.stack([noise, np.full_like(noise, 11.0)])
    still, sums = np.zeros_like(noise), np.zeros(N_SUMS)
    shown = np.zeros(noise.shape, np.bool_)
    read_variance = np.full((300, 300), 7.0, F32)

    sum_up(frames, still, still, shown, read_variance, 50, 60, 2.0, sums)

    assert sums[PIXELS] == 198 * 198
    assert sums[SHARP] / sums[PIXELS] == pytest.approx(36 * 25.0, rel=0.05)
    assert sums[VARIANCE] / sums[PIXELS] == pytest.approx(2.0 * 11.0 + 2 * 7.0)


def test_a_ramp_of_light_has_no_sharp_part_and_hidden_pixels_say_nothing() -> None:
    y, x = np.mgrid[:30, :30].astype(F32)
    frames = np.stack([3 * x - 2 * y + 5, np.ones((30, 30), F32)])
    still, sums = np.zeros((30, 30), F32), np.zeros(N_SUMS)
    hidden = np.zeros((30, 30), np.bool_)
    hidden[10:20, 10:20] = True

    sum_up(frames, still, still, hidden, still, 0, 0, 1.0, sums)

    assert sums[SHARP] == pytest.approx(0.0, abs=1e-3)
    assert sums[PIXELS] == 28 * 28 - 100
