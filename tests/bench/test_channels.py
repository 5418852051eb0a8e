"""Both ways of combining two views, on the same boxes."""

from __future__ import annotations

import numpy as np

from rtsmlm.bench.channels.measure import WAYS, measure


def test_one_fit_to_both_views_reaches_the_bound_and_is_no_worse_than_a_fit_to_each() -> None:
    figures = {one.way: one for one in measure(500.0, 400, np.random.default_rng(0))}

    assert set(figures) == set(WAYS)
    joint, paired = figures["one fit"], figures["a fit each"]
    assert joint.failed <= paired.failed
    assert joint.error_nm < 1.12 * joint.bound_nm
    assert joint.error_nm < 1.02 * paired.error_nm
    assert joint.crosstalk < 0.02
