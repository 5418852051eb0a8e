"""What a network of boxes reaches beside the Cramér-Rao bound: rows of its manifest."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rtsmlm.models.box_parameters.quantities import Quantity, quantities_of, raw_to_units, truths_of
from rtsmlm.models.simulation.box_bounds import box_bounds
from rtsmlm.models.simulation.box_ranges import BoxRanges
from rtsmlm.models.simulation.boxes import Boxes, BoxSampler
from rtsmlm.models.simulation.optics import OpticsSection
from rtsmlm.models.training.recipe import Recipe

CONDITIONS = ((2000.0, 20.0), (10000.0, 20.0))
"""Photons, and background per pixel."""
SEED = 6_000_011
Row = dict[str, float | str]


def lone_boxes(
    ranges: BoxRanges, optics: OpticsSection, photons: float, background: float, n: int, seed: int
) -> tuple[Boxes, BoxRanges]:
    """Return boxes of one emitter on a flat background, and the ranges that they are drawn from.

    Parameters
    ----------
    ranges, optics
        Places, depths, aberrations and PSF.
    photons, background
        Of each emitter, and per pixel.
    n
        Number of boxes.
    seed
        Of the random numbers.
    """
    lone = ranges.model_copy(
        update={
            "photons": (photons, photons * (1.0 + 1e-6)),
            "background": (background, background * (1.0 + 1e-6)),
            "neighbour_fraction": 0.0,
            "edge_fraction": 0.0,
            "far_fraction": 0.0,
            "maximum_fraction": 0.0,
            "emccd_fraction": 0.0,
            "slope": 0.0,
        }
    )
    draw = BoxSampler(lone, optics, torch.device("cpu"))
    return draw(n, torch.Generator().manual_seed(seed)), lone


@torch.no_grad()
def accuracy_rows(
    stated: Callable[[Tensor, Tensor], Tensor], recipe: Recipe, *, n_boxes: int
) -> tuple[Row, ...]:
    """Return rows of the accuracy table.

    Parameters
    ----------
    stated
        Light and read variance of boxes to means and standard deviations, (n, 2 quantities).
    recipe
        What the network was trained by.
    n_boxes
        Boxes of each condition.
    """
    wanted = quantities_of(recipe.boxes)
    rows: list[Row] = []
    for photons, background in CONDITIONS:
        boxes, ranges = lone_boxes(
            recipe.boxes, recipe.optics, photons, background, n_boxes, SEED + int(photons)
        )
        answer = stated(boxes.photons, boxes.read_variance)
        truth = raw_to_units(truths_of(boxes, wanted), wanted)
        n = len(wanted)
        figures = {
            "error": _rms(answer[:, :n] - truth),
            "pull": _rms((answer[:, :n] - truth) / answer[:, n:]),
            "crlb": _rms(box_bounds(boxes, ranges, recipe.optics)),
            "spread": truth.std(dim=0),
        }
        if ranges.modes:
            bounds = box_bounds(boxes, ranges, recipe.optics, knows_aberrations=True)
            figures["known"] = _rms(bounds)
        low, high = recipe.boxes.z_nm
        condition = (
            f"z {low:.0f} to {high:.0f} nm, {photons:.0f} photons, background {background:.0f}"
        )
        for k, quantity in enumerate(wanted):
            of_it = {name: float(values[k]) for name, values in figures.items()}
            rows += [
                {"test": "Lone emitters", "condition": condition, "figure": figure,
                 "value": float(f"{value:.4g}")}
                for figure, value in _rows_of(quantity, of_it).items()
            ]  # fmt: skip
    return tuple(rows)


def _rows_of(quantity: Quantity, figures: dict[str, float]) -> dict[str, float]:
    """Return what is said of a quantity, by its figure."""
    name, error = quantity.name, figures["error"]
    rows = {
        f"RMSE of {name}, {quantity.unit}": error,
        f"RMSE of {name} / CRLB": error / figures["crlb"],
        f"error / stated error of {name}, RMS": figures["pull"],
    }
    if "known" in figures:
        rows[f"RMSE of {name} / bound that knows the spread of aberrations"] = (
            error / figures["known"]
        )
    if name.startswith(("zernike", "dipole")):
        rows[f"RMSE of {name} / its spread"] = error / figures["spread"]
    return rows


def _rms(values: Tensor) -> Tensor:
    return values.square().mean(dim=0).sqrt()
