"""TableSource: the localizations of a file, of rtsmlm or another program, as a run that is over."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.read import read_table
from rtsmlm.stream.messages import RunMessage
from rtsmlm.viewer.sources.updates import RunUpdate

_USUAL_PIXEL_NM = 100.0
_MOST_SIDE = 100_000


class TableSource:
    """Gives all rows of a table; implements `updates.Source`.

    Parameters
    ----------
    path
        A table of any format that `read_table` knows.

    Raises
    ------
    FileFormatError
        If it cannot be read, or holds no rows.
    """

    def __init__(self, path: Path) -> None:
        notes: tuple[str, ...] = ()
        try:
            table = read_table(path)
        except FileFormatError:
            # Some formats count from the corner of a pixel, and do not state how large it is.
            table = read_table(path, _USUAL_PIXEL_NM)
            notes = (f"the table states no camera pixel; {_USUAL_PIXEL_NM:g} nm are assumed",)
        self._rows, self._sent = table.localizations, 0
        self.name = path.name
        if not len(self._rows):
            raise FileFormatError(f"{path.name} holds no localizations that could be shown")
        pixel_nm = float(table.metadata.get("pixel_nm") or _USUAL_PIXEL_NM)
        stated = table.metadata.get("shape")
        shape = tuple(stated) if stated and len(stated) == 2 else self._extent(pixel_nm)
        self._run = RunMessage(run=path.name, shape=(shape[0], shape[1]), pixel_nm=pixel_nm)
        self._problem = "; ".join((*table.notes, *notes)) or None

    def _extent(self, pixel_nm: float) -> tuple[int, int]:
        """Return height and width in camera pixels that hold all rows."""
        sides = (
            math.ceil(float(np.max(values)) / pixel_nm + 0.5)
            for values in (self._rows.y_nm, self._rows.x_nm)
        )
        height, width = (min(max(side, 1), _MOST_SIDE) for side in sides)
        return height, width

    def poll(self, most_rows: int = 100_000) -> RunUpdate:
        """Return the next rows, and that there are no more."""
        start, self._sent = self._sent, min(self._sent + most_rows, len(self._rows))
        rows = [self._rows.take(slice(start, self._sent))] if self._sent > start else []
        problem, self._problem = self._problem, None
        is_over = self._sent == len(self._rows)
        return RunUpdate(
            connection="ended" if is_over else "live", run=self._run, rows=rows, problem=problem
        )

    def close(self) -> None:
        """Nothing is held but the rows."""
