from __future__ import annotations

import json
import math

import numpy as np
import pytest

from rtsmlm.analysis.matching import match
from rtsmlm.analysis.metrics import (
    ALPHA_AXIAL,
    ALPHA_LATERAL,
    Field,
    Protocol,
    efficiency,
    evaluate,
    has_axial,
    photon_threshold,
)
from rtsmlm.localizations import Localizations

FIELD = Field.of_image((64, 64), 100.0)
WHOLE = Protocol(border_nm=0)


def rows(*points: tuple[float, ...], photons: list[float] | None = None) -> Localizations:
    """Rows of (frame, x_nm, y_nm[, z_nm])."""
    if not points:
        return Localizations.empty()
    names = ["frame", "x_nm", "y_nm", "z_nm"]
    columns = dict(zip(names, np.array(points, dtype=float).T, strict=False))
    return Localizations.from_columns(columns | ({} if photons is None else {"photons": photons}))


def pairs(locs: Localizations, truth: Localizations, **rules: object) -> list[tuple[int, int]]:
    matches = match(locs, truth, **{"radius_nm": 250.0, **rules})  # type: ignore[arg-type]
    return list(zip(matches.locs.tolist(), matches.truth.tolist(), strict=True))


@pytest.mark.parametrize(
    ("fp", "fn", "jaccard", "lateral", "axial", "e_lateral", "e_3d"),
    [
        (751, 8493, 46.16, 24.18, 172.00, 40.98, 19.76),
        (1011, 20311, 31.03, 59.31, 211.24, 9.04, -8.55),
        (127, 28061, 4.04, 87.47, 257.3, -29.84, -45.17),
        (43, 10920, 63.38, 56.62, 86.77, 32.57, 37.90),
    ],
    ids=["MT1 3D-WTM", "MT2 3D-WTM", "MT4 3D-WTM", "MT2 FALCON"],
)
def test_efficiencies_reproduce_the_leader_board_of_the_challenge(
    fp: int, fn: int, jaccard: float, lateral: float, axial: float, e_lateral: float, e_3d: float
) -> None:
    in_xy = efficiency(jaccard / 100, lateral, ALPHA_LATERAL)
    in_z = efficiency(jaccard / 100, axial, ALPHA_AXIAL)

    assert in_xy == pytest.approx(e_lateral, abs=0.02)
    assert (in_xy + in_z) / 2 == pytest.approx(e_3d, abs=0.02)


def test_counts_of_the_leader_board_give_its_jaccard_index() -> None:
    # MT1.N1.LD, 3D-WTM: 16 418 emitters, of which 8 493 missed, and 751 false.
    tp = 16418 - 8493
    truth = rows(*[(k, 1000, 1000) for k in range(16418)])
    locs = rows(*[(k, 1010, 1000) for k in range(tp)], *[(k, 5000, 5000) for k in range(751)])

    result = evaluate(locs, truth, FIELD)

    assert (result.tp, result.fp, result.fn) == (tp, 751, 8493)
    assert result.jaccard == pytest.approx(0.4616, abs=5e-5)
    assert result.recall == pytest.approx(0.4827, abs=5e-5)
    assert result.precision == pytest.approx(0.9134, abs=5e-5)


def test_nearest_first_leaves_a_pair_out_that_the_optimal_assignment_makes() -> None:
    truth = rows((0, 0, 0), (0, 100, 0))
    locs = rows((0, 90, 0), (0, 330, 0))

    assert pairs(locs, truth) == [(0, 1)]
    assert pairs(locs, truth, method="hungarian") == [(0, 0), (1, 1)]


def test_the_optimal_assignment_takes_the_least_sum_of_distances() -> None:
    truth = rows((0, 0, 0), (0, 100, 0), (0, 200, 0), (1, 0, 0))
    locs = rows((0, 190, 0), (0, 10, 0), (0, 95, 0), (1, 240, 0))

    assert pairs(locs, truth, method="hungarian") == [(0, 2), (1, 0), (2, 1), (3, 3)]


@pytest.mark.parametrize("method", ["greedy", "hungarian"])
def test_no_pair_crosses_frames_or_the_radius(method: str) -> None:
    truth = rows((0, 0, 0), (1, 0, 0), (2, 0, 0))
    locs = rows((0, 250, 0), (1, 250.1, 0), (3, 0, 0))

    assert pairs(locs, truth, method=method) == [(0, 0)]


