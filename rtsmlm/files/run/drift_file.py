"""Drift of a run on disk: `drift.csv`, and the drift file of Picasso."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import LARGEST_FRAME
from rtsmlm.files.run.folder import write_text

F64 = NDArray[np.float64]

DRIFT_FILE = "drift.csv"
_COLUMNS = "frame,dx_nm,dy_nm,dz_nm"
HEADING = f"{_COLUMNS},source"
"""The drift was taken off: a place is the one that was localized minus it."""
PICASSO_DRIFT = "localizations_drift.txt"
_MOST_LINES = 10_000_000


def drift_lines(frame: F64, drift_nm: F64, sources: Sequence[str] = ()) -> str:
    """Return the lines of `drift.csv` without its heading.

    Parameters
    ----------
    frame, drift_nm
        Frames (n,), and the drift there, (n, 3).
    sources
        What each rests on: localizations, image, or none; not given is localizations throughout.
    """
    rows = zip(frame, *drift_nm.T, sources or ["localizations"] * len(frame), strict=True)
    return "".join(f"{f:.10g},{x:.3f},{y:.3f},{z:.3f},{by}\n" for f, x, y, z, by in rows)


def write_drift(path: Path, frame: F64, drift_nm: F64) -> None:
    """Write `drift.csv` in one step, of ascending frames (n,) and the drift there, (n, 3).

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    write_text(path, f"{HEADING}\n{drift_lines(frame, drift_nm)}")


def read_drift(path: Path) -> tuple[F64, F64]:
    """Read `drift.csv`: frames (n,) and drift (n, 3); a last line that is torn is left out.

    Raises
    ------
    FileFormatError
        If there is none, or it is damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = [line for line, _ in zip(csv.reader(file), range(_MOST_LINES), strict=False)]
    except (OSError, ValueError, csv.Error) as error:
        raise FileFormatError(f"cannot read {path}: {error}") from error
    heading = ",".join(lines[0]) if lines else ""
    if heading not in (HEADING, _COLUMNS):
        raise FileFormatError(f"{path} does not begin with {HEADING}")
    whole = [line[:4] for line in lines[1:] if len(line) == len(lines[0])]
    try:
        values = np.array([[float(v) for v in line] for line in whole])
    except ValueError as error:
        raise FileFormatError(f"{path} holds what is no number: {error}") from error
    if not len(values):
        return np.zeros(0), np.zeros((0, 3))
    frame = values[:, 0]
    if not np.isfinite(values).all() or (np.diff(frame) < 0).any() or frame[-1] > LARGEST_FRAME:
        raise FileFormatError(f"{path} is damaged: its frames are not in order, or not finite")
    return frame, values[:, 1:]


def write_picasso_drift(path: Path, drift_nm: F64, pixel_nm: float) -> None:
    """Write the drift as Picasso reads it: a line for each frame, x and y in pixels, z in nm.

    Parameters
    ----------
    path
        The file, whose name has to end in .txt for Picasso.
    drift_nm
        Of frame 0 and all that follow, (n, 3). Where z is 0 throughout there are two columns.
    pixel_nm
        Camera pixel in the sample plane.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    drift = drift_nm / [pixel_nm, pixel_nm, 1.0]
    if not drift_nm[:, 2].any():
        drift = drift[:, :2]
    write_text(path, "".join(" ".join(f"{v:.6f}" for v in line) + "\n" for line in drift))
