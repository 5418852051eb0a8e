"""Large images in overlapping parts of one size, laid over each other without a seam.

For networks whose answer depends on the whole of what they are given: no margin makes two parts
agree, so that one fades into the next across all that they share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from rtsmlm.localizations import F32

OnPart: TypeAlias = Callable[[int, int], object]
"""Called before each part with the number of those done and of all; ends the image by raising."""


def in_parts(
    image: F32,
    predict: Callable[[tuple[slice, slice]], F32 | None],
    side_px: int,
    overlap_px: int,
    on_part: OnPart = lambda done, total: None,
) -> F32:
    """Return what is predicted of an image, part by part.

    Parameters
    ----------
    image
        Whose size is meant, (height, width).
    predict
        Part of the image to what is predicted of it, of the same size; None where that is 0.
    side_px
        Of a part, at most.
    overlap_px
        That two parts share at least, less than half a part.
    on_part
        What is to know how far it has come, or to end it.
    """
    rows, columns = (_stretches(length, side_px, overlap_px) for length in image.shape)
    answer = np.zeros(image.shape, dtype=np.float32)
    for k, (down, weight_down) in enumerate(rows):
        for i, (right, weight_right) in enumerate(columns):
            on_part(k * len(columns) + i, len(rows) * len(columns))
            part = predict((down, right))
            if part is not None:
                answer[down, right] += weight_down[:, None] * weight_right * part
    return answer


def _stretches(length: int, side: int, overlap: int) -> list[tuple[slice, F32]]:
    """Return stretches of a length, and their weights, which add up to one everywhere."""
    side = min(side, length)
    count = 1 if side == length else 1 + -(-(length - side) // (side - overlap))
    starts = np.linspace(0, length - side, count).round().astype(int).tolist()
    total = np.zeros(length, dtype=np.float32)
    found = []
    for k, start in enumerate(starts):
        weight = np.ones(side, dtype=np.float32)
        if k:
            shared = starts[k - 1] + side - start
            weight[:shared] = np.arange(1, shared + 1) / (shared + 1)
        if k + 1 < count:
            shared = start + side - starts[k + 1]
            weight[side - shared :] *= np.arange(shared, 0, -1) / (shared + 1)
        total[start : start + side] += weight
        found.append((slice(start, start + side), weight))
    return [(part, weight / total[part]) for part, weight in found]
