"""Figures of merit on tables whose errors are known, without a localizer and without a movie."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from rtsmlm.bench.accuracy import figures
from rtsmlm.bench.accuracy.measure import Goal, Limit, Outcome, Row, as_json, manifest_rows
from rtsmlm.bench.accuracy.page import limit_text, markdown_table, value_text
from rtsmlm.bench.accuracy.scenes import Bound, Scene, curves_of
from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import LocalizerError
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.psf import AstigmaticPsf

STD_NM = 10.0
N_FRAMES = 40


def truth(rng: np.random.Generator) -> Localizations:
    """Return emitters 1 µm apart in frames of 128 x 128 pixels, anywhere within their pixel."""
    line = np.arange(1000.0, 12_000.0, 1000.0)
    x, y = (np.tile(axis.ravel(), N_FRAMES) for axis in np.meshgrid(line, line))
    n = len(x)
    return Localizations.from_columns(
        {
            "frame": np.repeat(np.arange(N_FRAMES), n // N_FRAMES),
            "x_nm": x + rng.uniform(-50, 50, n),
            "y_nm": y + rng.uniform(-50, 50, n),
            "z_nm": rng.uniform(-300, 300, n),
            "photons": rng.uniform(500, 3000, n),
        }
    )


def scene(table: Localizations, *, deep: bool = False) -> Scene:
    return Scene(
        batch=FrameBatch.from_pixels(np.zeros((N_FRAMES, 128, 128), np.uint16)),
        truth=table,
        calibration=CameraCalibration(pixel_nm=100.0),
        sigma_nm=130.0,
        curves=curves_of(AstigmaticPsf(pixel_nm=100.0)) if deep else None,
        bound=Bound(lateral_nm=STD_NM, axial_nm=3 * STD_NM),
    )


def found(
    table: Localizations, rng: np.random.Generator, *, std_nm: float = STD_NM, deep: bool = False
) -> Localizations:
    """Return the truth with normal errors; three times as large along z."""
    n = len(table)
    stated = np.full(n, np.float32(std_nm))
    error = rng.normal(0, std_nm, (3, n)).astype(np.float32)
    return replace(
        table,
        x_nm=table.x_nm + error[0],
        y_nm=table.y_nm + error[1],
        z_nm=table.z_nm + 3 * error[2] if deep else np.zeros(n, np.float32),
        std_x_nm=stated,
        std_y_nm=stated,
        std_z_nm=3 * stated if deep else np.full(n, np.nan, np.float32),
    )


@pytest.mark.parametrize("times", [1.0, 1.5])
def test_errors_at_the_bound_are_1_and_larger_ones_their_multiple(
    rng: np.random.Generator, times: float
) -> None:
    table = truth(rng)

    result = figures.isolated(
        scene(table, deep=True), found(table, rng, std_nm=times * STD_NM, deep=True)
    )

    assert result[figures.LATERAL] == pytest.approx(times, rel=0.03)
    assert result[figures.AXIAL] == pytest.approx(times, rel=0.04)
    assert result[figures.JACCARD] == 1.0


def test_a_table_without_z_is_not_judged_along_z(rng: np.random.Generator) -> None:
    table = truth(rng)

    result = figures.isolated(scene(table, deep=True), found(table, rng))

    assert math.isnan(result[figures.AXIAL])
    assert result[figures.JACCARD] == 1.0, "scored in two dimensions"


def test_nothing_found_is_not_a_number_rather_than_an_error(rng: np.random.Generator) -> None:
    table, nothing = truth(rng), Localizations.empty()

    for score in (figures.isolated, figures.honesty, figures.tight, figures.challenge):
        result = score(scene(table), nothing)
        assert result[figures.JACCARD] == 0.0
        assert all(math.isnan(value) or value <= 0 for value in result.values())


@pytest.mark.parametrize("claim", [0.5, 1.0, 2.0])
def test_stated_errors_are_judged_by_their_ratio(rng: np.random.Generator, claim: float) -> None:
    table = truth(rng)
    locs = found(table, rng)
    stated = locs.std_x_nm * np.float32(claim)

    result = figures.honesty(scene(table), replace(locs, std_x_nm=stated, std_y_nm=stated))

    assert result[figures.STD_Z] == pytest.approx(1 / claim, rel=0.03)
    assert result[figures.MAD_Z] == pytest.approx(1 / claim, rel=0.03)
    assert result[figures.PHASE_BIAS] < 2.5


def test_a_few_wild_errors_change_the_standard_deviation_and_not_the_median_deviation(
    rng: np.random.Generator,
) -> None:
    table = truth(rng)
    locs = found(table, rng)
    locs.x_nm[::20] += 150

    result = figures.honesty(scene(table), locs)

    assert result[figures.STD_Z] > 2
    assert result[figures.MAD_Z] == pytest.approx(1.0, rel=0.1)


def test_a_pull_to_the_pixel_grid_is_a_bias_within_the_pixel(rng: np.random.Generator) -> None:
    table = truth(rng)
    pulled = found(table, rng, std_nm=1.0)
    pulled.x_nm[:] -= 8 * np.sin(2 * np.pi * pulled.x_nm / 100)

    bias = figures.honesty(scene(table), pulled)[figures.PHASE_BIAS]

    assert bias == pytest.approx(8, rel=0.08)


def test_the_median_offset_of_a_measured_psf_does_not_count_in_the_challenge(
    rng: np.random.Generator,
) -> None:
    table = truth(rng)
    shifted = found(table, rng)
    shifted.x_nm[:] += 60

    result = figures.challenge(scene(table), shifted)

    assert result[figures.RMSE] == pytest.approx(STD_NM * math.sqrt(2), rel=0.03)
    assert result[figures.RMSE + figures.RANKED] == pytest.approx(result[figures.RMSE], rel=0.05)


def test_emitters_missed_by_100_nm_are_found_within_250_nm_only(rng: np.random.Generator) -> None:
    table = truth(rng)
    off = replace(table, x_nm=table.x_nm + np.float32(150))

    result = figures.tight(scene(table), off)

    assert result[figures.JACCARD] == 1.0
    assert result[figures.JACCARD + figures.NEAR] == 0.0


@given(count=st.integers(0, 60))
def test_a_poisson_limit_is_the_mean_that_leaves_5_percent_below(count: int) -> None:
    assert poisson.cdf(count, figures.poisson_limit(count)) == pytest.approx(0.05, rel=1e-6)


LIMITS = st.tuples(st.floats(-10, 10), st.floats(-10, 10)).map(lambda e: Limit(min(e), max(e)))


@given(limit=LIMITS, value=st.floats(-20, 20))
def test_a_limit_is_met_from_one_end_to_the_other(limit: Limit, value: float) -> None:
    assert limit.met(limit.low)
    assert limit.met(limit.high)
    assert limit.met(value) == (min(max(value, limit.low), limit.high) == value)


def row(figure: str, condition: str = "c", **values: float) -> Row:
    return Row(section="S", condition=condition, goal=Goal(figure=figure), values=values)


@settings(deadline=None)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_the_least_of_a_section_is_shown_once_in_place_of_all(values: list[float]) -> None:
    goal = Goal(figure="Jaccard index", least=True, bar=Limit(low=0.5))
    rows = [
        Row(section="S", condition=str(k), goal=goal, values={"net": value})
        for k, value in enumerate(values)
    ]

    shown = Outcome(rows=[*rows, row("RMSE", net=1.0)]).shown()

    assert [r.goal.figure for r in shown] == ["RMSE", "lowest Jaccard index"]
    assert shown[1].values == {"net": min(values)}
    assert shown[1].met("net") == (min(values) >= 0.5)


def test_one_reason_to_leave_a_contender_out_is_one_sentence() -> None:
    outcome = Outcome(notes=["no data"])
    for section in ("A", "B", "A"):
        outcome.leave_out("net", section, LocalizerError("too dense\nsecond line"))
    outcome.leave_out("net", "C", LocalizerError("other"))

    assert outcome.all_notes() == [
        "no data", "net is left out of A, B: too dense second line", "net is left out of C: other"
    ]  # fmt: skip


def test_json_has_none_for_what_is_not_a_number_or_has_no_end() -> None:
    goal = Goal(figure="f", bar=Limit(high=1.15), aim=Limit(0.9, 1.1))
    rows = [Row(section="s", condition="c", goal=goal, values={"a": math.nan, "b": 2.0})]

    (entry,) = as_json(rows)

    assert entry["values"] == {"a": None, "b": 2.0}
    assert entry["bar"] == [None, 1.15]
    assert entry["aim"] == [0.9, 1.1]
    assert manifest_rows(rows, "a") == ()


def test_a_table_has_columns_for_those_with_a_value_and_names_a_condition_once() -> None:
    rows = [row("f", a=1.0), row("g", a=2.0), row("f", "d", c=3.0)]

    lines = markdown_table(rows, ["a", "b", "c"]).splitlines()

    assert lines[0] == "| condition | figure | bar | aim | a | c |"
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["c", "", "d"]
    assert len({line.count("|") for line in lines}) == 1


def test_figures_and_limits_as_text() -> None:
    assert [value_text(v) for v in (1.23456, 0.00012345, math.nan)] == ["1.23", "0.000123", "-"]
    assert limit_text(None) == ""
    assert limit_text(Limit(high=1.15)) == "<= 1.15"
    assert limit_text(Limit(low=0.9)) == ">= 0.9"
