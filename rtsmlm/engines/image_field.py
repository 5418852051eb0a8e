"""The field of an image of localizations: the place in which they lie.

That of the frames, where they are stated, and what lies a little beside it: drift is taken off
rows, not off the frames. A table of another program states no frames, and its rows may lie
anywhere on a stage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import ConfigError
from rtsmlm.localizations import Localizations

MARGIN_NM = 5000.0
"""Beside the frames, what belongs to their field: more than drift."""
MOST_PX = 1 << 28
"""Of an image, 327 µm in squares of 20 nm: in work it takes some 25 bytes a pixel."""
STRAY_SHARE = 0.001
"""Rows on each side that may be left out of a field that is too large with them."""
_WIDER = 0.02
"""Of such a field on each side, as a part of it: so that few of the others are cut off."""
_SAMPLE = 1 << 18


@dataclass(frozen=True, slots=True)
class ImageField:
    """The pixels of an image, in a grid that begins at the corner of the first camera pixel."""

    start: tuple[int, int]
    """Row and column of the first one, 0 at the corner of the grid."""
    shape: tuple[int, int]
    """Height and width."""
    pixel_nm: float
    """Side of a pixel."""
    origin_nm: float
    """X and y of the corner of the grid, as rows have them."""

    @property
    def corner_nm(self) -> tuple[float, float]:
        """X and y of the outer corner of the first pixel, as rows have them."""
        row, column = self.start
        return self.origin_nm + column * self.pixel_nm, self.origin_nm + row * self.pixel_nm

    def pixels(self, rows: Localizations) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which rows lie in the field, (n,), and the row and column of these, (2, m)."""
        places = np.stack([rows.y_nm, rows.x_nm]).astype(np.float64)
        pixel = np.floor((places - self.origin_nm) / self.pixel_nm) - np.array(self.start)[:, None]
        # Written so that NaN counts as outside.
        inside = ((pixel >= 0) & (pixel < np.array(self.shape)[:, None])).all(axis=0)
        return inside, pixel[:, inside].astype(np.int64)

    def within(self, other: ImageField) -> tuple[slice, slice]:
        """Return the part of this field that another one on the same grid has, too."""
        parts = []
        for start, length, first, n in zip(
            self.start, self.shape, other.start, other.shape, strict=True
        ):
            begin = min(max(first - start, 0), length)
            parts.append(slice(begin, min(max(first + n - start, begin), length)))
        return parts[0], parts[1]

    def text(self) -> str:
        """Return where it lies."""
        sides = zip("xy", self.corner_nm, reversed(self.shape), strict=True)
        return ", ".join(_span(axis, at, at + n * self.pixel_nm) for axis, at, n in sides)


class RowBounds:
    """Where the rows of a table lie, from one look at all of them.

    Parameters
    ----------
    frames_nm
        Height and width of the frames in nm; None where the table states none.
    camera_nm
        Camera pixel.
    """

    def __init__(self, frames_nm: tuple[float, float] | None, camera_nm: float) -> None:
        self.camera_nm = camera_nm
        self._sides = None if frames_nm is None else np.array(frames_nm)
        self.n_rows = self.n_near = 0
        """Rows, and those of them in the frames or at most `MARGIN_NM` beside these."""
        self.all, self.near = _nothing(), _nothing()
        """Least and largest y and x of both in nm, (2, 2)."""
        self._sample: list[NDArray[np.float64]] = []
        self._every = 1

    def add(self, rows: Localizations) -> None:
        """Look at rows; those of no place are none."""
        places = np.stack([rows.y_nm, rows.x_nm]).astype(np.float64)
        places = places[:, np.isfinite(places).all(axis=0)]
        self.n_rows += places.shape[1]
        self.all = _widened(self.all, places)
        if self._sides is not None:
            past = places + 0.5 * self.camera_nm
            beside = np.maximum(-past, past - self._sides[:, None]).max(axis=0)
            near = places[:, beside <= MARGIN_NM]
            self.n_near += near.shape[1]
            self.near = _widened(self.near, near)
        self._sample.append(places[:, :: self._every])
        if sum(part.shape[1] for part in self._sample) > _SAMPLE:
            self._sample = [np.concatenate(self._sample, axis=1)[:, ::2]]
            self._every *= 2

    def most(self) -> NDArray[np.float64]:
        """Return least and largest y and x of all rows but strays, (2, 2)."""
        shares = (STRAY_SHARE, 1.0 - STRAY_SHARE)
        box = np.quantile(np.concatenate(self._sample, axis=1), shares, axis=1).T
        wider = _WIDER * np.ptp(box, axis=1)[:, None] * np.array([-1.0, 1.0])
        return np.asarray(box + wider)


