"""Rows of a fit table as localizations."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rtsmlm.fitting import boxes
from rtsmlm.fitting.boxes import F64
from rtsmlm.localizations import F32, Localizations

NOTHING: Mapping[str, F32] = MappingProxyType({})


def table_of(
    rows: F64,
    frame: NDArray[np.int64],
    pixel_nm: float,
    more: Mapping[str, F32] = NOTHING,
    extras: Mapping[str, F32] = NOTHING,
) -> Localizations:
    """Return rows of a fit table in nm.

    Parameters
    ----------
    rows
        With positions in pixels of the frame, (n, `boxes.N_COLUMNS`).
    frame
        Camera frame numbers, (n,).
    pixel_nm
        Pixel side in the sample plane.
    more
        Further columns of the table.
    extras
        Columns that the table has not.
    """
    return Localizations.from_columns(
        {
            "frame": frame,
            "x_nm": rows[:, boxes.X] * pixel_nm,
            "y_nm": rows[:, boxes.Y] * pixel_nm,
            "z_nm": rows[:, boxes.Z],
            "photons": rows[:, boxes.PHOTONS],
            "background": rows[:, boxes.BACKGROUND],
            "std_x_nm": rows[:, boxes.STD_X] * pixel_nm,
            "std_y_nm": rows[:, boxes.STD_Y] * pixel_nm,
            "std_z_nm": rows[:, boxes.STD_Z],
            "std_photons": rows[:, boxes.STD_PHOTONS],
            **more,
        },
        extras,
    )
