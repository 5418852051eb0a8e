"""What our recordings are on disk: `raw.ome.zarr`, and `raw_index.bin` beside it.

The index is a bare array of `INDEX_DTYPE`, one record per frame, appended while recording, after
the pixels. After a crash both may be cut short, each on its own; what both hold was recorded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.checks import one_line
from rtsmlm.files.movies.metadata import Statements, as_int

RAW_NAME = "raw.ome.zarr"
INDEX_NAME = "raw_index.bin"
INDEX_DTYPE = np.dtype(
    [("index", "<i8"), ("t_exposure_end_ns", "<i8"), ("activation_power", "<f8")]
)
"""One record of the index: camera frame number, end of the exposure, laser power.

The unit of the power is that of the laser, and stands in the attribute.
"""

ATTRIBUTE = "rtsmlm"
"""Group attribute with calibration, exposure and, once finished, the number of frames."""
UNIT_KEY = "activation_unit"
"""Its key for the unit of the laser power: mW, %, V or us."""
UNIT_BEFORE = "mW"
"""What recordings meant that state no unit: they were made before units were written."""


def read_index(raw: Path) -> tuple[NDArray[np.void] | None, list[str]]:
    """Return the records beside a recording, shape (n,), and sentences on what is wrong with them.

    The records are None where there is no index. Only the part in which frame numbers
    increase is returned: a power cut may leave zeros at the end.

    Raises
    ------
    FileFormatError
        If the index cannot be read.
    """
    path = raw.parent / INDEX_NAME
    if raw.name != RAW_NAME or not path.is_file():
        return None, []
    try:
        whole, rest = divmod(path.stat().st_size, INDEX_DTYPE.itemsize)
        records = np.fromfile(path, dtype=INDEX_DTYPE, count=whole)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {one_line(error)}") from error
    falling = np.flatnonzero(np.diff(records["index"]) <= 0)
    good = records[: falling[0] + 1] if len(falling) else records
    if rest or len(falling):
        return good, [f"{INDEX_NAME} is damaged after frame {len(good)}"]
    return good, []


def state_calibration(into: Statements, attributes: Mapping[str, object]) -> int | None:
    """Take calibration and exposure from our attribute; return its number of frames."""
    ours = attributes.get(ATTRIBUTE)
    if not isinstance(ours, Mapping):
        return None
    into.state_pixel(ours.get("pixel_nm"), "nm", "the recording")
    for name in ("offset_adu", "e_per_adu", "read_noise_e"):
        into.state(name, ours.get(name))
    into.state("em_gain", ours.get("em_gain"), at_least=1)
    into.state_exposure(ours.get("exposure_ms"))
    return as_int(ours.get("n_frames"))


def activation_unit(
    attributes: Mapping[str, object], power: NDArray[np.float64] | None
) -> str | None:
    """Return the unit of the recorded laser power, None where no power is recorded.

    Parameters
    ----------
    attributes
        Of the group.
    power
        Power per frame, (n,); NaN where unknown.
    """
    if power is None or np.isnan(power).all():
        return None
    ours = attributes.get(ATTRIBUTE)
    unit = ours.get(UNIT_KEY) if isinstance(ours, Mapping) else None
    return unit if isinstance(unit, str) and unit else UNIT_BEFORE


def chunks_on_disk(folder: Path) -> list[int]:
    """Return which chunks along the first axis are in an array's folder, sorted.

    Reads one folder listing, whatever the stated shape: a recording that was killed states as
    many frames as it might have had.
    """
    base = folder / "c" if (folder / "c").is_dir() else folder
    return sorted(set(_leading_numbers(entry.name for entry in os.scandir(base))))


def _leading_numbers(names: Iterable[str]) -> Iterable[int]:
    for name in names:
        first = name.removeprefix("c.").split(".", 1)[0]
        if first.isascii() and first.isdigit() and len(first) <= 18:
            yield int(first)
