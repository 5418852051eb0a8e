"""The loss of DECODE is the likelihood of its model, summed without shortcuts."""

import math

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.models.decode.losses import LEAST_VARIANCE, LINEAR_FROM, decode_loss  # noqa: E402
from rtsmlm.models.decode.maps import quantities  # noqa: E402
from rtsmlm.models.decode.scaling import Scaling  # noqa: E402
from rtsmlm.models.simulation.training_windows import Targets  # noqa: E402

SIDE = 12
SCALING = Scaling(offset=10.0, unit=40.0, photons_max=10000.0, background_max=200.0)
EMITTERS = ((4.3, 5.8, 0.4, 2000.0), (7.1, 6.6, -0.7, 4000.0))
"""x, y in pixels, z in halves of its range, photons."""


def targets_of(emitters: tuple[tuple[float, ...], ...] = EMITTERS) -> Targets:
    x, y, z, photons = torch.tensor(emitters).reshape(-1, 4).T
    return Targets(
        window=torch.zeros(len(emitters), dtype=torch.long),
        x_px=x,
        y_px=y,
        photons=photons,
        ignored=torch.zeros(1, SIDE, SIDE, dtype=torch.bool),
        background=torch.full((1, SIDE // 2, SIDE // 2), 50.0),
        z=z,
    )


def raw_maps() -> torch.Tensor:
    raw = torch.randn((1, 10, SIDE, SIDE), generator=torch.Generator().manual_seed(4))
    raw[:, 0] -= 3.0
    raw[:, 5:9] -= 2.0
    return raw


def log_density(value: float, mean: float, std: float) -> float:
    z = abs(value - mean) / std
    misfit = 0.5 * z**2 if z < LINEAR_FROM else LINEAR_FROM * (z - 0.5 * LINEAR_FROM)
    return -misfit - math.log(std) - 0.5 * math.log(2 * math.pi)


def test_two_emitters_cost_what_a_sum_over_all_pixels_says() -> None:
    raw, targets = raw_maps(), targets_of()
    maps = quantities(raw, SCALING)[0].double().tolist()
    p, photons, dx, dy, z, std_photons, std_x, std_y, std_z, background = maps
    pixels = [(row, column) for row in range(SIDE) for column in range(SIDE)]
    total = sum(p[r][c] for r, c in pixels)
    mixture = 0.0
    for x, y, depth, light in EMITTERS:
        likelihood = 0.0
        for r, c in pixels:
            logs = [
                log_density(x, c + dx[r][c], std_x[r][c]),
                log_density(y, r + dy[r][c], std_y[r][c]),
                log_density(depth / 1.2, z[r][c] / 1.2, std_z[r][c] / 1.2),
                log_density(light / 1e4, photons[r][c] / 1e4, std_photons[r][c] / 1e4),
            ]
            likelihood += p[r][c] / total * math.exp(sum(logs))
        mixture -= math.log(likelihood)
    variance = sum(p[r][c] * (1.0 - p[r][c]) for r, c in pixels) + LEAST_VARIANCE
    count = 2.0 * ((2.0 - total) ** 2 / (2.0 * variance) + 0.5 * math.log(variance))
    cells = [(r, c) for r in range(0, SIDE, 2) for c in range(0, SIDE, 2)]
    misfit = 0.0
    for r, c in cells:
        mean = sum(background[r + i][c + j] for i in (0, 1) for j in (0, 1)) / 4.0
        misfit += 4.0 * ((mean - 50.0) / 200.0) ** 2

    parts = decode_loss(raw, targets, SCALING)

    # Pixels more than three pixels off are left out of the mixture.
    assert float(parts["mixture"]) == pytest.approx(mixture / 2, abs=0.02)
    assert float(parts["count"]) == pytest.approx(count / 2, rel=1e-4)
    assert float(parts["background"]) == pytest.approx(misfit / 2, rel=1e-4)
    assert float(parts["total"]) == pytest.approx((mixture + count + misfit) / 2, abs=0.02)


def test_a_ghost_in_a_dark_frame_costs() -> None:
    dark = raw_maps()
    dark[:, 0] = -8.0
    ghost = dark.clone()
    ghost[0, 0, 5, 5] = 4.0

    without, with_ghost = (decode_loss(raw, targets_of(()), SCALING) for raw in (dark, ghost))

    assert float(with_ghost["count"]) > float(without["count"]) + 1.0
    assert torch.isfinite(without["total"])


def test_the_loss_stays_finite_where_all_pixels_are_sure() -> None:
    raw = raw_maps()
    raw[:, 0] = -30.0
    raw[0, 0, 6, 4] = raw[0, 0, 7, 7] = 30.0
    raw.requires_grad_()

    decode_loss(raw, targets_of(), SCALING)["total"].backward()

    assert raw.grad is not None
    assert torch.isfinite(raw.grad).all()
