"""Matching of localizations and emitters: properties that hold for any two tables."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.analysis.matching import Method, match
from rtsmlm.analysis.metrics import Field, Metrics, Protocol, evaluate, photon_threshold
from rtsmlm.localizations import Localizations

RADIUS_NM = 200.0
METHODS = get_args(Method)


def table(seed: int, n: int, *, side_nm: float = 1500.0) -> Localizations:
    """Return emitters of three frames, some of them without a finite place."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, side_nm, n)
    x[rng.uniform(size=n) < 0.05] = np.nan
    return Localizations.from_columns(
        {
            "frame": rng.integers(0, 3, n),
            "x_nm": x,
            "y_nm": rng.uniform(0, side_nm, n),
            "z_nm": rng.uniform(-500, 500, n),
            "photons": rng.uniform(100, 2000, n),
            "std_x_nm": np.full(n, 10.0),
            "std_y_nm": np.full(n, 10.0),
        }
    )


TABLES = st.builds(table, st.integers(0, 999), st.integers(0, 40))
"""Up to 13 emitters per frame in 1.5 µm: most have several candidates."""


def distances_nm(locs: Localizations, truth: Localizations) -> np.ndarray:
    """Return the lateral distance of every pair; infinite across frames and without a place."""
    dx, dy = (np.subtract.outer(getattr(locs, n), getattr(truth, n)) for n in ("x_nm", "y_nm"))
    apart = np.hypot(dx.astype(np.float64), dy)
    apart[locs.frame[:, None] != truth.frame] = np.inf
    return np.nan_to_num(apart, nan=np.inf)


@settings(deadline=None)
@given(locs=TABLES, truth=TABLES, method=st.sampled_from(METHODS))
def test_no_row_has_two_partners_and_none_is_out_of_reach(
    locs: Localizations, truth: Localizations, method: Method
) -> None:
    matches = match(locs, truth, radius_nm=RADIUS_NM, method=method)

    assert len(set(matches.locs)) == len(set(matches.truth)) == len(matches)
    assert (np.diff(matches.locs) > 0).all()
    assert (distances_nm(locs, truth)[matches.locs, matches.truth] <= RADIUS_NM + 1e-3).all()


@settings(deadline=None)
@given(locs=TABLES, truth=TABLES, method=st.sampled_from(METHODS))
def test_no_pair_in_reach_is_left_with_both_rows_free(
    locs: Localizations, truth: Localizations, method: Method
) -> None:
    matches = match(locs, truth, radius_nm=RADIUS_NM, method=method)

    apart = distances_nm(locs, truth)
    apart[matches.locs] = np.inf
    apart[:, matches.truth] = np.inf
    assert not (apart < RADIUS_NM - 1e-3).any()


@settings(deadline=None)
@given(locs=TABLES, truth=TABLES)
def test_the_optimal_assignment_never_makes_fewer_pairs(
    locs: Localizations, truth: Localizations
) -> None:
    greedy, best = (match(locs, truth, radius_nm=RADIUS_NM, method=m) for m in METHODS)

    assert len(best) >= len(greedy)
    if len(best) == len(greedy):
        apart = distances_nm(locs, truth)
        assert apart[best.locs, best.truth].sum() <= apart[greedy.locs, greedy.truth].sum() + 1e-3


@settings(deadline=None)
@given(locs=TABLES, truth=TABLES, seed=st.integers(0, 99), method=st.sampled_from(METHODS))
def test_the_order_of_the_rows_does_not_matter(
    locs: Localizations, truth: Localizations, seed: int, method: Method
) -> None:
    order = np.random.default_rng(seed).permutation(len(locs))

    before = match(locs, truth, radius_nm=RADIUS_NM, method=method)
    after = match(locs.take(order), truth, radius_nm=RADIUS_NM, method=method)

    pairs = set(zip(before.locs.tolist(), before.truth.tolist(), strict=True))
    assert set(zip(order[after.locs].tolist(), after.truth.tolist(), strict=True)) == pairs


@settings(deadline=None)
@given(locs=TABLES, truth=TABLES, axial_nm=st.floats(0, 1500))
def test_an_axial_limit_never_adds_pairs_and_is_kept(
    locs: Localizations, truth: Localizations, axial_nm: float
) -> None:
    flat = match(locs, truth, radius_nm=RADIUS_NM, method="hungarian")
    deep = match(locs, truth, radius_nm=RADIUS_NM, axial_nm=axial_nm, method="hungarian")

    assert len(deep) <= len(flat)
    assert (np.abs(locs.z_nm[deep.locs] - truth.z_nm[deep.truth]) <= axial_nm + 1e-3).all()


