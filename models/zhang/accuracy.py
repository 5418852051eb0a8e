"""What a network after Zhang et al. reaches beside the centroid method: rows of its manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtsmlm.fitting.spectral_centroid import CentroidRule, fit_rule
from rtsmlm.models.box_classes.calibration import calibration_error
from rtsmlm.models.simulation.dye_ranges import SpectrumRanges
from rtsmlm.models.simulation.dye_spectra import DyeSpectra, SpectrumSampler

PHOTONS = (500.0, 1000.0, 2000.0)
BACKGROUND = 10.0
PAIR = 2
"""The first two dyes are asked for alone, too: AF647 and CF660C of the paper."""
CHUNK = 512
"""Spectra that are drawn at once."""
SEED, RULE_SEED = 6_300_007, 6_400_009
EQUAL_USE = 0.9
"""Part of the molecules at which mistakes are compared."""
FEW_MISTAKES = 0.01
"""Part of mistakes at which the molecules that can be used are compared."""
Row = dict[str, float | str]
Answers = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Dyes, and how sure each answer is."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Network and centroid on the same spectra."""

    wrong: float
    """Part of all answers."""
    wrong_centroid: float
    wrong_at_use: float
    """Part of the surest answers, as many as `EQUAL_USE`."""
    wrong_at_use_centroid: float
    use: float
    """Part of the molecules that can be used with at most `FEW_MISTAKES`."""
    use_centroid: float


def spectra_at(
    ranges: SpectrumRanges, photons: float, n: int, seed: int, dyes: int | None = None
) -> DyeSpectra:
    """Return spectra of one brightness, otherwise as in training.

    Parameters
    ----------
    ranges
        What to draw from.
    photons
        In each spectrum.
    n
        Number of spectra.
    seed
        Of the random numbers.
    dyes
        So many of the first dyes alone.
    """
    fixed = ranges.model_copy(
        update={
            "photons": (photons, photons * (1.0 + 1e-6)),
            "background": (BACKGROUND, BACKGROUND * (1.0 + 1e-6)),
            "names": ranges.names[:dyes],
        }
    )
    draw = SpectrumSampler(fixed, torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    parts = [draw(min(CHUNK, n - start), generator) for start in range(0, n, CHUNK)]
    return DyeSpectra(
        *(
            torch.cat([getattr(part, column.name) for part in parts])
            for column in fields(DyeSpectra)
        )
    )


def centroid_rule(ranges: SpectrumRanges, photons: float, n: int, dyes: int | None) -> CentroidRule:
    """Return the rule of the centroid method, fitted to spectra of known dyes."""
    known = spectra_at(ranges, photons, n, RULE_SEED + int(photons), dyes)
    nm = np.linspace(*ranges.wavelengths_nm, ranges.samples)
    return fit_rule(known.photons[:, 0].numpy(), known.dye.numpy(), nm)


def compare(network: Answers, centroid: Answers, truth: NDArray[np.int64]) -> Comparison:
    """Return the mistakes of both, of all answers and of the surest."""
    figures: list[tuple[float, float, float]] = []
    for dye, surety in (network, centroid):
        order = np.argsort(-surety, kind="stable")
        wrong = (dye != truth)[order]
        n = len(wrong)
        so_far = np.cumsum(wrong) / np.arange(1, n + 1)
        few = np.flatnonzero(so_far <= FEW_MISTAKES)
        use = (few[-1] + 1) / n if len(few) else 0.0
        figures.append((float(wrong.mean()), float(so_far[round(EQUAL_USE * n) - 1]), float(use)))
    (a, b, c), (d, e, f) = figures
    return Comparison(a, d, b, e, c, f)


@torch.no_grad()
def comparison(
    graph: Callable[[Tensor], Tensor],
    ranges: SpectrumRanges,
    photons: float,
    n_spectra: int,
    dyes: int | None = None,
) -> tuple[Comparison, float]:
    """Return network and centroid on the same spectra, and how far its probabilities are off.

    Parameters
    ----------
    graph
        Spectra to probabilities of all dyes of the ranges.
    ranges
        What it was trained on.
    photons
        In each spectrum.
    n_spectra
        How many.
    dyes
        The question is between so many of the first dyes; not given asks for all.
    """
    drawn = spectra_at(ranges, photons, n_spectra, SEED + int(photons), dyes)
    probability = graph(drawn.photons)[:, : dyes or len(ranges.names)]
    probability = probability / probability.sum(dim=1, keepdim=True)
    best, chosen = probability.max(dim=1)
    rule = centroid_rule(ranges, photons, n_spectra, dyes)
    found = compare(
        (chosen.numpy(), best.double().numpy()), rule(drawn.photons[:, 0].numpy()),
        drawn.dye.numpy(),
    )  # fmt: skip
    return found, calibration_error(probability, drawn.dye)


def accuracy_rows(
    graph: Callable[[Tensor], Tensor], ranges: SpectrumRanges, *, n_spectra: int
) -> tuple[Row, ...]:
    """Return rows of the accuracy table; see `comparison`."""
    rows: list[Row] = []
    for dyes in (PAIR, None) if len(ranges.names) > PAIR else (None,):
        for photons in PHOTONS:
            found, off = comparison(graph, ranges, photons, n_spectra, dyes)
            condition = (
                f"{', '.join(ranges.names[:dyes])}; {photons:.0f} photons, background "
                f"{BACKGROUND:.0f}"
            )
            figures = {
                "wrong dye, %": 100 * found.wrong,
                "wrong dye, centroid, %": 100 * found.wrong_centroid,
                f"wrong of the surest {EQUAL_USE:.0%}, %": 100 * found.wrong_at_use,
                f"wrong of the surest {EQUAL_USE:.0%}, centroid, %": 100
                * found.wrong_at_use_centroid,
                f"molecules used with {FEW_MISTAKES:.0%} wrong, %": 100 * found.use,
                f"molecules used with {FEW_MISTAKES:.0%} wrong, centroid, %": 100
                * found.use_centroid,
                "probability less part that is right, mean": off,
            }
            rows += [
                {"test": "Spectra", "condition": condition, "figure": name,
                 "value": float(f"{value:.4g}")}
                for name, value in figures.items()
            ]  # fmt: skip
    return tuple(rows)
