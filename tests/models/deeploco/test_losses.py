"""The discrepancy of weighted points: against the sum over all pairs, and what it rewards."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.models.deeploco.losses import discrepancy  # noqa: E402

SCALES_NM = (64.0, 320.0, 640.0, 1920.0)
Points = list[tuple[float, float, float]]


def by_pairs(points: Points, weights: list[float]) -> float:
    """Sum over all pairs of points, as the paper has it."""
    total = 0.0
    for a, weight_a in zip(points, weights, strict=True):
        for b, weight_b in zip(points, weights, strict=True):
            apart = abs(a[0] - b[0]) + abs(a[1] - b[1]) + 0.2 * abs(a[2] - b[2])
            total += weight_a * weight_b * sum(math.exp(-apart / s) for s in SCALES_NM)
    return total


def loss_of(found: Points, weights: list[float], true: Points) -> float:
    (value,) = discrepancy(
        torch.tensor([found]),
        torch.tensor([[weights]]),
        torch.tensor([true]),
        torch.ones(1, 1, len(true)),
    )
    return float(value)


def draw(n: int, rng: np.random.Generator) -> Points:
    return [tuple(p) for p in rng.uniform((0, 0, 0), (6400, 6400, 1500), (n, 3)).tolist()]


def test_it_is_the_sum_over_all_pairs_of_points(rng: np.random.Generator) -> None:
    found, true = draw(64, rng), draw(7, rng)
    weights = rng.uniform(0, 1, 64).tolist()

    expected = by_pairs([*found, *true], [*weights, *[-1.0] * 7])

    assert loss_of(found, weights, true) == pytest.approx(expected, rel=1e-4)


def test_emitters_that_pad_a_batch_do_not_count(rng: np.random.Generator) -> None:
    found, true = torch.tensor([draw(5, rng)] * 2), torch.tensor([draw(3, rng)] * 2)
    weights = torch.full((2, 1, 5), 0.5)
    there = torch.tensor([[[1.0, 1.0, 1.0]], [[1.0, 1.0, 0.0]]])

    (padded,) = discrepancy(found, weights, true, there)
    (two,) = discrepancy(found[1:], weights[1:], true[1:, :2], there[1:, :, :2])

    assert float(padded[1]) == pytest.approx(float(two[0]), rel=1e-5)
    assert float(padded[0]) != pytest.approx(float(two[0]), rel=1e-2)


def test_the_gradient_is_that_of_the_sum() -> None:
    generator = torch.Generator().manual_seed(3)
    found = 6400.0 * torch.rand(2, 6, 3, generator=generator, dtype=torch.float64)
    weights = torch.rand(2, 2, 6, generator=generator, dtype=torch.float64)
    true = 6400.0 * torch.rand(2, 4, 3, generator=generator, dtype=torch.float64)
    there = torch.rand(2, 2, 4, generator=generator, dtype=torch.float64)

    def first(at: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return discrepancy(at, weight, true, there)[0]

    assert torch.autograd.gradcheck(first, (found.requires_grad_(), weights.requires_grad_()))


def test_it_is_zero_where_all_is_found_even_in_halves() -> None:
    true = [(1000.0, 2000.0, 300.0), (4000.0, 500.0, 900.0)]

    assert loss_of(true, [1.0, 1.0], true) == pytest.approx(0.0, abs=1e-4)
    assert loss_of([*true, true[0]], [0.5, 1.0, 0.5], true) == pytest.approx(0.0, abs=1e-4)


def test_it_falls_as_a_point_comes_nearer_from_far_and_from_near() -> None:
    true = [(3000.0, 3000.0, 700.0)]

    losses = [loss_of([(3000.0 + d, 3000.0, 700.0)], [1.0], true) for d in (2500, 600, 100, 20, 2)]

    assert losses == sorted(losses, reverse=True)


def test_a_fifth_of_a_distance_along_z_counts() -> None:
    true = [(3000.0, 3000.0, 700.0)]

    beside = loss_of([(3040.0, 3000.0, 700.0)], [1.0], true)
    above = loss_of([(3000.0, 3000.0, 900.0)], [1.0], true)

    assert above == pytest.approx(beside, rel=1e-4)