def frames_field(shape: tuple[int, int], camera_nm: float, pixel_nm: float) -> ImageField:
    """Return the field of frames.

    Parameters
    ----------
    shape
        Height and width in camera pixels.
    camera_nm, pixel_nm
        Pixel of the camera, and of the image.

    Raises
    ------
    ConfigError
        If it is too large.
    """
    # A side of 10.2 pixels has eleven; of what is 10 but for rounding it has ten.
    height, width = (math.ceil(n * camera_nm / pixel_nm - 1e-6) for n in shape)
    field = ImageField((0, 0), (height, width), pixel_nm, -0.5 * camera_nm)
    if not _fits(field):
        raise ConfigError(
            f"frames of {shape[0]} x {shape[1]} pixels make an image of {_size(field)}; set "
            "micromanager.roi to a part of them"
        )
    return field


def field_of(frames: ImageField | None, bounds: RowBounds, pixel_nm: float) -> ImageField:
    """Return the field in which rows lie.

    It is that of the frames with the rows beside them. Where most rows lie elsewhere, and where
    there are no frames, it is that of all rows, or of all but strays if it is too large with them.

    Parameters
    ----------
    frames
        Field of the frames; None where the table states none.
    bounds
        Of all rows.
    pixel_nm
        Pixel of the image.

    Raises
    ------
    ConfigError
        If there are no rows, or if it is too large.
    """
    origin_nm = -0.5 * bounds.camera_nm
    if frames is not None and 2 * bounds.n_near >= bounds.n_rows:
        if not bounds.n_near:
            return frames
        reached = _around(bounds.near, pixel_nm, origin_nm)
        first = np.minimum(reached.start, frames.start)
        end = np.maximum(np.add(reached.start, reached.shape), np.add(frames.start, frames.shape))
        field = ImageField(_pair(first), _pair(end - first), pixel_nm, origin_nm)
        return field if _fits(field) else frames
    if not bounds.n_rows:
        raise ConfigError("the table holds no localizations, so that there is nothing to show")
    if _fits(field := _around(bounds.all, pixel_nm, origin_nm)):
        return field
    if _fits(most := _around(bounds.most(), pixel_nm, origin_nm)):
        return most
    raise ConfigError(
        f"the localizations lie in {most.text()} (all but {2 * STRAY_SHARE:.1%} of them), an image "
        f"of {_size(most)}; give a table of a part of the field"
    )


def _size(field: ImageField) -> str:
    height, width = field.shape
    return (
        f"{height} x {width} pixels of {field.pixel_nm:g} nm, and {MOST_PX:,} are the most that "
        "one has"
    )


def _fits(field: ImageField) -> bool:
    return math.prod(field.shape) <= MOST_PX


def _nothing() -> NDArray[np.float64]:
    return np.array([[np.inf, -np.inf]] * 2)


def _widened(box: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    low = places.min(axis=1, initial=np.inf)
    high = places.max(axis=1, initial=-np.inf)
    return np.stack([np.minimum(box[:, 0], low), np.maximum(box[:, 1], high)], axis=1)


def _around(box: NDArray[np.float64], pixel_nm: float, origin_nm: float) -> ImageField:
    """Return the pixels that a box in nm touches."""
    first, last = np.floor((box - origin_nm) / pixel_nm).T
    return ImageField(_pair(first), _pair(last - first + 1), pixel_nm, origin_nm)


def _pair(values: NDArray[np.floating] | NDArray[np.integer]) -> tuple[int, int]:
    return int(values[0]), int(values[1])


def _span(axis: str, low_nm: float, high_nm: float) -> str:
    return f"{axis} {low_nm / 1000:.6g} to {high_nm / 1000:.6g} µm"
