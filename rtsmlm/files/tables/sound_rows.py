"""Which rows of a table can be localizations: the one check that all formats share.

Bits flip, programs divide by zero, columns are mistaken for others. A row whose place, frame or
photons cannot be is left out and counted, and the count is said; a table of mostly such rows is
refused. NaN stays where it means "not known": in z, photons, background, standard deviations and
probability.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError, sentence
from rtsmlm.files.limits import LARGEST_FRAME, LARGEST_NM
from rtsmlm.localizations import Localizations

MOST_REFUSED = 0.5
"""A table of which a larger part cannot be is damaged as a whole, or of another kind."""

_SHOWN = ("frame", "x_nm", "y_nm")

_LIMITS: dict[str, tuple[float, float]] = {
    "frame": (0, LARGEST_FRAME),
    "x_nm": (-LARGEST_NM, LARGEST_NM),
    "y_nm": (-LARGEST_NM, LARGEST_NM),
    "z_nm": (-LARGEST_NM, LARGEST_NM),
    "photons": (0, 1e12),
    "background": (-1e12, 1e12),
    "std_x_nm": (0, np.inf),
    "std_y_nm": (0, np.inf),
    "std_z_nm": (0, np.inf),
    "std_photons": (0, np.inf),
    "probability": (0, 1 + 1e-6),
    "channel": (0, 255),
}
"""Least and largest value of each column, far beyond any microscope; a standard deviation may be
infinite, where the method could not tell."""

_ALWAYS_KNOWN = ("frame", "x_nm", "y_nm", "channel")
_WHOLE = ("frame", "channel")


class RowCheck:
    """Tells which rows can be localizations, and counts those that cannot.

    Parameters
    ----------
    path
        The table, for what is said of it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.n_rows = 0
        """Rows that were looked at, or left out before."""
        self.n_refused = 0
        """Those of them that can be no localization."""
        self.place: Callable[[int], str] = lambda row: f"row {row + 1}"
        """Where a row is in the file, by its number from 0; a reader of lines sets it."""
        self._n_looked_at = 0
        self._first: tuple[int, str] | None = None
        self._notes: list[str] = []

    def good(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """Return which of the next rows can be localizations, shape (n,).

        Parameters
        ----------
        columns
            By our names, of any type of number, shape (n,).
        """
        n = len(columns["frame"])
        good = np.ones(n, dtype=bool)
        with np.errstate(invalid="ignore"):
            for name, column in columns.items():
                good &= _good(name, np.asarray(column))
        n_bad = n - int(np.count_nonzero(good))
        if n_bad:
            row = int(np.argmin(good))
            place = self._n_looked_at + row
            if self._first is None or place < self._first[0]:
                shown = f"{_shown(columns, row)} (frames counted from 0)"
                self._first = place, f"{self.place(place)} has {shown}"
        self._n_looked_at += n
        self.n_rows += n
        self.n_refused += n_bad
        return good

    def leave_out(self, n: int, first: str, before: int) -> None:
        """Count rows that a reader has left out, since they are damaged.

        Parameters
        ----------
        n
            How many.
        first
            Where the first of them is and what is wrong with it, as "line 7 has 3 values".
        before
            Number from 0 of the next row that is looked at.
        """
        self.n_rows += n
        self.n_refused += n
        self._first = before, first

    def note(self, text: str) -> None:
        """Take what else the user should know of this table."""
        self._notes.append(sentence(text))

    def sound(self, rows: Localizations) -> Localizations:
        """Return the rows that can be localizations; the same table where all can."""
        good = self.good(rows.columns())
        return rows if good.all() else rows.take(good)

    def notes(self) -> tuple[str, ...]:
        """Return what the user should know: one sentence on rows left out, and other notes."""
        if self._first is None:
            return tuple(self._notes)
        note = (
            f"{self.n_refused} of {self.n_rows} rows of {self._path} can be no localizations and "
            f"are left out: {self._first[1]}"
        )
        return (sentence(note), *self._notes)

    def finish(self) -> None:
        """Raise `FileFormatError` if most rows were left out."""
        if self._first is not None and self.n_refused > MOST_REFUSED * self.n_rows:
            raise FileFormatError(
                f"{self._path}: {self._first[1]}, which is no localization, as {self.n_refused} of "
                f"{self.n_rows} rows; the file is damaged or of another kind"
            )


def _shown(columns: Mapping[str, NDArray[Any]], row: int) -> str:
    """Return frame, place and what cannot be of a row."""
    one = slice(row, row + 1)
    bad = [name for name, column in columns.items() if not _good(name, np.asarray(column[one]))[0]]
    names = [*_SHOWN, *(name for name in bad if name not in _SHOWN)]
    return ", ".join(f"{name} {columns[name][row]:g}" for name in names)


def _good(name: str, column: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where a column has values that can be."""
    low, high = _LIMITS[name]
    good: NDArray[np.bool_] = (column >= low) & (column <= high)
    if column.dtype.kind == "f":
        if name in _WHOLE:
            good &= np.floor(column, where=good, out=np.zeros_like(column)) == column
        elif name not in _ALWAYS_KNOWN:
            good |= np.isnan(column)
    return good
