"""Which rows belong to one group."""

from __future__ import annotations

import numpy as np

from rtsmlm.fitting.group_table import group_rows


def test_groups_are_chains_within_one_frame() -> None:
    frame = np.array([0, 0, 0, 1, 1], dtype=np.int32)
    y, x = np.array([5.0, 6.0, 9.0, 5.0, 30.0]), np.array([5.0, 8.0, 9.0, 5.0, 5.0])

    for link_px, groups in ((3.5, [0, 0, 0, 3, 4]), (3.0, [0, 1, 2, 3, 4])):
        half = np.full(len(y), 0.5 * link_px)
        assert group_rows(frame, y, x, half, half).tolist() == groups


def test_wide_spots_are_linked_further_than_narrow_ones() -> None:
    frame = np.zeros(2, dtype=np.int32)
    y, x = np.zeros(2), np.array([0.0, 6.0])
    narrow, wide = np.full(2, 2.5), np.full(2, 3.5)

    assert group_rows(frame, y, x, wide, narrow).tolist() == [0, 1]
    assert group_rows(frame, y, x, narrow, wide).tolist() == [0, 0]
