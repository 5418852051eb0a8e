"""StreamInbox: what has come from a stream until the window asks for it; bounded."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from rtsmlm.localizations import Localizations
from rtsmlm.protocols import ImageLayer
from rtsmlm.stream.messages import (
    DensityMessage,
    FrameMessage,
    LayerMessage,
    RunMessage,
    StatusMessage,
)
from rtsmlm.viewer.sources.topics import StreamMessage
from rtsmlm.viewer.sources.updates import (
    MOST_LAYERS,
    CameraImage,
    Connection,
    RunUpdate,
    layer_from_message,
)

AHEAD_ROWS = 100_000
"""No more are asked for while so many wait to be taken."""
_MOST_DENSITIES = 1000
_MOST_LOGGED = 100
NO_ANSWER_S, _REPEAT_S = 3.0, 30.0
"""Nothing came from the first poll on for so long, and that is reported; and reported again."""

_log = logging.getLogger(__name__)


class StreamInbox:
    """Filled by one thread, emptied by another.

    Parameters
    ----------
    address
        Where the stream is looked for.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._no_answer_at_s: float | None = None
        self._lock = threading.Lock()
        self._run: RunMessage | None = None
        self._restarted = False
        self._rows: deque[Localizations] = deque()
        self._n_rows = 0
        self._status: StatusMessage | None = None
        self._densities: deque[DensityMessage] = deque(maxlen=_MOST_DENSITIES)
        self._frame: CameraImage | None = None
        self._layers: dict[str, ImageLayer] = {}
        self._problem: str | None = None
        self._logged: set[str] = set()

    @property
    def is_full(self) -> bool:
        """True while enough rows wait to be taken."""
        with self._lock:
            return self._n_rows >= AHEAD_ROWS

    def note(
        self,
        *,
        run: RunMessage | None = None,
        status: StatusMessage | None = None,
        density: DensityMessage | None = None,
        frame: CameraImage | None = None,
        layer: ImageLayer | None = None,
    ) -> None:
        """Take what has come; of all but the densities only the newest is kept."""
        with self._lock:
            self._run = run or self._run
            self._status = status or self._status
            self._frame = frame or self._frame
            if density is not None:
                self._densities.append(density)
            if layer is not None and (layer.key in self._layers or self._has_room):
                self._layers[layer.key] = layer

    @property
    def _has_room(self) -> bool:
        return len(self._layers) < MOST_LAYERS

    def note_message(self, message: StreamMessage, pixels: bytes) -> None:
        """Take a message of the run that is shown.

        Raises
        ------
        FileFormatError
            If its pixels are not those that it states.
        """
        match message:
            case StatusMessage():
                self.note(status=message)
            case DensityMessage():
                self.note(density=message)
            case FrameMessage():
                self.note(frame=CameraImage.from_message(message, pixels))
            case LayerMessage():
                self.note(layer=layer_from_message(message, pixels))

    def report(self, problem: str) -> None:
        """Take a sentence on a message that cannot be read; the log has the first of them once."""
        if problem not in self._logged and len(self._logged) < _MOST_LOGGED:
            self._logged.add(problem)
            _log.warning("%s", problem)
        with self._lock:
            self._problem = problem

    def _report_no_answer(self) -> None:
        now_s = time.monotonic()
        if self._no_answer_at_s is None:
            self._no_answer_at_s = now_s + NO_ANSWER_S
        elif now_s >= self._no_answer_at_s:
            self._no_answer_at_s = now_s + _REPEAT_S
            self.report(
                f"nothing answers at {self._address}: no run publishes there, or the address is "
                "wrong; it is tried again until a run answers"
            )

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
                self._layers.clear()

    def take(self, connection: Connection, behind_bytes: int, most_rows: int) -> RunUpdate:
        """Return what has come and forget it; `ended` comes with the last rows."""
        if connection == "waiting":
            self._report_no_answer()
        with self._lock:
            rows: list[Localizations] = []
            taken = 0
            while self._rows and taken < most_rows:
                rows.append(self._rows.popleft())
                taken += len(rows[-1])
            self._n_rows -= taken
            if connection == "ended" and self._rows:
                connection = "live"
            update = RunUpdate(
                connection=connection,
                run=self._run,
                restarted=self._restarted,
                rows=rows,
                status=self._status,
                densities=tuple(self._densities),
                frame=self._frame,
                layers=tuple(self._layers.values()),
                behind_bytes=behind_bytes,
                problem=self._problem,
            )
            self._restarted = False
            self._status = self._frame = self._problem = None
            self._densities.clear()
            self._layers.clear()
            return update