@pytest.mark.parametrize("method", METHODS)
def test_without_rows_there_are_no_pairs(method: Method) -> None:
    none, some = Localizations.empty(), table(1, 5)

    for locs, truth in ((none, some), (some, none), (none, none)):
        assert len(match(locs, truth, radius_nm=RADIUS_NM, method=method)) == 0


FIELD = Field(0.0, 1500.0, 0.0, 1500.0)
PROTOCOLS = st.builds(
    Protocol,
    radius_nm=st.just(RADIUS_NM),
    axial_nm=st.none() | st.floats(50, 1000),
    border_nm=st.floats(0, 400),
    method=st.sampled_from(METHODS),
    dimmest_dropped=st.sampled_from([0.0, 0.25, 0.9]),
)


def figures(locs: Localizations, truth: Localizations, protocol: Protocol) -> Metrics:
    return evaluate(locs, truth, FIELD, protocol)


@settings(deadline=None)
@given(locs=TABLES, truth=TABLES, protocol=PROTOCOLS)
def test_counts_and_indices_agree_with_each_other(
    locs: Localizations, truth: Localizations, protocol: Protocol
) -> None:
    found = figures(locs, truth, protocol)

    assert min(found.tp, found.fp, found.fn) >= 0
    assert found.tp + found.fp == found.n_locs <= len(locs)
    assert found.tp + found.fn == found.n_truth <= len(truth)
    if found.tp:
        assert found.jaccard <= min(found.recall, found.precision) <= found.f1 <= 1
        assert found.f1 == pytest.approx(2 * found.jaccard / (1 + found.jaccard))
        assert found.rmse_lateral_nm <= RADIUS_NM + 1e-3
        assert found.efficiency_lateral <= 100
    if found.tp and protocol.axial_nm is not None:
        assert found.rmse_axial_nm <= protocol.axial_nm + 1e-3
        volume = np.hypot(found.rmse_lateral_nm, found.rmse_axial_nm)
        assert found.rmse_volume_nm == pytest.approx(volume)
    if protocol.axial_nm is None:
        assert np.isnan([found.rmse_axial_nm, found.efficiency_3d, found.median_dz_nm]).all()


@settings(deadline=None)
@given(truth=st.builds(table, st.integers(0, 999), st.integers(5, 40)), dx=st.floats(-20, 20))
def test_a_common_offset_is_all_of_the_error_and_can_be_taken_off(
    truth: Localizations, dx: float
) -> None:
    truth = truth.take(np.isfinite(truth.x_nm))
    locs = replace(truth, x_nm=truth.x_nm + np.float32(dx))
    far = Field(-1e6, 1e6, -1e6, 1e6)

    plain = evaluate(locs, truth, far, Protocol(method="hungarian"))
    moved = evaluate(locs, truth, far, Protocol(method="hungarian", subtract_offset=True))

    assert plain.rmse_lateral_nm == pytest.approx(abs(dx), abs=0.01)
    assert moved.rmse_lateral_nm == pytest.approx(0, abs=0.01)
    assert plain.median_dx_nm == pytest.approx(dx, abs=0.01)
    assert moved.median_dx_nm == pytest.approx(dx, abs=0.01), "reported as first matched"


@given(dropped=st.sampled_from([0.1, 0.25, 0.5]), seed=st.integers(0, 99))
def test_the_dimmest_part_of_the_emitters_lies_below_the_threshold(
    dropped: float, seed: int
) -> None:
    truth = table(seed, 40)

    threshold = photon_threshold(truth, dropped)

    assert threshold == int(threshold), "whole photons, as in the challenge"
    assert np.mean(truth.photons < threshold) <= dropped + 1 / 40
    assert np.mean(truth.photons < threshold + 1) >= dropped - 1 / 40


def test_a_truth_without_photons_has_no_threshold() -> None:
    dark = replace(table(1, 10), photons=np.full(10, np.nan, np.float32))

    assert photon_threshold(dark, 0.25) == 0.0
    assert photon_threshold(Localizations.empty(), 0.25) == 0.0


def test_a_border_wider_than_the_field_leaves_nothing() -> None:
    assert not FIELD.inside(table(2, 40), 751.0).any()
