"""Settings of what is made of rows: drift taken off, rows of one emitter linked."""

from __future__ import annotations

from rtsmlm.settings.base import Settings


class DriftSettings(Settings):
    """Drift of the sample, measured on the localizations themselves and on fiducials."""

    correct: bool = False
    """Take the drift off the places of all rows, live and once more at the end, where it is known
    best; raw_x_nm, raw_y_nm and raw_z_nm keep the places as they were localized. The drift itself
    is measured in any case, for the window and for drift.csv."""