def test_an_emitter_is_found_once_and_by_the_nearest() -> None:
    assert pairs(rows((0, 60, 0), (0, 50, 0), (0, 70, 0)), rows((0, 0, 0))) == [(1, 0)]


def test_in_3d_the_nearest_is_the_nearest_in_space_within_500_nm_of_z() -> None:
    truth = rows((0, 0, 0, 400))
    locs = rows((0, 0, 0, 0), (0, 200, 0, 350), (0, 0, 0, 901))

    assert pairs(locs, truth) == [(0, 0)]
    assert pairs(locs, truth, axial_nm=500.0) == [(1, 0)]
    assert pairs(locs.take(slice(2, 3)), truth, axial_nm=500.0) == []


def test_both_methods_agree_where_emitters_are_far_apart(rng: np.random.Generator) -> None:
    grid = np.stack(np.meshgrid(np.arange(30), np.arange(30)), axis=-1).reshape(-1, 2) * 600.0
    frame = np.repeat(np.arange(3), len(grid))
    xy = np.tile(grid, (3, 1))
    truth = rows(*np.column_stack([frame, xy]).tolist())
    found = rng.permutation(len(xy))[:2000]
    jitter = rng.normal(0, 20, (2000, 2))
    locs = rows(*np.column_stack([frame[found], xy[found] + jitter]).tolist())

    greedy = pairs(locs, truth)

    assert greedy == list(enumerate(found.tolist()))
    assert pairs(locs, truth, method="hungarian") == greedy


def test_every_figure_of_a_case_by_hand() -> None:
    truth = rows((0, 1000, 1000, 0), (0, 2000, 2000, 100), (1, 1000, 1000, 0))
    locs = rows((0, 1030, 1000, 50), (0, 2000, 2040, 100), (1, 4000, 4000, 0), (1, 5000, 900, 0))

    result = evaluate(locs, truth, FIELD, Protocol(axial_nm=500))

    assert (result.tp, result.fp, result.fn) == (2, 2, 1)
    assert result.jaccard == pytest.approx(2 / 5)
    assert result.recall == pytest.approx(2 / 3)
    assert result.precision == pytest.approx(2 / 4)
    assert result.f1 == pytest.approx(4 / 7)
    assert result.rmse_lateral_nm == pytest.approx(math.sqrt((900 + 1600) / 2))
    assert result.rmse_axial_nm == pytest.approx(math.sqrt(2500 / 2))
    assert result.rmse_volume_nm == pytest.approx(math.sqrt(5000 / 2))
    assert result.efficiency_lateral == pytest.approx(100 - math.hypot(60, math.sqrt(1250)))
    assert result.efficiency_axial == pytest.approx(100 - math.hypot(60, math.sqrt(1250) / 2))
    assert (result.median_dx_nm, result.median_dy_nm, result.median_dz_nm) == (15, 20, 25)
    assert (result.n_frames, result.locs_per_frame, result.truth_per_frame) == (2, 2.0, 1.5)


def test_within_the_border_neither_table_counts() -> None:
    # The field reaches from -50 nm, the outer edge of pixel 0, to 6350 nm.
    truth = rows((0, 399, 3000), (0, 400, 3000), (0, 3000, 5901))
    locs = rows((0, 395, 3000), (0, 402, 3000), (0, 3000, 6300))

    result = evaluate(locs, truth, FIELD)

    assert (result.tp, result.fp, result.fn) == (1, 0, 0)


def test_dim_emitters_are_neither_missed_nor_are_their_localizations_false() -> None:
    truth = rows(*[(k, 1000, 1000) for k in range(8)], photons=[10.9, 20.9, 30, 40, 50, 60, 70, 80])
    locs = rows((0, 1000, 1000), (1, 1000, 1000), (2, 1000, 1000), (3, 3000, 3000))

    result = evaluate(locs, truth, FIELD, Protocol(dimmest_dropped=0.25))

    assert result.min_photons == 27  # a quarter of the way is 27.7
    assert (result.tp, result.fp, result.fn) == (1, 1, 5)
    assert photon_threshold(truth, 0) == 0


