"""The loss prefers the truth."""

import math
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.models.flagship.losses import LossWeights, flagship_loss  # noqa: E402
from rtsmlm.models.simulation.training_windows import Targets  # noqa: E402

SIDE = 32
Emitters = tuple[tuple[float, float, float], ...]
EMITTERS: Emitters = ((10.3, 7.8, 900.0), (20.1, 24.4, 3000.0))


def targets_of(emitters: Emitters = EMITTERS, ignored: Any = None) -> Targets:
    x, y, photons = (torch.tensor([e[i] for e in emitters]) for i in range(3))
    return Targets(
        window=torch.zeros(len(emitters), dtype=torch.long),
        x_px=x,
        y_px=y,
        photons=photons,
        ignored=torch.zeros(1, SIDE, SIDE, dtype=torch.bool) if ignored is None else ignored,
        background=torch.full((1, SIDE // 2, SIDE // 2), 20.0),
    )


def maps_of(
    emitters: Emitters = EMITTERS,
    *,
    std_px: float = 0.1,
    shift_px: float = 0.0,
    ghost: tuple[int, int] | None = None,
) -> Any:
    maps = torch.zeros(1, 32, SIDE // 2, SIDE // 2)
    maps[:, :4] = -14.0
    maps[:, 28] = math.log(20.0) / 3.0
    for x, y, photons in emitters:
        row, column = round(y), round(x)
        slot = 2 * (row % 2) + column % 2
        log_std = math.log(std_px) + 2.0
        offset = (math.atanh(x - column + shift_px), math.atanh(y - row))
        values = (6.0, *offset, math.log(photons / 1000), log_std, log_std, log_std)
        for attribute, value in enumerate(values):
            maps[0, 4 * attribute + slot, row // 2, column // 2] = value
    if ghost is not None:
        maps[0, 0, ghost[0], ghost[1]] = 4.0
    return maps


def total(maps: Any, targets: Targets | None = None) -> float:
    return float(flagship_loss(maps, targets or targets_of(), LossWeights()).total)


def test_the_truth_costs_less_than_a_shift_a_miss_or_a_ghost() -> None:
    truth = total(maps_of())

    assert total(maps_of(shift_px=0.2)) > truth + 0.5
    assert total(maps_of(EMITTERS[:1])) > truth + 1.0
    assert total(maps_of(ghost=(3, 12))) > truth + 1.0


def test_the_best_stated_error_is_the_error_made() -> None:
    losses = {s: total(maps_of(shift_px=0.1, std_px=s)) for s in (0.02, 0.06, 0.3)}

    assert min(losses, key=losses.get) == 0.06


def test_a_ghost_costs_in_an_empty_frame_too() -> None:
    empty = targets_of(())

    assert total(maps_of((), ghost=(3, 3)), empty) > total(maps_of(()), empty) + 1.0


def test_pixels_around_dim_emitters_are_free_to_say_what_they_like() -> None:
    ignored = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    ignored[0, 6:8, 24:26] = True
    asked, free = targets_of(), targets_of(ignored=ignored)

    def presence(targets: Targets) -> float:
        terms = flagship_loss(maps_of(ghost=(3, 12)), targets, LossWeights())
        return float(terms.presence)

    assert presence(free) < presence(asked) - 1.0


def test_one_emitter_of_one_pixel_has_the_likelihood_of_three_normal_distributions() -> None:
    one = EMITTERS[:1]
    terms = flagship_loss(maps_of(one, std_px=0.1), targets_of(one), LossWeights())

    assert float(terms.mixture) == pytest.approx(
        1.5 * math.log(2 * math.pi) + 3 * math.log(0.1), abs=0.02
    )


def test_the_gradient_is_finite_for_saturated_maps() -> None:
    maps = (100.0 * maps_of()).requires_grad_()

    flagship_loss(maps, targets_of(), LossWeights()).total.backward()

    assert bool(torch.isfinite(maps.grad).all())


def test_depth_is_asked_for_where_the_psf_tells_it() -> None:
    heights = torch.tensor([0.4, -0.7])
    targets = replace(targets_of(), z=heights)

    def maps(shift: float) -> Any:
        axial = torch.zeros(1, 40, SIDE // 2, SIDE // 2)
        planar = maps_of()
        axial[:, :28] = planar[:, :28]
        axial[:, 36] = planar[:, 28]
        for (x, y, _), height in zip(EMITTERS, heights, strict=True):
            row, column = round(y), round(x)
            slot = 2 * (row % 2) + column % 2
            axial[0, 28 + slot, row // 2, column // 2] = math.atanh((float(height) + shift) / 1.25)
            axial[0, 32 + slot, row // 2, column // 2] = math.log(0.1) + 2.0
        return axial

    assert total(maps(0.2), targets) > total(maps(0.0), targets) + 0.5
    assert total(maps(-0.2), targets) > total(maps(0.0), targets) + 0.5
