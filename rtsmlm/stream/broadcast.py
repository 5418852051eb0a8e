"""Broadcast: everything a run sends to subscribers, never at the cost of the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rtsmlm.errors import RtsmlmError, WorkerError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_schema import to_batch
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.localizations import Localizations
from rtsmlm.realtime.worker import one_line
from rtsmlm.settings.run import StreamSettings
from rtsmlm.stream.addresses import FIRST_PORT, port_of
from rtsmlm.stream.history import HistoryServer
from rtsmlm.stream.messages import LayerMessage
from rtsmlm.stream.publisher import Publisher
from rtsmlm.stream.wire import DENSITY, FRAME_PX, FRAMES_PER_S, STATUS

_LAST_PORT = 65535
_FRAME_NS = round(1e9 / FRAMES_PER_S)


class Broadcast:
    """Stream and history of a run; after a failure it warns once and sends nothing more.

    Parameters
    ----------
    settings
        Where to bind, and the keys.
    folder
        The run folder.
    schema
        Arrow schema of the batches.
    about
        Content of the first message; plain JSON data.
    run_id
        Number of the run.
    generation
        How often the table has been cut.
    warn
        Called with one sentence, from any thread.
    """

    def __init__(
        self,
        settings: StreamSettings,
        folder: RunFolder,
        *,
        schema: pa.Schema,
        about: Mapping[str, object],
        run_id: str,
        generation: int,
        warn: Callable[[str], None],
    ) -> None:
        self._schema = schema
        self._warn = warn
        self._publisher: Publisher | None = None
        self._history: HistoryServer | None = None
        self._last_frame_ns = 0
        self._lock = threading.Lock()
        self._status: Mapping[str, object] | None = None
        if not settings.enabled:
            return
        try:
            self._open(settings, folder, about, run_id, generation)
        except RtsmlmError as error:
            self.close()
            warn(f"no live stream: {error}")

    def _open(
        self,
        settings: StreamSettings,
        folder: RunFolder,
        about: Mapping[str, object],
        run_id: str,
        generation: int,
    ) -> None:
        publisher = self._publisher = Publisher(
            settings.address,
            schema=self._schema,
            settings=about,
            run_id=run_id,
            curve_keys=settings.curve_keys,
            warn=self._warn,
        )
        if settings.address is None and port_of(publisher.address) != FIRST_PORT:
            self._warn(
                f"port {FIRST_PORT} is taken by another run or another program; this run is "
                f"published on {publisher.address}"
            )
        if publisher.address.startswith("tcp://"):
            self._history = HistoryServer(
                folder.localizations,
                publisher.address.rpartition(":")[0],
                generation=generation,
                context=publisher.context,
                run_id=run_id,
                port=history_port(settings.address),
                curve_keys=settings.curve_keys,
                on_death=self._history_died,
            )
            publisher.add_to_first_message(history_port=self._history.port)
        publisher.start()

    @property
    def address(self) -> str | None:
        """Address of the stream; None while it is off."""
        return None if self._publisher is None else self._publisher.address

    @property
    def is_watched(self) -> bool:
        """True while there is a subscriber."""
        return self._publisher is not None and self._publisher.is_watched

    def rows(self, localizations: Localizations, batch: FrameBatch) -> None:
        """Publish the rows of a batch."""
        self._try(
            lambda publisher: publisher.publish(
                to_batch(localizations, self._schema),
                first_frame=int(batch.index[0]),
                last_frame=int(batch.index[-1]),
                n_frames=len(batch),
            )
        )

    def density(self, estimate: Mapping[str, object]) -> None:
        """Publish an estimate of the density."""
        self._try(lambda publisher: publisher.publish_json(DENSITY, estimate))

    def hand_over(self, status: Mapping[str, object]) -> None:
        """Leave a status to be published by `refresh`; from any thread, only the newest counts."""
        with self._lock:
            self._status = status

    def refresh(self) -> None:
        """Publish what was handed over."""
        with self._lock:
            status, self._status = self._status, None
        if status is not None:
            self._try(lambda publisher: publisher.publish_json(STATUS, status))

    def frame(self, batch: FrameBatch, t_ns: int) -> None:
        """Publish the newest frame, if there is a subscriber and the last was long enough ago."""
        if t_ns - self._last_frame_ns < _FRAME_NS:
            return
        self._last_frame_ns = t_ns

        def show(publisher: Publisher) -> None:
            if publisher.frame_is_wanted:
                pixels, binning = binned(batch.pixels[-1])
                publisher.show(pixels, int(batch.index[-1]), binning)

        self._try(show)

    def layer(self, layer: LayerMessage, pixels: bytes) -> None:
        """Publish an image that a network predicts, if there is a subscriber."""
        if self.is_watched:
            self._try(lambda publisher: publisher.show_layer(layer, pixels))

    def end(self, summary: Mapping[str, object]) -> None:
        """Notify the subscribers that the run is over."""
        self.refresh()
        self._try(lambda publisher: publisher.end(summary))

    def _try(self, act: Callable[[Publisher], None]) -> None:
        if self._publisher is None:
            return
        try:
            act(self._publisher)
        except RtsmlmError as error:
            self.close()
            self._warn(str(error))

    def close(self) -> None:
        """Stop sending and close the sockets. Safe to call more than once."""
        history, self._history = self._history, None
        publisher, self._publisher = self._publisher, None
        try:
            if history is not None:
                history.close()
        except WorkerError as error:
            self._warn(str(error))
        finally:
            if publisher is not None:
                self._close_publisher(publisher)

    def _close_publisher(self, publisher: Publisher) -> None:
        try:
            publisher.close()
        except WorkerError as error:
            self._warn(str(error))

    def _history_died(self, error: BaseException) -> None:
        self._warn(
            "a window that is opened from now on shows no earlier localizations: the history "
            f"thread died: {one_line(error)}"
        )


def history_port(address: str | None) -> int | None:
    """Return the port next to one that is stated, so that a firewall need open only two."""
    port = None if address is None else port_of(address.replace(":*", ""))
    return None if port is None or port >= _LAST_PORT else port + 1


def binned(pixels: Pixels) -> tuple[NDArray[np.uint16], int]:
    """Return a frame of at most `FRAME_PX` pixels a side, and how many went into one.

    Parameters
    ----------
    pixels
        ADU, uint16, shape (height, width).
    """
    height, width = pixels.shape
    n = -(-max(height, width) // FRAME_PX)
    if n == 1:
        return pixels, 1
    rows, columns = height // n, width // n
    blocks = pixels[: rows * n, : columns * n].reshape(rows, n, columns, n)
    return blocks.mean(axis=(1, 3), dtype=np.float32).astype(np.uint16), n
