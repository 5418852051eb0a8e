"""From the units, the origin and the first frame of another program to ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.columns import positive
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.files.tables.text_columns import NM_PER_UNIT, PIXEL_UNITS, FoundColumns
from rtsmlm.files.tables.text_programs import Convention

F64 = NDArray[np.float64]

_LATERAL = ("x_nm", "y_nm", "std_x_nm", "std_y_nm")


Size = TypeVar("Size")


def known_pixel_nm(path: Path, pixel: Size | None) -> Size:
    """Return the size of a pixel of a table that is in pixels.

    Raises
    ------
    FileFormatError
        If it is not known.
    """
    if pixel is None:
        raise FileFormatError(f"{path} is in pixels and does not state their size; give --pixel-nm")
    return pixel


def pixel_of(
    given: float | None, convention: Convention, beside: object
) -> tuple[float, float] | None:
    """Return the camera pixel along x and y: as given, as stated within or beside the table."""
    if given is not None:
        return given, given
    if convention.pixel_nm is not None:
        return convention.pixel_nm
    stated = positive(beside)
    return None if stated is None else (stated, stated)


def scales_of(
    path: Path, found: FoundColumns, convention: Convention, pixel: tuple[float, float] | None
) -> dict[str, float]:
    """Return the nm in a unit of each length, by our names.

    Raises
    ------
    FileFormatError
        If a unit is not stated, or a pixel is needed and its size is not known.
    """
    scales = {}
    for ours, stated in found.unit.items():
        if not ours.endswith("_nm"):
            continue
        unit = stated or (convention.unit if ours in _LATERAL else "nm")
        if not unit and ours not in ("x_nm", "y_nm"):
            unit = found.unit["x_nm"]
        if not unit:
            raise FileFormatError(
                f"{path} does not state the unit of x and y; name its columns x [nm] and y [nm], "
                "or x [px] and y [px]"
            )
        if unit not in PIXEL_UNITS:
            scales[ours] = NM_PER_UNIT[unit]
        else:
            scales[ours] = known_pixel_nm(path, pixel)[1 if "y_nm" in ours else 0]
    if pixel is None and convention.corner:
        raise FileFormatError(
            f"{path} counts nm from the corner of the image, which needs the camera pixel, "
            "and no protocol file states it; give --pixel-nm"
        )
    return scales


def in_our_units(
    path: Path,
    columns: Mapping[str, F64],
    scales: Mapping[str, float],
    convention: Convention,
    pixel: tuple[float, float] | None,
    check: RowCheck,
) -> dict[str, F64]:
    """Return columns in nm from the centre of the first pixel, with frames from 0.

    Parameters
    ----------
    path
        The table, for notes.
    columns
        As in the file, by our names, shape (n,).
    scales
        As `scales_of` gives them.
    convention
        How the program counts.
    pixel
        Camera pixel along x and y in nm.
    check
        Takes a note of what is not as the program writes it.
    """
    ours = {name: column * scales.get(name, 1.0) for name, column in columns.items()}
    first = convention.first_frame
    if first and len(ours["frame"]) and np.nanmin(ours["frame"], initial=np.inf) == 0:
        check.note(
            f"frames of {path.name} begin with 0, though tables of {convention.program} count "
            "from 1: they are taken as counted from 0"
        )
        first = 0
    ours["frame"] = ours["frame"] - first
    if convention.corner and pixel is not None:
        ours["x_nm"] = ours["x_nm"] - pixel[0] / 2
        ours["y_nm"] = ours["y_nm"] - pixel[1] / 2
    if convention.swapped:
        check.note(
            f"x and y of {path.name} are exchanged: DECODE counts x along the rows of a movie"
        )
        for x, y in (("x_nm", "y_nm"), ("std_x_nm", "std_y_nm")):
            both = {x: ours.pop(y, None), y: ours.pop(x, None)}
            ours |= {name: column for name, column in both.items() if column is not None}
    return ours
