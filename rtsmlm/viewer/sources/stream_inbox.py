"""StreamInbox: what a stream has told, until the window asks for it; bounded, whoever is slow."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from rtsmlm.localizations import Localizations
from rtsmlm.viewer.sources.updates import CameraImage, Connection, RunUpdate

AHEAD_ROWS = 100_000
"""No more are asked for while so many wait to be taken."""
_MOST_DENSITIES = 1000


class StreamInbox:
    """Filled by one thread, emptied by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._about: Mapping[str, Any] = {}
        self._restarted = False
        self._rows: deque[Localizations] = deque()
        self._n_rows = 0
        self._status: Mapping[str, Any] | None = None
        self._densities: deque[Mapping[str, Any]] = deque(maxlen=_MOST_DENSITIES)
        self._frame: CameraImage | None = None

    @property
    def is_full(self) -> bool:
        """True while enough rows wait to be taken."""
        with self._lock:
            return self._n_rows >= AHEAD_ROWS

    def tell(
        self,
        *,
        about: Mapping[str, Any] | None = None,
        status: Mapping[str, Any] | None = None,
        density: Mapping[str, Any] | None = None,
        frame: CameraImage | None = None,
    ) -> None:
        """Take what the stream says; of status and frame only the newest is kept."""
        with self._lock:
            self._about = self._about if about is None else about
            self._status = status or self._status
            self._frame = frame or self._frame
            if density is not None:
                self._densities.append(density)

    def put(self, rows: Localizations) -> None:
        """Take rows."""
        if not len(rows):
            return
        with self._lock:
            self._rows.append(rows)
            self._n_rows += len(rows)

    def restart(self, *, new_run: bool) -> None:
        """Forget the rows, and of another run all else too."""
        with self._lock:
            self._restarted = True
            self._rows.clear()
            self._n_rows = 0
            if new_run:
                self._status = self._frame = None
                self._densities.clear()

    def take(self, connection: Connection, behind_bytes: int, most_rows: int) -> RunUpdate:
        """Return what has come and forget it; `ended` is said with the last rows."""
        with self._lock:
            rows: list[Localizations] = []
            taken = 0
            while self._rows and taken < most_rows:
                rows.append(self._rows.popleft())
                taken += len(rows[-1])
            self._n_rows -= taken
            if connection == "ended" and self._rows:
                connection = "live"
            news = RunUpdate(
                connection=connection,
                about=self._about,
                restarted=self._restarted,
                rows=rows,
                status=self._status,
                densities=tuple(self._densities),
                frame=self._frame,
                behind_bytes=behind_bytes,
            )
            self._restarted = False
            self._status = self._frame = None
            self._densities.clear()
            return news
