"""Views: parts of a frame that show the same sample in other light, and how they lie on each other.

A dichroic or a beam splitter before the camera puts two or more images of the sample beside each
other on one chip. Places in a view count in pixels from the centre of its own first pixel. All that
is found is stated where it lies in the first view.

Frames of several cameras are views, too, once they lie beside each other in one frame; a view
knows only its rectangle of the frame that it gets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import CalibrationError
from rtsmlm.physics.transforms import F64, IDENTITY, PlaneTransform

S = TypeVar("S", bound=np.generic)
Region = tuple[int, int, int, int]
"""x, y, width and height on the frame, in pixels."""


@dataclass(frozen=True, slots=True)
class View:
    """One image of the sample on the frame."""

    name: str
    region: Region
    to_first: PlaneTransform = IDENTITY
    """From places in this view to places in the first one."""
    sigma_ratio: float = 1.0
    """Width of the PSF, relative to that in the first view."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.region[3], self.region[2]

    @property
    def corner(self) -> tuple[int, int]:
        """Column and row of its first pixel on the frame."""
        return self.region[0], self.region[1]

    def cut(self, frames: NDArray[S]) -> NDArray[S]:
        """Return its part of frames, shape (..., height, width), as a view of their memory."""
        x, y, width, height = self.region
        return frames[..., y : y + height, x : x + width]

    def from_first(self, places_px: F64) -> F64:
        """Return where in this view lies what lies at these places in the first, shape (n, 2)."""
        return self.to_first.inverse(places_px)

    def holds(self, places_px: F64) -> NDArray[np.bool_]:
        """Return which places of this view lie inside it, shape (n,)."""
        height, width = self.shape
        x, y = places_px[:, 0], places_px[:, 1]
        return (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)


@dataclass(frozen=True, slots=True)
class Views:
    """All views of a frame; the first one is what places refer to.

    Raises
    ------
    CalibrationError
        If they share pixels, or a name.
    """

    views: tuple[View, ...]

    def __post_init__(self) -> None:
        if not self.views:
            raise CalibrationError("channels.views is empty; a frame has at least one view")
        names = [view.name for view in self.views]
        if len(set(names)) < len(names):
            raise CalibrationError(f"channels.views has a name twice: {', '.join(names)}")
        for i, one in enumerate(self.views):
            for other in self.views[i + 1 :]:
                if _overlap(one.region, other.region):
                    raise CalibrationError(
                        f"the views {one.name} {list(one.region)} and {other.name} "
                        f"{list(other.region)} share pixels (x, y, width, height); each needs "
                        "a part of the frame of its own (channels.views)"
                    )

    def __len__(self) -> int:
        return len(self.views)

    def __iter__(self) -> Iterator[View]:
        return iter(self.views)

    def __getitem__(self, which: int) -> View:
        return self.views[which]

    @property
    def first(self) -> View:
        """The view that all places refer to."""
        return self.views[0]

    def check_frame_shape(self, shape: tuple[int, int]) -> None:
        """Raise `CalibrationError` if a view does not lie on frames of this shape."""
        for view in self.views:
            x, y, width, height = view.region
            if min(x, y) < 0 or x + width > shape[1] or y + height > shape[0]:
                raise CalibrationError(
                    f"the view {view.name} has the region {list(view.region)} (x, y, width, "
                    f"height), which does not lie on frames of {shape[1]} x {shape[0]} pixels "
                    "(width x height); correct channels.views, or use the region of interest "
                    "that they were calibrated with"
                )

    def seen_in_all(self, places_px: F64) -> NDArray[np.bool_]:
        """Return which places of the first view lie inside of every view, shape (n,)."""
        inside = np.ones(len(places_px), dtype=np.bool_)
        for view in self.views:
            inside &= view.holds(view.from_first(places_px))
        return inside


def split(shape: tuple[int, int], along: str, names: tuple[str, ...]) -> tuple[Region, ...]:
    """Return equal parts of a frame, one for each name.

    Parameters
    ----------
    shape
        Height and width of the frame.
    along
        x where the views lie side by side, y where they lie above each other.
    names
        Of the views, from left to right or from top to bottom.
    """
    height, width = shape
    n = len(names)
    if along == "x":
        side = width // n
        return tuple((k * side, 0, side, height) for k in range(n))
    side = height // n
    return tuple((0, k * side, width, side) for k in range(n))


def _overlap(one: Region, other: Region) -> bool:
    apart_x = one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0]
    apart_y = one[1] + one[3] <= other[1] or other[1] + other[3] <= one[1]
    return not (apart_x or apart_y)
