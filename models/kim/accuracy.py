"""What a network after Kim et al. reaches beside what the photons allow: rows of its manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from rtsmlm.models.box_classes.calibration import calibration_error
from rtsmlm.models.box_classes.packaging import MIN_PROBABILITY
from rtsmlm.models.simulation.dye_boxes import DyeBoxes, DyeBoxSampler
from rtsmlm.physics.dye_information import DyeBounds, dye_bounds
from rtsmlm.physics.psf import Psf

PHOTONS = (1000.0, 2000.0, 4000.0, 10000.0)
BACKGROUND = 20.0
SEED = 6_200_003
N_BOUNDS = 200
"""Boxes whose bounds are computed."""
UPPER = "upper half of the depths, nm"
"""Near the focal plane a spot hardly changes with depth, and the bound has no end."""
Row = dict[str, float | str]


def lone_boxes(sampler: DyeBoxSampler, photons: float, n: int, seed: int) -> DyeBoxes:
    """Return boxes of one emitter on a flat background.

    Parameters
    ----------
    sampler
        PSFs, depths and places.
    photons
        Of each emitter.
    n
        Number of boxes.
    seed
        Of the random numbers.
    """
    fixed = sampler.ranges.model_copy(
        update={
            "photons": (photons, photons * (1.0 + 1e-6)),
            "background": (BACKGROUND, BACKGROUND * (1.0 + 1e-6)),
            "read_noise_e": (1.0, 1.0 + 1e-6),
            "neighbour_fraction": 0.0,
            "slope": 0.0,
        }
    )
    draw = DyeBoxSampler(fixed, sampler.tables, torch.device("cpu"))
    return draw(n, torch.Generator().manual_seed(seed))


@torch.no_grad()
def accuracy_rows(
    graph: Callable[[Tensor], Tensor],
    sampler: DyeBoxSampler,
    psfs: Sequence[Psf],
    *,
    n_boxes: int,
) -> tuple[Row, ...]:
    """Return rows of the accuracy table.

    Parameters
    ----------
    graph
        Boxes in photons to probabilities, depth and, if stated, its error.
    sampler
        What it was trained on.
    psfs
        PSF of each dye.
    n_boxes
        Boxes of each condition.
    """
    n_dyes, rows = len(sampler.ranges.names), list[Row]()
    low, high = sampler.ranges.z_nm
    for photons in PHOTONS:
        boxes = lone_boxes(sampler, photons, n_boxes, SEED + int(photons))
        answer = graph(boxes.photons)
        figures = figures_of(answer, boxes, n_dyes)
        bounds = bounds_of(boxes, sampler, psfs, N_BOUNDS)
        upper = boxes.z_nm[: len(bounds)] > (low + high) / 2.0
        figures |= {
            "right dye, % that the photons allow": 100 * _mean([b.right for b in bounds]),
            "right dye, % that they allow with all else known": 100
            * _mean([b.right_if_known for b in bounds]),
            f"z: Cramér-Rao bound, {UPPER}": _mean(
                [b.z_nm**2 for b, far in zip(bounds, upper, strict=True) if far]
            )
            ** 0.5,
        }
        condition = (
            f"z {low:.0f} to {high:.0f} nm, {photons:.0f} photons, background {BACKGROUND:.0f}"
        )
        rows += [
            {"test": "Lone emitters", "condition": condition, "figure": name,
             "value": float(f"{value:.4g}")}
            for name, value in figures.items()
        ]  # fmt: skip
    return tuple(rows)


def bounds_of(
    boxes: DyeBoxes, sampler: DyeBoxSampler, psfs: Sequence[Psf], most: int
) -> list[DyeBounds]:
    """Return the bounds of boxes, of the first `most` of them."""
    ranges = sampler.ranges
    columns = (boxes.dye, boxes.x_px, boxes.y_px, boxes.z_nm, boxes.light, boxes.background)
    return [
        dye_bounds(
            psfs, int(dye), (x, y, z), light, background, z_nm=ranges.z_nm, box_px=ranges.box_px
        )
        for dye, x, y, z, light, background in zip(
            *(column[:most].tolist() for column in columns), strict=True
        )
    ]


def figures_of(answer: Tensor, boxes: DyeBoxes, n_dyes: int) -> dict[str, float]:
    """Return the figures of answers to boxes by name."""
    probability, z_nm = answer[:, :n_dyes], answer[:, n_dyes]
    best, chosen = probability.max(dim=1)
    right, kept = chosen == boxes.dye, best >= MIN_PROBABILITY
    off = (z_nm - boxes.z_nm)[right]
    upper = off[boxes.z_nm[right] > boxes.z_nm.mean()]
    return {
        "right dye, %": 100 * _mean(right.float()),
        f"rows with a probability of {MIN_PROBABILITY:g} or more, %": 100 * _mean(kept.float()),
        "right dye among them, %": 100 * _mean(right[kept].float()),
        "probability less part that is right, mean": calibration_error(probability, boxes.dye),
        "z: RMSE, nm": float(off.square().mean().sqrt()),
        f"z: RMSE, {UPPER}": float(upper.square().mean().sqrt()),
    }


def _mean(values: Tensor | Sequence[float]) -> float:
    return float(np.mean(np.asarray(values))) if len(values) else 0.0
