"""Filter of what is shown: which limits are refused, which columns are limited, round trip."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.errors import ConfigError
from rtsmlm.render.columns import COLUMNS, FRAME, PHOTONS, PROBABILITY, STD_X, STD_Y, Z, passes
from rtsmlm.render.filter import Filter

RANGES = st.none() | st.tuples(st.floats(-1e6, 1e6, width=32), st.floats(-1e6, 1e6, width=32)).map(
    lambda ends: (min(ends), max(ends))
)
FILTERS = st.builds(
    Filter,
    std_nm=RANGES,
    photons=RANGES,
    frame=RANGES,
    z_nm=RANGES,
    min_probability=st.floats(0, 1, width=32),
)


@pytest.mark.parametrize("limits", [(2.0, 1.0), (math.nan, 1.0), (0.0, math.nan)])
@pytest.mark.parametrize("name", ["std_nm", "photons", "frame", "z_nm"])
def test_a_range_that_lets_nothing_pass_is_refused_by_name(
    name: str, limits: tuple[float, float]
) -> None:
    with pytest.raises(ConfigError, match=name):
        Filter(**{name: limits})


@pytest.mark.parametrize("probability", [-0.1, 1.1, math.nan])
def test_a_probability_beyond_0_and_1_is_refused(probability: float) -> None:
    with pytest.raises(ConfigError, match="from 0 to 1"):
        Filter(min_probability=probability)


def test_without_limits_nothing_is_compared() -> None:
    columns, bounds = Filter().bounds()

    assert len(columns) == 0
    assert bounds.shape == (0, 2)
    assert Filter().describe() == {}


def test_both_lateral_precisions_have_the_limits() -> None:
    columns, bounds = Filter(std_nm=(1.0, 20.0)).bounds()

    assert set(columns) == {STD_X, STD_Y}
    np.testing.assert_array_equal(bounds, [[1, 20], [1, 20]])


@given(shown=FILTERS)
def test_what_is_written_beside_an_image_makes_the_same_filter(shown: Filter) -> None:
    described = shown.describe()

    again = Filter(**{k: tuple(v) if isinstance(v, list) else v for k, v in described.items()})  # type: ignore[arg-type]

    assert again == shown


@given(shown=FILTERS, row=st.lists(st.floats(-1e6, 1e6, width=32), min_size=5, max_size=5))
def test_a_row_passes_exactly_if_each_of_its_values_is_within_its_range(
    shown: Filter, row: list[float]
) -> None:
    std, photons, frame, z, probability = row
    table = np.zeros((COLUMNS, 1), np.float32)
    for column, value in zip(
        (STD_X, STD_Y, PHOTONS, FRAME, Z, PROBABILITY),
        (std, std, photons, frame, z, probability),
        strict=True,
    ):
        table[column] = value
    ranges = (shown.std_nm, shown.photons, shown.frame, shown.z_nm)

    expected = all(
        limits is None or limits[0] <= value <= limits[1]
        for limits, value in zip(ranges, row, strict=False)
    ) and (shown.min_probability == 0 or probability >= shown.min_probability)

    assert passes.py_func(table, 0, *shown.bounds()) == expected


def test_a_value_that_is_not_known_is_outside_every_range() -> None:
    table = np.full((COLUMNS, 1), np.nan, np.float32)

    assert not passes.py_func(table, 0, *Filter(z_nm=(-math.inf, math.inf)).bounds())
    assert passes.py_func(table, 0, *Filter().bounds())
