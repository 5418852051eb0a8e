"""Reader for napari: run folders, and tables of localizations of any program, as points.

Called by napari through `napari.yaml`; neither napari nor Qt is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import RtsmlmError
from rtsmlm.files.tables.read import RUN_TABLE, Table, read_table

Layer = tuple[NDArray[np.float32], dict[str, object], str]
Reader = Callable[[str | list[str]], list[Layer]]
MOST_POINTS = 500_000
"""Points that napari turns without a delay; of more rows it is given every so manieth."""
_POINT_UM = 0.02
_FEATURES = ("frame", "photons", "background", "std_x_nm", "std_y_nm", "channel")


def get_reader(path: str | list[str]) -> Reader | None:
    """Return a function that reads, or None where the path is nothing of ours.

    Parameters
    ----------
    path
        What the user opens; of several, the first decides.
    """
    first = Path(path[0] if isinstance(path, list) else path)
    if first.is_dir():
        return read_layers if (first / RUN_TABLE).is_file() else None
    try:
        read_table(first)
    except (RtsmlmError, OSError):
        return None
    return read_layers


def read_layers(path: str | list[str]) -> list[Layer]:
    """Return a layer of points for each run folder or table.

    Places are um, (y, x) or (z, y, x), from the centre of the first camera pixel.

    Raises
    ------
    RtsmlmError
        If one of them cannot be read.
    """
    paths = [path] if isinstance(path, str) else path
    return [_layer(Path(one), read_table(Path(one))) for one in paths]


def _layer(path: Path, table: Table) -> Layer:
    rows = table.localizations
    step = -(-len(rows) // MOST_POINTS) or 1
    if step > 1:
        rows = rows.take(slice(None, None, step))
    places = [rows.y_nm, rows.x_nm]
    if np.isfinite(rows.z_nm).any() and np.ptp(rows.z_nm[np.isfinite(rows.z_nm)]) > 0:
        places.insert(0, np.nan_to_num(rows.z_nm))
    columns = rows.columns()
    features = {name: columns[name] for name in _FEATURES if name in columns}
    every = f", 1 row of {step}" if step > 1 else ""
    name = (
        path.parent.name if path.name == RUN_TABLE else path.stem if path.is_file() else path.name
    )
    more: dict[str, object] = {
        "name": f"{name}{every}",
        "features": features,
        "size": _POINT_UM,
        "face_color": "orange",
        "border_width": 0.0,
        "blending": "additive",
        "units": ("um",) * len(places),
        "metadata": {"rtsmlm": {"path": str(path), "rows": len(table.localizations)}},
    }
    return np.asarray(np.stack(places, axis=1) / 1000, np.float32), more, "points"
