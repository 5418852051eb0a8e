"""Lists of QC-STORM (`*_result2D7_M.txt`): twelve 32-bit floats a row, and no header.

x and y are pixels from the outer corner of the first one, frames count from 1; z is nm. Nothing in
such a file tells what it is, so that its name decides, as it does for QC-STORM.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.arrow_schema import Metadata
from rtsmlm.files.tables.columns import table_from
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.files.tables.units import known_pixel_nm
from rtsmlm.localizations import Localizations

FILE_NAME = re.compile(r"_result(2D|3D|AS3D)\d*(_M)?\.txt$", re.IGNORECASE)

_COLUMNS = (
    "peak", "x", "y", "z", "sigma_x", "sigma_y", "photons", "background", "snr", "std_x_nm",
    "std_y_nm", "frame",
)  # fmt: skip
RECORD = np.dtype([(name, "<f4") for name in _COLUMNS])


def read_qc_storm(
    path: Path, pixel_nm: float | None = None, check: RowCheck | None = None
) -> tuple[Localizations, Metadata]:
    """Read a list of QC-STORM; `check` counts what is left out.

    Raises
    ------
    FileFormatError
        If the file is cut short or of another kind, or `pixel_nm` is not given.
    """
    pixel_nm = known_pixel_nm(path, pixel_nm)
    size = path.stat().st_size
    if size % RECORD.itemsize:
        raise FileFormatError(
            f"{path} holds {size} bytes, no whole number of rows of {RECORD.itemsize} bytes as "
            "QC-STORM writes; it is cut short or of another kind"
        )
    try:
        rows = np.fromfile(path, dtype=RECORD)
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error.strerror or error}") from error
    columns = {
        "frame": rows["frame"].astype(np.float64) - 1,
        "x_nm": (rows["x"].astype(np.float64) - 0.5) * pixel_nm,
        "y_nm": (rows["y"].astype(np.float64) - 0.5) * pixel_nm,
        "z_nm": rows["z"],
        "photons": rows["photons"],
        "background": rows["background"],
        "std_x_nm": rows["std_x_nm"],
        "std_y_nm": rows["std_y_nm"],
    }
    return table_from(columns, check or RowCheck(path)), {"pixel_nm": pixel_nm}
