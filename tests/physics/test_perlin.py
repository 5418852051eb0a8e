"""Perlin noise: its strength, its scale, its octaves."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.physics.perlin import perlin_noise


def likeness(field: np.ndarray, lag: int) -> float:
    return float(np.corrcoef(field[:, :-lag].ravel(), field[:, lag:].ravel())[0, 1])


@pytest.mark.parametrize("octaves", [1, 3])
def test_noise_has_no_mean_and_a_root_mean_square_of_one(
    octaves: int, rng: np.random.Generator
) -> None:
    fields = [perlin_noise((64, 48), 5.0, rng, octaves=octaves) for _ in range(60)]

    assert abs(np.mean(fields)) < 0.05
    assert np.sqrt(np.mean(np.square(fields))) == pytest.approx(1.0, rel=0.06)
    assert fields[0].shape == (64, 48)


def test_structures_are_as_large_as_the_cells(rng: np.random.Generator) -> None:
    coarse, fine = (perlin_noise((256, 256), scale, rng) for scale in (32.0, 4.0))

    assert likeness(coarse, 4) > 0.9
    assert likeness(fine, 4) < 0.4
    assert abs(likeness(fine, 12)) < 0.15


def test_octaves_add_structure_within_cells(rng: np.random.Generator) -> None:
    plain, rough = (perlin_noise((256, 256), 32.0, rng, octaves=n) for n in (1, 4))

    assert likeness(rough, 2) < likeness(plain, 2)
