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

from rtsmlm.errors import ConfigError, FileFormatError, SinkError
from rtsmlm.localizations import COLUMN_DTYPES, NEUTRAL, Localizations

# Large enough for row groups and chunks that compress and load well, small beside any memory.
ROWS_PER_BLOCK = 1 << 17

LIMIT_NM = 1e9
"""Coordinates beyond a metre are damage, not microscopy."""


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
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def checked_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata of a file without those well-known keys whose values make no sense."""
    checked = dict(metadata)
    for key in ("pixel_nm", "psf_sigma_nm"):
        if key in checked and (number := positive(checked.pop(key))) is not None:
            checked[key] = number
    if "n_frames" in checked and (n_frames := _count(checked.pop("n_frames"))) is not None:
        checked["n_frames"] = n_frames
    shape = checked.pop("shape", None)
    sides = [_count(side) for side in shape] if isinstance(shape, list | tuple) else []
    if len(sides) == 2 and all(sides):
        checked["shape"] = sides
    return checked


def _count(value: Any) -> int | None:
    """Return a value of foreign metadata as a whole number from 1, or None."""
    number = positive(value)
    return int(number) if number is not None and number.is_integer() else None


def table_from(path: Path, columns: Mapping[str, NDArray[Any]]) -> Localizations:
    """Build a table from the columns of a foreign file.

    Raises
    ------
    FileFormatError
        If a frame is no number from 0, or a coordinate is missing or absurd.
    """
    frame = np.asarray(columns["frame"], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        bad = ~((frame >= 0) & (frame < 2**53) & (np.floor(frame) == frame))
        for name in ("x_nm", "y_nm"):
            bad |= ~(np.abs(np.asarray(columns[name], dtype=np.float64)) < LIMIT_NM)
    if bad.any():
        row = int(np.argmax(bad))
        raise FileFormatError(
            f"{path}: row {row + 1} has frame {frame[row]:g} (counted from 0), "
            f"x {columns['x_nm'][row]:g} nm, y {columns['y_nm'][row]:g} nm, "
            "which is no localization; the file is damaged or of another kind"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        return Localizations.from_columns(
            {
                name: np.asarray(column).astype(COLUMN_DTYPES[name])
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
