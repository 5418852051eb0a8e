"""Projection: the sample seen at an angle, and the slab of it that is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import ConfigError
from rtsmlm.localizations import F32
from rtsmlm.render.columns import STD_X, STD_Y, STD_Z, X, Y, Z
from rtsmlm.render.field import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Turns the sample about the picture's x axis, then about its y axis, around a pivot.

    The default is flat: every row is shown where it is. Colours and filters keep the z of the
    sample, whatever the angle.

    Raises
    ------
    ConfigError
        If an angle is not from -180 to 180 degrees, or a slab has no thickness.
    """

    pivot_nm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """x, y and z of the point that stays where it is."""
    tilt_x_deg: float = 0.0
    """About the x axis: at 90 the picture shows x and z, z downwards."""
    tilt_y_deg: float = 0.0
    """About the y axis: at 90 the picture shows z and y, z to the right."""
    slab_nm: float | None = None
    """Thickness along the line of sight that is shown; None shows all."""
    offset_nm: float = 0.0
    """Middle of the slab behind the pivot along the line of sight."""

    def __post_init__(self) -> None:
        for name in ("tilt_x_deg", "tilt_y_deg"):
            if not -180 <= getattr(self, name) <= 180:
                raise ConfigError(f"{name} {getattr(self, name):g} is not from -180 to 180 degrees")
        if self.slab_nm is not None and not self.slab_nm > 0:
            raise ConfigError(f"a slab of {self.slab_nm:g} nm shows nothing; give it a thickness")

    @property
    def is_flat(self) -> bool:
        """Whether it shows every row where it is."""
        return not (self.tilt_x_deg or self.tilt_y_deg or self.slab_nm)

    def matrix(self) -> NDArray[np.float64]:
        """Return the rotation, (3, 3): of (x, y, z) to right, down and away in the picture."""
        a, b = math.radians(self.tilt_x_deg), math.radians(self.tilt_y_deg)
        about_x = np.array(
            [(1, 0, 0), (0, math.cos(a), math.sin(a)), (0, -math.sin(a), math.cos(a))]
        )
        about_y = np.array(
            [(math.cos(b), 0, math.sin(b)), (0, 1, 0), (-math.sin(b), 0, math.cos(b))]
        )
        turn: NDArray[np.float64] = about_y @ about_x
        return turn

    def project(self, table: F32, field: Field) -> F32:
        """Return the rows of the slab that lie in the field, as they are seen.

        Parameters
        ----------
        table
            Shape (COLUMNS, n), see `splat`.
        field
            What is turned out of it is not shown.

        Returns
        -------
        :
            Shape (COLUMNS, m): x and y and their standard deviations are those of the picture.
        """
        turn = self.matrix().astype(np.float32)
        pivot = np.array(self.pivot_nm, np.float32)[:, None]
        right, down, away = turn @ (table[[X, Y, Z]] - pivot)
        right += pivot[0]
        down += pivot[1]
        height_nm, width_nm = field.size_nm
        corner_nm = field.corner_nm
        # As float64, as `Field.pack` does: on the edge a float32 may be rounded to either side.
        inside = (right >= corner_nm) & (right.astype(np.float64) - corner_nm < width_nm)
        inside &= (down >= corner_nm) & (down.astype(np.float64) - corner_nm < height_nm)
        if self.slab_nm is not None:
            inside &= np.abs(away - np.float32(self.offset_nm)) <= self.slab_nm / 2
        rows = np.flatnonzero(inside)
        seen: F32 = table[:, rows]
        seen[X], seen[Y] = right[rows], down[rows]
        seen[[STD_X, STD_Y]] = _seen_std(turn, seen)
        return seen


def _seen_std(turn: F32, table: F32) -> F32:
    """Return both standard deviations in the picture; a z not stated is as sharp as x and y."""
    variances = table[[STD_X, STD_Y, STD_Z]] ** 2
    lateral = (variances[0] + variances[1]) / 2
    variances[2] = np.where(np.isfinite(variances[2]), variances[2], lateral)
    std: F32 = np.sqrt(turn[:2] ** 2 @ variances)
    return std
