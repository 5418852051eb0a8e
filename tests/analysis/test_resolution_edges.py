"""Resolution at its limits: tables too small, images without content, sizes that do not fit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.analysis.nena import nena_nm
from rtsmlm.analysis.resolution import ResolutionMeter, resolution_bins, ring_correlation
from rtsmlm.localizations import Localizations


def places(rng: np.random.Generator, n: int, side_nm: float = 6000.0) -> Localizations:
    return Localizations.from_columns(
        {
            "frame": rng.integers(0, 1000, n),
            "x_nm": rng.uniform(-50, side_nm, n),
            "y_nm": rng.uniform(-50, side_nm, n),
        }
    )


@settings(deadline=None, max_examples=25)
@given(
    rows=st.integers(2, 40).map(lambda n: 2 * n),
    columns=st.integers(2, 40).map(lambda n: 2 * n),
    seed=st.integers(0, 99),
    factor=st.floats(0.01, 100),
)
def test_a_correlation_is_symmetric_between_minus_1_and_1_and_without_scale(
    rows: int, columns: int, seed: int, factor: float
) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0, 9, (2, rows, columns)).astype(np.float32)

    curve = ring_correlation(a, b)

    assert len(curve) == max(rows, columns) // 2 + 1
    known = curve[np.isfinite(curve)]
    assert (np.abs(known) <= 1 + 1e-5).all()
    np.testing.assert_allclose(ring_correlation(b, a), curve, atol=1e-5)
    np.testing.assert_allclose(ring_correlation(a * np.float32(factor), b), curve, atol=1e-4)
    np.testing.assert_allclose(ring_correlation(a, a)[np.isfinite(curve)], 1, atol=1e-4)
    np.testing.assert_allclose(ring_correlation(a, -a)[np.isfinite(curve)], -1, atol=1e-4)


def test_empty_images_have_no_correlation_and_no_resolution() -> None:
    nothing = np.zeros((64, 64), np.float32)

    curve = ring_correlation(nothing, nothing)

    assert np.isnan(curve).all()
    assert math.isnan(resolution_bins(curve))


def test_images_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="no rings in common"):
        ring_correlation(np.ones((4, 4), np.float32), np.ones((4, 6), np.float32))


def test_agreement_up_to_the_nyquist_frequency_is_no_resolution() -> None:
    assert math.isnan(resolution_bins(np.ones(200)))
    assert math.isnan(resolution_bins(np.zeros(200)))


@given(ring=st.integers(30, 180))
def test_a_sharp_edge_of_the_curve_is_the_resolution_within_the_smoothing(ring: int) -> None:
    curve = np.where(np.arange(201) < ring, 1.0, 0.0)

    assert resolution_bins(curve) == pytest.approx(2 * 200 / ring, rel=0.2)


def test_no_rows_and_one_row_have_no_resolution(rng: np.random.Generator) -> None:
    meter = ResolutionMeter((64, 64), 100.0)
    assert math.isnan(meter.resolution_nm())
    meter.add(Localizations.empty())
    meter.add(places(rng, 1))

    assert meter.n_inside == 1
    assert math.isnan(meter.resolution_nm())


def test_a_field_smaller_than_the_least_image_still_counts_its_rows(
    rng: np.random.Generator,
) -> None:
    meter = ResolutionMeter((1, 1), 100.0)

    meter.add(places(rng, 100, side_nm=50.0))

    assert meter.n_inside == 100


def test_of_a_large_field_rows_count_once_the_part_is_chosen(rng: np.random.Generator) -> None:
    meter = ResolutionMeter((64, 64), 100.0, most_bins=256)  # 1.28 of 6.4 µm
    meter.add(places(rng, 5000))
    assert meter.n_inside == 0
    assert math.isnan(meter.resolution_nm())

    meter.add(places(rng, 20_000))

    share = (1.28 / 6.05) ** 2
    assert meter.n_inside == pytest.approx(25_000 * share, rel=0.15)


def test_rows_without_a_place_do_not_hinder_the_choice_of_the_part(
    rng: np.random.Generator,
) -> None:
    meter = ResolutionMeter((64, 64), 100.0, most_bins=256)
    rows = places(rng, 30_000)
    rows.x_nm[::3] = np.nan
    rows.y_nm[1::7] = np.inf

    meter.add(rows)

    assert 0 < meter.n_inside < 20_000


@pytest.mark.parametrize("n", [0, 1, 299])
def test_too_few_rows_show_no_precision(rng: np.random.Generator, n: int) -> None:
    assert math.isnan(nena_nm(places(rng, n)))


def test_rows_of_a_single_frame_show_no_precision(rng: np.random.Generator) -> None:
    rows = places(rng, 2000)

    assert math.isnan(nena_nm(rows.take(rows.frame >= 0).take(slice(0, 0))))
    rows.frame[:] = 7
    assert math.isnan(nena_nm(rows))


def test_the_precision_does_not_depend_on_where_or_in_which_order_the_rows_are(
    rng: np.random.Generator,
) -> None:
    n, std_nm = 4000, 12.0
    x, y = rng.uniform(0, 20_000, (2, n))
    here, there = (
        {"frame": 2 * np.arange(n) + k, "x_nm": x + rng.normal(0, std_nm, n),
         "y_nm": y + rng.normal(0, std_nm, n)}
        for k in (0, 1)
    )  # fmt: skip
    rows = Localizations.concatenate([Localizations.from_columns(c) for c in (here, there)])
    moved = rows.take(rng.permutation(len(rows)))
    moved.x_nm[:] += 5000

    assert nena_nm(rows) == pytest.approx(std_nm, rel=0.05)
    assert nena_nm(moved) == pytest.approx(nena_nm(rows), rel=0.01)
