"""Takes off what the fit of an astigmatic Gaussian finds beside the place of a real spot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import Localizations
from rtsmlm.physics.astigmatism import Wobble


def without_wobble(
    locs: Localizations, wobble: Wobble, which: NDArray[np.bool_] | None = None
) -> Localizations:
    """Return rows with the wobble taken off x, y and z; rows without z stay as they are.

    Parameters
    ----------
    locs
        Rows as the curves of the PSF say.
    wobble
        How far off they are.
    which
        Rows that are so, (n,); by default all.
    """
    known = np.isfinite(locs.std_z_nm)
    if which is not None:
        known &= which
    if not known.any():
        return locs
    off = [np.where(known, values, 0.0) for values in wobble.at(locs.z_nm)]
    times_x, times_y, times_z = wobble.std_factors(locs.z_nm)
    times_z = times_z * (1.0 - wobble.slope(locs.z_nm))
    columns = dict(locs.columns())
    for name, values in zip(("x_nm", "y_nm", "z_nm"), off, strict=True):
        column = columns[name]
        columns[name] = (column - values).astype(column.dtype)
    for name, times in zip(
        ("std_x_nm", "std_y_nm", "std_z_nm"), (times_x, times_y, times_z), strict=True
    ):
        column = columns[name]
        columns[name] = (column * np.where(known, times, 1.0)).astype(column.dtype)
    return Localizations(**columns, extras=locs.extras)
