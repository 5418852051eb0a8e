"""Insight3 molecule lists (`.bin`, "M425"), as 3D-DAOSTORM and its simulator write them.

x and y are pixels whose first has its centre at 1; frames count from 1; z is nm.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.arrow_schema import Metadata
from rtsmlm.files.tables.columns import table_from
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.files.tables.units import known_pixel_nm
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


def read_insight3(
    path: Path, pixel_nm: float | None = None, check: RowCheck | None = None
) -> tuple[Localizations, Metadata]:
    """Read a molecule list; its area is taken for photons, and `check` counts what is left out.

    Raises
    ------
    FileFormatError
        If the file is cut short or of another kind, or `pixel_nm` is not given.
    """
    pixel_nm = known_pixel_nm(path, pixel_nm)
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
        there = (path.stat().st_size - HEADER_BYTES) // RECORD.itemsize
        n_rows = int(np.frombuffer(head, "<i4")[3]) if len(head) == HEADER_BYTES else -1
        if head[:4] != MAGIC or not 0 <= n_rows <= there:
            raise FileFormatError(
                f"{path} is no whole Insight3 list; its header states {n_rows} molecules"
            )
        rows = np.fromfile(path, RECORD, count=n_rows, offset=HEADER_BYTES)
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error}") from error
    columns = {
        "frame": rows["frame"].astype(np.int64) - 1,
        "x_nm": (rows["x"] - 1) * np.float64(pixel_nm),
        "y_nm": (rows["y"] - 1) * np.float64(pixel_nm),
        "z_nm": rows["z"],
        "photons": rows["area"],
        "background": rows["background"],
    }
    return table_from(columns, check or RowCheck(path)), {"pixel_nm": pixel_nm}