def test_the_offset_is_reported_and_removed_only_on_request(rng: np.random.Generator) -> None:
    xy = rng.uniform(600, 5700, (400, 2))
    frame = np.arange(400)
    truth = rows(*np.column_stack([frame, xy]).tolist())
    moved = xy + np.array([28, -45]) + rng.normal(0, 5, xy.shape)
    locs = rows(*np.column_stack([frame, moved]).tolist())

    as_it_is = evaluate(locs, truth, FIELD)
    centred = evaluate(locs, truth, FIELD, Protocol(subtract_offset=True))

    for result in (as_it_is, centred):
        assert result.median_dx_nm == pytest.approx(28, abs=1)
        assert result.median_dy_nm == pytest.approx(-45, abs=1)
    assert as_it_is.rmse_lateral_nm == pytest.approx(math.hypot(28, 45, 5 * math.sqrt(2)), rel=0.02)
    assert centred.rmse_lateral_nm == pytest.approx(5 * math.sqrt(2), rel=0.06)


def test_honest_standard_deviations_have_a_ratio_of_one(rng: np.random.Generator) -> None:
    n = 20_000
    std = rng.uniform(4, 30, n)
    columns = {"frame": np.arange(n), "x_nm": np.full(n, 3000.0), "y_nm": np.full(n, 3000.0)}
    truth = Localizations.from_columns(columns | {"photons": np.full(n, 1000.0)})
    found = {name: columns[name] + rng.normal(0, std) for name in ("x_nm", "y_nm")}
    found |= {"std_x_nm": std, "std_y_nm": std, "photons": np.full(n, 900.0)}

    result = evaluate(Localizations.from_columns(columns | found), truth, FIELD)

    assert result.std_ratio == pytest.approx(1, abs=0.02)
    assert result.photons_ratio == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("locs", "truth", "counts"),
    [
        (rows(), rows(), (0, 0, 0)),
        (rows((0, 1000, 1000)), rows(), (0, 1, 0)),
        (rows(), rows((0, 1000, 1000)), (0, 0, 1)),
        (rows((0, 1000, 1000)), rows((0, 3000, 3000)), (0, 1, 1)),
    ],
    ids=["nothing", "no truth", "nothing found", "all wrong"],
)
@pytest.mark.parametrize("method", ["greedy", "hungarian"])
def test_without_a_match_errors_and_efficiencies_are_not_numbers(
    locs: Localizations, truth: Localizations, counts: tuple[int, ...], method: str
) -> None:
    result = evaluate(locs, truth, FIELD, Protocol(method=method, axial_nm=500))  # type: ignore[arg-type]

    assert (result.tp, result.fp, result.fn) == counts
    for name in ("rmse_lateral_nm", "rmse_axial_nm", "efficiency_3d", "median_dx_nm"):
        assert math.isnan(getattr(result, name))
        assert result.as_dict()[name] is None
    assert math.isnan(result.jaccard) if not any(counts) else result.jaccard == 0
    json.dumps(result.as_dict(), allow_nan=False)


def test_rows_without_a_position_are_never_matched() -> None:
    assert pairs(rows((0, math.nan, 0), (0, 5, 0)), rows((0, 0, 0))) == [(1, 0)]


def test_a_truth_compared_with_itself_is_perfect_and_fast(rng: np.random.Generator) -> None:
    n = 200_000
    columns = {name: rng.uniform(0, 25_500, n) for name in ("x_nm", "y_nm")}
    table = Localizations.from_columns(columns | {"frame": rng.integers(0, 4000, n)})

    result = evaluate(table, table, Field.of_image((256, 256), 100.0))

    assert result.jaccard == 1
    assert result.rmse_lateral_nm == 0
    assert result.n_truth == pytest.approx(n * (24_700 / 25_500) ** 2, rel=0.01)


def test_z_says_something_only_where_it_varies_or_has_an_error() -> None:
    flat = rows((0, 1, 2))

    assert not has_axial(flat)
    assert has_axial(rows((0, 1, 2, 30)))
    assert has_axial(Localizations.from_columns(flat.columns() | {"std_z_nm": np.array([30.0])}))


def test_a_field_around_rows_ends_at_edges_of_camera_pixels() -> None:
    table = rows((0, -47, 120), (0, 3127, 249))

    assert Field.around(table, pixel_nm=100.0) == Field(-50, 3150, 50, 250)
    assert Field.around(table) == Field(-47, 3127, 120, 249)
    assert Field.around(rows()) == Field(0, 0, 0, 0)
