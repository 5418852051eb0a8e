"""The field of a camera in the sample plane, and which localizations lie in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import F32, Localizations
from rtsmlm.render.columns import COLUMNS


@dataclass(frozen=True, slots=True)
class Field:
    """A rectangle in the sample plane; camera pixel (0, 0) is centred at 0."""

    shape_px: tuple[int, int]
    """Height and width of a frame in camera pixels."""
    pixel_nm: float
    """Side of a camera pixel in the sample plane."""

    @property
    def corner_nm(self) -> float:
        """X and y of the outer corner."""
        return -self.pixel_nm / 2

    @property
    def size_nm(self) -> tuple[float, float]:
        """Height and width."""
        return self.shape_px[0] * self.pixel_nm, self.shape_px[1] * self.pixel_nm

    def image_shape(self, image_pixel_nm: float) -> tuple[int, int]:
        """Return height and width of an image of the field, the last pixels may be cut."""
        # The tiny part keeps 25.6 um in 10 nm at 2560 pixels despite rounding.
        height, width = (math.ceil(side / image_pixel_nm - 1e-6) for side in self.size_nm)
        return height, width

    def limits_px(self, x0_nm: float, y0_nm: float, image_pixel_nm: float) -> NDArray[np.int64]:
        """Return first and last row, first and last column of pixels that touch the field.

        Parameters
        ----------
        x0_nm, y0_nm
            Outer corner of pixel (0, 0).
        image_pixel_nm
            Side of a pixel.
        """
        limits: list[int] = []
        for start_nm, side_nm in zip((y0_nm, x0_nm), self.size_nm, strict=True):
            first = (self.corner_nm - start_nm) / image_pixel_nm
            last = first + side_nm / image_pixel_nm
            limits += [math.floor(first + 1e-6), math.ceil(last - 1e-6) - 1]
        return np.array(limits, np.int64)

    def pack(self, localizations: Localizations) -> F32:
        """Return the rows with a finite position in the field as a table to draw.

        Returns
        -------
        :
            Shape (COLUMNS, n), see `splat`.
        """
        height_nm, width_nm = self.size_nm
        x_nm, y_nm = localizations.x_nm - self.corner_nm, localizations.y_nm - self.corner_nm
        # Written so that NaN counts as outside.
        inside = (x_nm >= 0) & (x_nm < width_nm) & (y_nm >= 0) & (y_nm < height_nm)
        rows: Any = slice(None) if inside.all() else np.flatnonzero(inside)
        columns: tuple[NDArray[Any], ...] = (
            localizations.x_nm,
            localizations.y_nm,
            localizations.std_x_nm,
            localizations.std_y_nm,
            localizations.z_nm,
            localizations.photons,
            localizations.probability,
            localizations.frame,
            localizations.channel,
            localizations.std_z_nm,
        )
        n = np.count_nonzero(inside)
        table = np.empty((COLUMNS, n), np.float32)
        for place, column in enumerate(columns):
            table[place] = column[rows]
        return table
