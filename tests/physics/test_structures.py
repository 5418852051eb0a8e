from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from scipy import spatial

from rtsmlm.physics.background import Background, haze_map
from rtsmlm.physics.structures import StructureName, place_emitters

SIZE_NM = (12_000.0, 9_000.0)


@pytest.mark.parametrize("structure", get_args(StructureName))
def test_structures_hold_all_emitters_and_stay_near_the_field(
    structure: StructureName, rng: np.random.Generator
) -> None:
    positions = place_emitters(structure, 5000, SIZE_NM, 600.0, rng)

    assert positions.shape == (5000, 3)
    # A structure may reach over the edge by its own radius, never by more.
    margin_nm = 100.0
    assert positions[:, :2].min() > -margin_nm
    assert positions[:, 0].max() < SIZE_NM[0] + margin_nm
    assert positions[:, 1].max() < SIZE_NM[1] + margin_nm
    assert np.abs(positions[:, 2]).max() < 300.0 + margin_nm


def test_origami_sites_are_20_nm_apart(rng: np.random.Generator) -> None:
    sites = place_emitters("origami", 12 * 30, (50_000.0, 50_000.0), 0.0, rng)

    nearest, _ = spatial.cKDTree(sites).query(sites, k=2)

    assert np.allclose(nearest[:, 1], 20.0)


def test_nuclear_pores_are_rings_of_107_nm_with_eight_corners(rng: np.random.Generator) -> None:
    sites = place_emitters("nuclear-pores", 64, (0.0, 0.0), 0.0, rng)

    radius = np.hypot(sites[:, 0], sites[:, 1])
    corner = np.angle(np.exp(8j * np.arctan2(sites[:, 1], sites[:, 0])))
    assert np.allclose(2 * radius, 107.0)
    assert np.abs(np.exp(1j * corner).mean()) > 0.5
    assert np.allclose(np.abs(sites[:, 2]), 25.0)


def test_filaments_leave_most_of_the_field_empty(rng: np.random.Generator) -> None:
    def filled(structure: StructureName) -> float:
        positions = place_emitters(structure, 20_000, SIZE_NM, 300.0, rng)
        counts, _, _ = np.histogram2d(positions[:, 0], positions[:, 1], bins=(120, 90))
        return float(np.mean(counts > 0))

    assert filled("filaments") < 0.3 < filled("uniform")


def test_background_is_smooth_has_mean_one_and_wanders(rng: np.random.Generator) -> None:
    background = Background((64, 96), rng)

    early, soon, late = (background.relative(t_s) for t_s in (0.0, 0.5, 30.0))

    assert early.shape == (64, 96)
    assert early.mean() == pytest.approx(1.0, abs=0.05)
    assert early.std() == pytest.approx(0.2, abs=0.05)
    assert np.abs(np.diff(early, axis=1)).max() < 0.1
    assert np.abs(soon - early).max() < 0.1 < np.abs(late - early).max()


def test_haze_holds_all_light_and_is_blurred() -> None:
    haze = haze_map(np.array([20.0]), np.array([30.0]), (64, 64), 5.0)

    assert haze.sum() == pytest.approx(1.0, rel=1e-3)
    assert np.unravel_index(haze.argmax(), haze.shape) == (30, 20)
    assert haze.max() == pytest.approx(1 / (2 * np.pi * 25), rel=0.05)
