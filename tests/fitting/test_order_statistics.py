"""Values by rank are those of NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rtsmlm.fitting.order_statistics import median_of, value_at_rank

FINITE = st.floats(-1e6, 1e6, width=32)
TABLES = arrays(np.float32, st.integers(1, 60), elements=FINITE)


@given(values=TABLES, data=st.data())
def test_the_value_at_a_rank_is_that_of_the_sorted_ones(
    values: np.ndarray, data: st.DataObject
) -> None:
    rank = data.draw(st.integers(0, len(values) - 1))
    reordered = values.copy()

    assert value_at_rank(reordered, rank) == np.sort(values)[rank]
    np.testing.assert_array_equal(np.sort(reordered), np.sort(values))


@given(values=TABLES)
def test_the_median_is_that_of_numpy(values: np.ndarray) -> None:
    assert median_of(values.copy()) == pytest.approx(float(np.median(values.astype(float))))


def test_equal_values_end(rng: np.random.Generator) -> None:
    assert median_of(np.full(1001, 3.0)) == 3.0
    assert median_of(rng.integers(0, 2, 10_001).astype(np.float64)) in (0.0, 1.0)
