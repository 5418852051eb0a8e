"""The movies on which localizers fall short hold what they say, and their bounds hold."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.bench.accuracy.hard_scenes import corner_scene, pair_scene, structure_scene
from rtsmlm.bench.accuracy.scenes import PIXEL_NM
from rtsmlm.physics.fisher import gaussian_crlb
from rtsmlm.physics.pair_bound import pair_crlb

SPOT = (1.3, 2000.0, 20.0)


def test_the_bound_of_a_far_pair_is_that_of_lone_emitters() -> None:
    alone = gaussian_crlb(2000.0, 20.0, 1.3, box_px=31).x_px[0]

    assert pair_crlb(2000.0, 20.0, 1.3, 9.0, box_px=41) == pytest.approx(alone, rel=0.02)


def test_the_nearer_a_pair_the_less_can_be_known_of_it() -> None:
    bounds = [pair_crlb(2000.0, 20.0, 1.3, d * 1.3, box_px=25) for d in (4.5, 3.5, 2.5, 1.8, 1.0)]

    assert (np.diff(bounds) > 0).all()
    assert bounds[-1] > 3.0 * bounds[0]


def test_corners_of_all_four_parities_are_met_alike() -> None:
    truth = corner_scene(np.random.default_rng(1), 20, SPOT).truth
    x, y = truth.x_nm / PIXEL_NM, truth.y_nm / PIXEL_NM

    from_corner = np.concatenate([x - np.floor(x) - 0.5, y - np.floor(y) - 0.5])
    assert np.abs(from_corner).max() < 0.3
    parity = 2 * (np.floor(y).astype(int) % 2) + np.floor(x).astype(int) % 2
    assert np.bincount(parity) == pytest.approx(np.full(4, len(truth) / 4), rel=0.2)


def test_pairs_lie_as_far_apart_as_asked() -> None:
    scene = pair_scene(np.random.default_rng(2), 3, 2.5, SPOT)
    first, second = scene.truth.take(slice(0, None, 2)), scene.truth.take(slice(1, None, 2))

    apart = np.hypot(second.x_nm - first.x_nm, second.y_nm - first.y_nm)
    assert apart == pytest.approx(np.full(len(first), 2.5 * 130.0), rel=1e-3)
    assert scene.bound is not None


def test_each_frame_of_a_structure_shows_others_of_its_labels() -> None:
    scene = structure_scene(np.random.default_rng(3), 20, "filaments", 0.5, SPOT)
    truth = scene.truth

    assert len(truth) / 20 / 25.6**2 == pytest.approx(0.5, rel=0.05)
    first, others = truth.take(truth.frame == 0), truth.take(truth.frame > 0)
    away = np.hypot(others.x_nm[:, None] - first.x_nm, others.y_nm[:, None] - first.y_nm)
    # Anywhere in the field the nearest of 9.5 per um2 would be 160 nm away.
    assert np.median(away.min(axis=0)) < 60.0, "all on the same filaments"
