"""Pixels of camera maps: the region that the frames show, and neighbours in place of dead ones."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import CalibrationError
from rtsmlm.localizations import F32

Region: TypeAlias = tuple[int, int, int, int]
"""x, y, width and height in pixels."""

# What no camera exceeds, by far; within them, no quotient or square root overflows.
_LIMITS = {
    "offset": (-65535.0, 65535.0, "finite, from -65535 to 65535 ADU"),
    "gain": (1e-6, 1e6, "finite and above 0, from 1e-6 to 1e6 ADU per electron"),
    "variance": (0.0, 1e12, "finite and not negative, at most 1e12 ADU²"),
}
MOST_DEAD = 0.01
"""Of the pixels of a map; where more cannot be, it is no map of a camera."""
_WIDEST_REACH = 8


def lies_within(region: Region, shape: tuple[int, ...]) -> bool:
    """Tell whether a region lies within maps of this shape, and is smaller than they are."""
    x, y, width, height = region
    inside = min(x, y) >= 0 and min(width, height) > 0
    inside = inside and x + width <= shape[1] and y + height <= shape[0]
    return inside and (height, width) != tuple(shape)


def cut(values: F32, region: Region, path: Path) -> F32:
    """Return the region of a map; a map that has its size is one of it already.

    Raises
    ------
    CalibrationError
        If the region lies outside of the map.
    """
    x, y, width, height = region
    if values.shape == (height, width):
        return values
    if not lies_within(region, values.shape):
        raise CalibrationError(
            f"camera.maps.roi is {list(region)} (x, y, width, height), outside of {path} of "
            f"{values.shape[0]} x {values.shape[1]} pixels (rows x columns); give where the frames "
            "lie on the maps"
        )
    return np.ascontiguousarray(values[y : y + height, x : x + width])


def dead_pixels(name: str, values: F32) -> NDArray[np.bool_]:
    """Return which pixels of a map cannot be, NaN among them; `name` as below."""
    low, high, _ = _LIMITS[name]
    with np.errstate(invalid="ignore"):
        return ~((values >= low) & (values <= high))


def without_dead_pixels(name: str, values: F32, path: Path) -> tuple[F32, str | None]:
    """Return a map with the median of its neighbours in place of each pixel that cannot be.

    Parameters
    ----------
    name
        offset, gain or variance.
    values
        The map, shape (height, width).
    path
        Its file, for what is said of it.

    Returns
    -------
    :
        The map, and one sentence on the pixels that were replaced; None where there are none.

    Raises
    ------
    CalibrationError
        If more than a hundredth of the pixels cannot be.
    """
    rule = _LIMITS[name][2]
    bad = dead_pixels(name, values)
    count = int(bad.sum())
    if not count:
        return values, None
    row, column = np.argwhere(bad)[0]
    first = f"the first at row {row}, column {column} ({values[row, column]:g})"
    if count > MOST_DEAD * values.size:
        raise CalibrationError(
            f"the {name} map in {path} has {count} unusable pixels of {values.size}, {first}; at "
            f"most {100 * MOST_DEAD:g} % may be dead, every other value must be {rule}"
        )
    mended = values.copy()
    for place in np.argwhere(bad):
        mended[tuple(place)] = _median_around(values, bad, *place)
    pixels = "pixel" + "s" * (count != 1)
    return mended, (
        f"{count} dead {pixels} of the {name} map in {path}, {first}, take the median of their "
        "neighbours"
    )


def _median_around(values: F32, bad: NDArray[np.bool_], row: int, column: int) -> float:
    """Return the median of the nearest pixels that can be."""
    for reach in range(1, _WIDEST_REACH):
        rows = slice(max(row - reach, 0), row + reach + 1)
        columns = slice(max(column - reach, 0), column + reach + 1)
        good = values[rows, columns][~bad[rows, columns]]
        if good.size:
            return float(np.median(good))
    return float(np.median(values[~bad]))
