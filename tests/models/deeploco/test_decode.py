"""Slots to rows: what is merged, what is left out, and what becomes of an emitter at a seam."""

import numpy as np
import pytest

from rtsmlm.errors import LocalizerError
from rtsmlm.localizations import F32
from rtsmlm.models.deeploco.decode import rows_of
from rtsmlm.models.rows import DecodeSettings, Row

CHANNELS = {"x": 0, "y": 64, "z": 128, "weight": 192, "light": 256, "background": 320}
SETTINGS = DecodeSettings(min_probability=0.3)
STEP_PX, SIDE_PX = 56, 120
"""Frames of 2 x 2 tiles."""
Slot = tuple[float, float, float, float]
"""x and y in pixels of the frame, z in halves, weight."""


def maps_of(tiles: dict[tuple[int, int], list[Slot]], *, photons: float = 4000.0) -> F32:
    maps = np.zeros((1, 321, 2, 2), np.float32)
    maps[0, 320] = 7.0
    for (i, j), slots in tiles.items():
        for k, (x, y, z, weight) in enumerate(slots):
            values = ((x + 0.5 - STEP_PX * j) / 64, (y + 0.5 - STEP_PX * i) / 64, (z + 1) / 2)
            light = weight * np.sqrt(photons / 1000.0)
            for first, value in zip(range(0, 320, 64), (*values, weight, light), strict=True):
                maps[0, first + k, i, j] = value
    return maps


def decoded(tiles: dict[tuple[int, int], list[Slot]]) -> F32:
    rows = rows_of(maps_of(tiles), (SIDE_PX, SIDE_PX), CHANNELS, SETTINGS, z_factor_px=1.5)
    return rows[0]


def test_a_slot_of_weight_one_is_an_emitter_at_its_place() -> None:
    (row,) = decoded({(0, 0): [(20.25, 31.5, 0.4, 1.0)]})

    assert row[[Row.X, Row.Y, Row.Z]] == pytest.approx([20.25, 31.5, 0.4], abs=1e-4)
    assert row[Row.PHOTONS] == pytest.approx(4000.0, rel=1e-4)
    assert row[Row.PROBABILITY] == pytest.approx(1.0)
    assert row[Row.BACKGROUND] == pytest.approx(7.0)


def test_slots_nearer_than_100_nm_are_one_emitter_at_their_weighted_mean() -> None:
    (row,) = decoded({(0, 0): [(20.0, 20.0, 0.0, 0.6), (20.8, 20.0, 0.0, 0.2)]})

    assert row[Row.X] == pytest.approx(20.2, abs=1e-3)
    assert row[Row.PROBABILITY] == pytest.approx(0.8, abs=1e-5)
    assert row[Row.PHOTONS] == pytest.approx(4000.0, rel=1e-3)


def test_slots_that_hang_together_by_steps_are_one_emitter() -> None:
    chain = [(20.0 + 0.9 * k, 20.0, 0.0, 0.25) for k in range(4)]

    rows = decoded({(0, 0): chain})

    assert len(rows) == 1
    assert rows[0, Row.PROBABILITY] == pytest.approx(1.0)


def test_merging_goes_on_until_nothing_changes() -> None:
    # The mean of the first two comes within reach of the third.
    (row,) = decoded({(0, 0): [(20.0, 20, 0, 0.2), (20.9, 20, 0, 0.2), (20.45, 20.95, 0, 0.5)]})

    assert row[Row.PROBABILITY] == pytest.approx(0.9)


def test_slots_further_apart_stay_two_beside_and_above_each_other() -> None:
    assert len(decoded({(0, 0): [(20.0, 20.0, 0.0, 1.0), (21.1, 20.0, 0.0, 1.0)]})) == 2
    assert len(decoded({(0, 0): [(20.0, 20.0, -0.4, 1.0), (20.0, 20.0, 0.4, 1.0)]})) == 2


def test_weights_of_hardly_anything_and_sums_below_the_limit_are_left_out() -> None:
    rows = decoded({(0, 0): [(20.0, 20.0, 0.0, 9e-4), (40.0, 40.0, 0.0, 0.29), (9, 9, 0, 0.31)]})

    assert rows[:, Row.X] == pytest.approx([9.0], abs=1e-4)


@pytest.mark.parametrize("disagreement_px", [0.0, 0.3, -0.3])
def test_an_emitter_on_a_seam_is_found_once(disagreement_px: float) -> None:
    seam_px = STEP_PX + 4 - 0.5

    rows = decoded({
        (0, 0): [(seam_px + disagreement_px / 2, 30.0, 0.0, 1.0)],
        (0, 1): [(seam_px - disagreement_px / 2, 30.0, 0.0, 1.0)],
    })  # fmt: skip

    assert len(rows) == 1
    assert rows[0, Row.X] == pytest.approx(seam_px, abs=1e-3)
    assert rows[0, Row.PROBABILITY] == 1.0


def test_what_a_tile_says_of_its_neighbours_part_is_left_out() -> None:
    assert len(decoded({(0, 0): [(62.0, 30.0, 0.0, 1.0)], (1, 0): [(30.0, 57.0, 0.0, 1.0)]})) == 0


def test_an_emitter_at_the_edge_of_the_frame_is_kept_and_one_in_the_padding_is_not() -> None:
    maps = maps_of({(0, 0): [(0.1, 30.0, 0.0, 1.0)], (0, 1): [(99.4, 30.0, 0, 1), (101, 9, 0, 1)]})

    (rows,) = rows_of(maps, (100, 100), CHANNELS, SETTINGS, z_factor_px=1.5)

    assert rows[:, Row.X] == pytest.approx([0.1, 99.4], abs=1e-3)


def test_rows_come_from_top_to_bottom_and_know_their_crowd() -> None:
    rows = decoded({(0, 0): [(20.0, 40.0, 0, 1.0), (20.0, 20.0, 0, 1.0), (23.0, 22.0, 0, 0.5)]})

    assert rows[:, Row.Y] == pytest.approx([20.0, 22.0, 40.0], abs=1e-3)
    assert rows[:, Row.CROWD] == pytest.approx([0.5, 1.0, 0.0])


def test_a_network_that_states_no_light_leaves_photons_unknown() -> None:
    channels = {name: first for name, first in CHANNELS.items() if name != "light"}

    (rows,) = rows_of(
        maps_of({(0, 0): [(20.0, 20.0, 0.0, 1.0)]}),
        (SIDE_PX, SIDE_PX),
        channels,
        SETTINGS,
        z_factor_px=1.5,
    )

    assert np.isnan(rows[0, Row.PHOTONS])


def test_what_is_no_number_is_no_emitter() -> None:
    maps = np.full((1, 321, 2, 2), np.nan, np.float32)

    assert len(rows_of(maps, (SIDE_PX, SIDE_PX), CHANNELS, SETTINGS, z_factor_px=1.5)[0]) == 0


def test_maps_of_another_region_of_interest_are_refused() -> None:
    maps = np.zeros((1, 321, 2, 2), np.float32)

    with pytest.raises(LocalizerError, match="2 x 2 tiles do not cover frames of 128 x 128"):
        rows_of(maps, (128, 128), CHANNELS, SETTINGS, z_factor_px=1.5)
