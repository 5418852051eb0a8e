"""Insight3 molecule lists (`.bin`, "M425"), as 3D-DAOSTORM and its simulator write them.

x and y are pixels whose first has its centre at 1; frames count from 1; z is nm.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.arrow_schema import Metadata
from rtsmlm.files.tables.columns import table_from
from rtsmlm.localizations import Localizations

MAGIC = b"M425"
HEADER_BYTES = 16
_FLOATS = ("x", "y", "xc", "yc", "height", "area", "width", "phi", "ax", "background", "i")
_INTS = ("category", "iterations", "frame", "length", "link")
RECORD = np.dtype(
    [(name, "<f4") for name in _FLOATS]
    + [(name, "<i4") for name in _INTS]
    + [("z", "<f4"), ("zc", "<f4")]
)


def read_insight3(path: Path, pixel_nm: float | None = None) -> tuple[Localizations, Metadata]:
    """Read a molecule list; its area is taken for photons.

    Raises
    ------
    FileFormatError
        If the file is cut short or of another kind, or `pixel_nm` is not given.
    """
    if pixel_nm is None:
        raise FileFormatError(f"{path} is in pixels and does not state their size; give --pixel-nm")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error}") from error
    n_rows = (
        int(np.frombuffer(data[12:HEADER_BYTES], "<i4")[0]) if len(data) >= HEADER_BYTES else -1
    )
    if data[:4] != MAGIC or not 0 <= n_rows <= (len(data) - HEADER_BYTES) // RECORD.itemsize:
        raise FileFormatError(
            f"{path} is no whole Insight3 list; its header states {n_rows} molecules"
        )
    rows = np.frombuffer(data, RECORD, count=n_rows, offset=HEADER_BYTES)
    columns = {
        "frame": rows["frame"].astype(np.int64) - 1,
        "x_nm": (rows["x"] - 1) * np.float64(pixel_nm),
        "y_nm": (rows["y"] - 1) * np.float64(pixel_nm),
        "z_nm": rows["z"],
        "photons": rows["area"],
        "background": rows["background"],
    }
    return table_from(path, columns), {"pixel_nm": pixel_nm}
