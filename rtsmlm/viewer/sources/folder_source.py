"""FolderSource: a run folder as a source of updates, of a run that is over or still goes on."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import BinaryIO

from rtsmlm.errors import FileFormatError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.table_tail import OVERLAP_BYTES, TableTail
from rtsmlm.localizations import Localizations
from rtsmlm.stream.messages import DensityMessage, RunMessage
from rtsmlm.viewer.sources.folder_status import FolderStatus
from rtsmlm.viewer.sources.updates import Connection, RunUpdate

MOST_BYTES = 8 << 20
"""Of the table in one poll."""
SILENT_S = 3.0
_PIECE_BYTES = 256 << 10
_MOST_S = 0.03
"""For reading in one poll: the thread that polls is the one that draws."""
_FILES_S = 0.5
"""Time from one reading of the small files to the next."""

_log = logging.getLogger(__name__)


class FolderSource:
    """Updates of a run folder, as `updates.Source`. All is read in `poll`, without a thread.

    Files are open only while they are read, so that the run may replace them on Windows too.

    Parameters
    ----------
    path
        The folder; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._folder = RunFolder(path)
        self._files = FolderStatus(self._folder)
        self._tail = TableTail()
        self._waiting: list[Localizations] = []
        self._n_rows = 0
        self._left_out: str | None = None
        self._size = 0
        self._table_there = self._gone = False
        self._damaged_at: int | None = None  # size of the table that could not be read
        self._grown_s = -math.inf
        self._files_at_s = -math.inf

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self._folder.path.name

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder.path

    def poll(self, most_rows: int = 100_000) -> RunUpdate:
        """Return what is new; at most about so many rows, the rest comes next time."""
        now_s = time.monotonic()
        restarted = self._read_table(most_rows, now_s)
        rows = list(self._waiting)
        self._waiting.clear()
        densities: list[DensityMessage] = []
        if now_s >= self._files_at_s:
            self._files_at_s = now_s + _FILES_S
            densities = self._files.update()
        return RunUpdate(
            connection=self._connection(now_s),
            run=self._run(),
            restarted=restarted,
            rows=rows,
            status=self._files.status(self._n_rows),
            densities=densities,
            behind_bytes=self._behind_bytes,
            folder=self._folder.path,
            problem=self._files.take_problem() or self._rows_left_out(),
        )

    def close(self) -> None:
        """Nothing is held open. Safe to call more than once."""

    def _rows_left_out(self) -> str | None:
        """Return, once all has been read, what is new on rows that can be no localizations."""
        said, now = self._left_out, self._tail.left_out
        if self._behind_bytes or now == said:
            return None
        self._left_out = now
        return now

    @property
    def _behind_bytes(self) -> int:
        return max(0, self._size - self._tail.n_bytes)

    def _connection(self, now_s: float) -> Connection:
        if not self._table_there:
            return "waiting"
        if self._gone or self._damaged_at is not None:
            return "lost"
        if self._tail.ended and not self._behind_bytes:
            return "ended"
        if self._files.finished and now_s - self._grown_s > SILENT_S:
            return "ended"  # a killed run has no mark of the end
        return "live" if now_s - self._grown_s < SILENT_S else "silent"

    def _run(self) -> RunMessage | None:
        table = self._tail.metadata
        if "shape" not in table or "pixel_nm" not in table:
            return None
        height, width = table["shape"]
        return RunMessage(
            run=str(table.get("run", self.name)),
            shape=(height, width),
            pixel_nm=table["pixel_nm"],
            settings=self._files.settings,
        )

    def _read_table(self, most_rows: int, now_s: float) -> bool:
        """Read on; True if all has to come again."""
        try:
            with self._folder.localizations.open("rb") as file:
                self._table_there, self._gone = True, False
                size = file.seek(0, 2)
                if size == self._damaged_at:
                    return False
                self._size = size
                return not self._read_pieces(file, most_rows, now_s)
        except FileFormatError as error:
            _log.warning("%s: %s", self._folder.localizations, error)
            self._damaged_at = self._size
        except OSError as error:
            _log.debug("the table cannot be read now: %s", error)
            self._gone = self._table_there
        return False

    def _read_pieces(self, file: BinaryIO, most_rows: int, now_s: float) -> bool:
        """Read until there is no more, or enough; False if it is another table."""
        first_row, first_byte = self._n_rows, self._tail.n_bytes
        while True:
            before = self._tail.n_bytes
            file.seek(self._tail.offset)
            if not self._take(file.read(OVERLAP_BYTES + _PIECE_BYTES)):
                return False
            if self._tail.n_bytes == before:
                return True
            self._grown_s = now_s
            enough = (
                self._n_rows - first_row >= most_rows
                or self._tail.n_bytes - first_byte >= MOST_BYTES
                or time.monotonic() - now_s > _MOST_S
            )
            if enough:
                return True

    def _take(self, data: bytes) -> bool:
        """Take bytes; False, and nothing is left of what was read, if they are of another table."""
        rows = self._tail.take(data) if self._damaged_at is None else None
        if rows is None:
            self._tail, self._damaged_at = TableTail(), None
            self._waiting.clear()
            self._n_rows = 0
            return False
        if len(rows):
            self._waiting.append(rows)
            self._n_rows += len(rows)
        return True
