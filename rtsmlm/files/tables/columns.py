"""What all table formats share: which columns are known, checks on reading, safe writing."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rtsmlm.errors import ConfigError, SinkError
from rtsmlm.files.limits import LARGEST_FRAME, MAX_SIDE_PX
from rtsmlm.files.tables.arrow_schema import extra_columns_of
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.localizations import COLUMN_DTYPES, NEUTRAL, Localizations

# Large enough for row groups and chunks that compress and load well, small beside any memory.
ROWS_PER_BLOCK = 1 << 17


def generator_name() -> str:
    """Return name and version of this program, as other programs shall read it."""
    return f"rtsmlm {version('rtsmlm')}"


def in_blocks(
    batches: Iterable[Localizations], n_rows: int = ROWS_PER_BLOCK
) -> Iterator[Localizations]:
    """Gather small batches, so that each block but the last has at least `n_rows` rows."""
    waiting: list[Localizations] = []
    n_waiting = 0
    for batch in batches:
        waiting.append(batch)
        n_waiting += len(batch)
        if n_waiting >= n_rows:
            yield Localizations.concatenate(waiting)
            waiting, n_waiting = [], 0
    if n_waiting:
        yield Localizations.concatenate(waiting)


def known_columns(batches: Iterable[Localizations]) -> frozenset[str]:
    """Return the columns with information: neither all NaN nor all neutral."""
    known = {"frame", "x_nm", "y_nm"}
    for batch in batches:
        for name, column in batch.columns().items():
            if name in known:
                continue
            neutral = NEUTRAL.get(name)
            informative = np.isfinite(column) if neutral is None else column != neutral
            if informative.any():
                known.add(name)
    if "std_z_nm" in known:
        known.add("z_nm")
    return frozenset(known)


def needed_pixel_nm(metadata: Mapping[str, Any], doing: str) -> float:
    """Return the camera pixel of a table about to be written.

    Raises
    ------
    ConfigError
        If the metadata does not hold it.
    """
    pixel_nm = positive(metadata.get("pixel_nm"))
    if pixel_nm is None:
        raise ConfigError(
            f"{doing} needs the camera pixel in nm, which the table does not state; give --pixel-nm"
        )
    return pixel_nm


def positive(value: Any) -> float | None:
    """Return a value of foreign metadata as a finite positive number, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _length_nm(value: Any) -> float | None:
    """Return a pixel or a width of foreign metadata, None for one that no microscope has."""
    number = positive(value)
    return number if number is not None and 1e-3 <= number <= 1e6 else None


def checked_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata of a file without those well-known keys whose values make no sense."""
    checked = dict(metadata)
    for key in ("pixel_nm", "psf_sigma_nm"):
        if key in checked and (number := _length_nm(checked.pop(key))) is not None:
            checked[key] = number
    if "extra_columns" in checked:
        checked["extra_columns"] = extra_columns_of(checked)
    n_frames = _count(checked.pop("n_frames", None))
    if n_frames is not None and n_frames <= LARGEST_FRAME:
        checked["n_frames"] = n_frames
    shape = checked.pop("shape", None)
    sides = [_count(side) for side in shape] if isinstance(shape, list | tuple) else []
    if len(sides) == 2 and all(side and side <= MAX_SIDE_PX for side in sides):
        checked["shape"] = sides
    return checked


def _count(value: Any) -> int | None:
    """Return a value of foreign metadata as a whole number from 1, or None."""
    number = positive(value)
    return int(number) if number is not None and number.is_integer() else None


def table_from(columns: Mapping[str, NDArray[Any]], check: RowCheck) -> Localizations:
    """Build a table from the columns of a foreign file, without rows that can be no localizations.

    Parameters
    ----------
    columns
        By our names, of any type of number, shape (n,).
    check
        Counts the rows that are left out.

    Raises
    ------
    FileFormatError
        If that is true of most rows.
    """
    good = check.good(columns)
    check.finish()
    return Localizations.from_columns(
        {
            name: np.asarray(column)[good].astype(COLUMN_DTYPES[name])
            for name, column in columns.items()
        }
    )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to; it takes the place of `path` only when all went well.

    Raises
    ------
    SinkError
        If writing fails.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except (OSError, RuntimeError, pa.ArrowException) as error:
        raise SinkError(
            f"cannot write {path}: {error}; free space or choose another folder"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
