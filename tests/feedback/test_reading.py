"""What the law takes from an estimate, and which estimates it takes for none."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from rtsmlm.feedback.law.reading import Reading, read
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.settings.feedback import FeedbackSettings

ESTIMATE = DensityEstimate(
    first_frame=0,
    last_frame=99,
    n_frames=100,
    t_exposure_end_ns=0,
    mean_per_um2=0.2,
    std_per_um2=0.01,
    local_per_um2=0.4,
    new_per_um2=0.05,
    unexplained=0.0,
    crowded=False,
    area_um2=300.0,
)
SETTINGS = FeedbackSettings()


def reading(estimate: DensityEstimate = ESTIMATE, **settings: object) -> Reading:
    found = read(estimate, FeedbackSettings.model_validate(settings), 0.1)
    assert found is not None
    return found


@pytest.mark.parametrize(("signal", "density"), [("mean", 0.2), ("local", 0.4), ("new", 0.05)])
def test_the_density_is_that_of_the_chosen_signal(signal: str, density: float) -> None:
    found = reading(signal=signal)

    assert found.density == density
    assert found.target == 0.1
    assert found.exposure_um2 == 30_000.0


@pytest.mark.parametrize(
    "changes",
    [
        {"mean_per_um2": math.nan},
        {"mean_per_um2": math.inf},
        {"mean_per_um2": -0.1},
        {"area_um2": 0.0},
        {"area_um2": math.nan},
        {"n_frames": 0},
    ],
)
def test_an_estimate_that_cannot_be_is_none(changes: dict[str, float]) -> None:
    assert read(replace(ESTIMATE, **changes), SETTINGS, 0.1) is None


def test_no_estimate_is_none() -> None:
    assert read(None, SETTINGS, 0.1) is None


def test_a_signal_that_is_not_known_is_none_although_the_mean_is() -> None:
    settings = FeedbackSettings(signal="new")

    assert read(replace(ESTIMATE, new_per_um2=math.nan), settings, 0.1) is None


def test_without_an_occupied_tile_the_local_density_is_none_and_not_unknown() -> None:
    assert reading(replace(ESTIMATE, local_per_um2=math.nan), signal="local").density == 0.0


@pytest.mark.parametrize("std", [0.0, math.nan, 1e-9])
def test_an_estimate_is_never_more_certain_than_counting_allows(std: float) -> None:
    found = reading(replace(ESTIMATE, std_per_um2=std))

    assert found.std == pytest.approx(math.sqrt(0.2 / 30_000), rel=0.01)


def test_a_larger_scatter_than_that_of_counting_is_kept() -> None:
    assert reading(replace(ESTIMATE, std_per_um2=0.07)).std == 0.07


def test_too_few_emitters_ask_for_more_light_and_too_many_for_less() -> None:
    found = reading()

    assert found.log_error(0.05) == pytest.approx(math.log(2.0), abs=1e-3)
    assert found.log_error(0.1) == pytest.approx(0.0, abs=1e-9)
    assert found.log_error(0.4) == pytest.approx(-math.log(4.0), abs=1e-3)


def test_no_emitter_at_all_is_a_large_error_and_not_an_infinite_one() -> None:
    error = reading().log_error(0.0)

    assert math.log(1000) < error < math.log(1e5)


@pytest.mark.parametrize(
    ("stated", "of_localizer", "limit"),
    [
        (None, math.inf, math.inf),
        (None, 0.8, math.log(2.0)),
        (0.2, 0.8, -math.log(2.0)),
        (1.6, 0.3, math.log(4.0)),
    ],
)
def test_the_crowded_part_limits_the_rise_by_the_settings_or_else_by_the_localizer(
    stated: float | None, of_localizer: float, limit: float
) -> None:
    estimate = replace(ESTIMATE, max_local_per_um2=of_localizer)

    found = reading(estimate, max_local_per_um2=stated)

    assert found.log_limit == pytest.approx(limit)
    assert found.log_error(1e-3) <= found.log_limit


@pytest.mark.parametrize("local", [math.nan, 0.0, -1.0])
def test_an_empty_field_is_limited_by_nothing(local: float) -> None:
    found = reading(replace(ESTIMATE, local_per_um2=local), max_local_per_um2=0.3)

    assert found.log_limit == math.inf


def test_an_endless_crowd_forbids_any_light() -> None:
    found = reading(replace(ESTIMATE, local_per_um2=math.inf), max_local_per_um2=0.3)

    assert found.log_error(1e-6) == -math.inf
