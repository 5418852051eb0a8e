"""Pairs to learn from: the localizations of the first frames, and the image of all of them.

A label on a structure is seen several times, each time in one or more frames, at the same place
with an error of its own. A part of the localizations shows nothing, and where a dye is taken for
another one, those of another structure come in: the whole image has neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from rtsmlm.localizations import F32
from rtsmlm.models.simulation.list_ranges import KnownStructure, ListRanges
from rtsmlm.physics.structures import place_emitters

F64 = NDArray[np.float64]
REACH = (1.0, 1.5)
"""Side of the field on which a structure is drawn, in sides of the image that is cut out of it."""
_MOST_SEED = 2**62


@dataclass(frozen=True, slots=True)
class ListPairs:
    """What a network of localizations learns on."""

    few: Tensor
    """Localizations in each pixel, of the first frames, (n, 1, side, side)."""
    whole: Tensor
    """The same of all frames, drawn as `ListRanges.blur_nm` wide, (n, 1, side, side)."""
    widefield: Tensor
    """Light of all labels behind the PSF, 0 where there is none, (n, 1, side, side)."""
    structure: Tensor
    """1 for what an image shows, (n, structures)."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Localizations of one structure."""

    place_nm: F64
    """x and y, (n, 2)."""
    time: F64
    """When, 0 to 1 of the run."""


class ListSampler:
    """Draws pairs.

    Parameters
    ----------
    ranges
        What they are drawn from.
    device
        Where they are put; they are made on the CPU.
    """

    def __init__(self, ranges: ListRanges, device: torch.device) -> None:
        self._ranges, self._device = ranges, device

    def __call__(self, n: int, generator: torch.Generator, crowding: float) -> ListPairs:
        """Return n pairs; see `Sampler`. Crowding widens the range of `share` downwards."""
        seed = torch.randint(_MOST_SEED, (1,), generator=generator, device=generator.device)
        rng = np.random.default_rng(int(seed))
        ranges = self._ranges
        which = [int(rng.integers(len(ranges.structures))) for _ in range(n)]
        pairs = [draw_pair(ranges, ranges.structures[k], crowding, rng) for k in which]
        few, whole, light = (self._tensor([pair[k] for pair in pairs]) for k in range(3))
        structure = torch.eye(len(ranges.structures))[which]
        return ListPairs(few, whole, light, structure.to(self._device))

    def _tensor(self, images: list[F32]) -> Tensor:
        return torch.from_numpy(np.stack(images)[:, None]).to(self._device)


def draw_pair(
    ranges: ListRanges, structure: KnownStructure, crowding: float, rng: np.random.Generator
) -> tuple[F32, F32, F32]:
    """Return the localizations of the first frames, the whole image, and the widefield image.

    Parameters
    ----------
    ranges
        What they are drawn from.
    structure
        What they show.
    crowding
        0 gives the largest share of the frames, 1 any.
    rng
        Draws all.
    """
    low, high = ranges.share
    share = high * (low / high) ** (crowding * rng.random())
    precision = _log_uniform(ranges.precision_nm, rng)
    listed = draw_list(ranges, structure, precision, rng)
    first = [listed.place_nm[listed.time < share]]
    for other in ranges.others:
        stray = draw_list(ranges, other, precision, rng)
        part = rng.uniform(*ranges.crosstalk)
        first.append(stray.place_nm[(stray.time < share) & (rng.random(len(stray.time)) < part)])
    n_false = rng.poisson(rng.uniform(*ranges.false_share) * len(first[0]))
    side_nm = ranges.side_px * ranges.pixel_nm
    first.append(rng.uniform(0.0, side_nm, (n_false, 2)))
    counts = counted(listed.place_nm, ranges)
    whole = ndimage.gaussian_filter(counts, ranges.blur_nm / ranges.pixel_nm, mode="constant")
    light = np.zeros_like(counts)
    if rng.random() < ranges.widefield_fraction:
        sigma_nm = rng.uniform(*ranges.widefield_nm)
        light = ndimage.gaussian_filter(counts, sigma_nm / ranges.pixel_nm, mode="nearest")
    return counted(np.concatenate(first), ranges), whole, light


def draw_list(
    ranges: ListRanges, structure: KnownStructure, precision_nm: float, rng: np.random.Generator
) -> Listed:
    """Return all localizations of a structure, in a field that begins at 0 nm.

    Parameters
    ----------
    ranges
        What they are drawn from.
    structure
        What they show.
    precision_nm
        Standard deviation of the usual one.
    rng
        Draws all.
    """
    labels = _labels(ranges, structure, rng)
    blinks = rng.geometric(1.0 / rng.uniform(*ranges.blinks), len(labels))
    seen = np.repeat(np.arange(len(labels)), blinks)
    time = rng.random(len(seen))
    frames = rng.geometric(1.0 / rng.uniform(*ranges.frames_on), len(seen))
    seen, time = np.repeat(seen, frames), np.repeat(time, frames)
    sigma_nm = precision_nm * np.exp(ranges.light_spread * rng.standard_normal(len(seen)))
    place = labels[seen] + sigma_nm[:, None] * rng.standard_normal((len(seen), 2))
    return Listed(place, time)


def _labels(ranges: ListRanges, structure: KnownStructure, rng: np.random.Generator) -> F64:
    """Return the places of labels, x and y in nm, within and around the field."""
    side_nm = ranges.side_px * ranges.pixel_nm
    field_nm = side_nm * rng.uniform(*REACH)
    side_um = field_nm / 1000.0
    size = field_nm, field_nm
    if structure == "filaments":
        # Some three filaments in each draw, each about as long as the field.
        n = max(1, round(3.0 * side_um * _log_uniform(ranges.labels_per_um, rng)))
        draws = int(rng.integers(1, ranges.filament_draws + 1))
        place = np.concatenate(
            [place_emitters("filaments", n, size, 0.0, rng) for _ in range(draws)]
        )
    elif structure == "mitochondria":
        # 0.3 of them in a µm², each with some 3.4 µm² of membrane.
        n = max(1, round(side_um**2 * _log_uniform(ranges.labels_per_um2, rng)))
        place = place_emitters("mitochondria", n, size, 400.0, rng)
    else:
        n_pores = max(1, round(side_um**2 * _log_uniform(ranges.pores_per_um2, rng)))
        place = place_emitters("nuclear-pores", 64 * n_pores, size, 0.0, rng)
        place = place[rng.random(len(place)) < rng.uniform(*ranges.label_share)]
    flat = place[:, :2] - rng.uniform(0.0, field_nm - side_nm, 2)
    margin_nm = 200.0  # labels beyond the edge whose localizations may lie within
    return np.asarray(flat[((flat > -margin_nm) & (flat < side_nm + margin_nm)).all(axis=1)])


def counted(place_nm: F64, ranges: ListRanges) -> F32:
    """Return the number of places in each pixel, (side, side)."""
    pixel = np.floor(place_nm / ranges.pixel_nm).astype(np.int64)
    pixel = pixel[((pixel >= 0) & (pixel < ranges.side_px)).all(axis=1)]
    flat = np.bincount(pixel[:, 1] * ranges.side_px + pixel[:, 0], minlength=ranges.side_px**2)
    return flat.reshape(ranges.side_px, ranges.side_px).astype(np.float32)


def _log_uniform(span: tuple[float, float], rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(*np.log(span))))
