"""Subscriber: the results of a run, from any process or machine."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import zmq

from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.localizations import Localizations
from rtsmlm.stream.batch_message import read_batch, read_schema
from rtsmlm.stream.keys import load_client_keys, show_keys
from rtsmlm.stream.messages import BatchMessage, FirstMessage, LastMessage, read_message
from rtsmlm.stream.wire import BATCH, BATCH_BYTES, END, SETTINGS

_WAITING = 64
"""Messages that wait here; more wait with the publisher."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamBatch:
    """What one `batch` message holds."""

    localizations: Localizations
    first_frame: int
    last_frame: int
    n_frames: int


class Subscriber:
    """Receive the results of a run, from this process or another.

    Iterating yields `StreamBatch` objects until the run ends, or until another run begins at the
    same address: a further iteration goes on with that. `settings` is filled with the first
    message, `run_id` is the number of the run, `lost` counts batches that this subscriber was too
    slow for, `damaged` messages that could not be read or were of another run, `ended` is the
    summary of the last message.

    Parameters
    ----------
    address
        Where the run publishes.
    timeout_s
        How long to wait for a message before iteration stops; None waits for ever.
    curve_keys
        Folder with `server.key` and this client's `client.key_secret`, for a remote run.

    Raises
    ------
    ConfigError
        If the address is none, or the keys cannot be read.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout_s: float | None = None,
        curve_keys: Path | None = None,
    ) -> None:
        self.settings: dict[str, Any] = {}
        self.run_id: str | None = None
        self.ended: dict[str, Any] | None = None
        self.lost = self.damaged = 0
        self._next_seq: int | None = None
        self._schema: pa.Schema | None = None
        self._next_run: FirstMessage | None = None
        keys = None if curve_keys is None else load_client_keys(curve_keys)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.rcvhwm = _WAITING
        self._socket.maxmsgsize = BATCH_BYTES
        if timeout_s is not None:
            self._socket.rcvtimeo = int(timeout_s * 1000)
        try:
            if keys is not None:
                show_keys(self._socket, keys)
            for topic in (SETTINGS, BATCH, END):
                self._socket.subscribe(topic)
            self._socket.connect(address)
        except (zmq.ZMQError, ValueError) as error:
            self.close()
            raise ConfigError(f"cannot listen to {address}: {error}") from error

    def __iter__(self) -> Iterator[StreamBatch]:
        if self._next_run is not None:
            self._begin(self._next_run)
        while self.ended is None and self._next_run is None:
            try:
                topic, *parts = self._socket.recv_multipart()
            except zmq.Again:
                return
            try:
                batch = self._take(topic, parts)
            except FileFormatError as error:
                self.damaged += 1
                _log.debug("dropped a message: %s", error)
                continue
            if batch is not None:
                yield batch

    def _take(self, topic: bytes, parts: list[bytes]) -> StreamBatch | None:
        """Take a message and return the rows that it holds.

        Raises
        ------
        FileFormatError
            If it cannot be read, or is of another run.
        """
        first, second = (*parts, b"", b"")[:2]
        if topic.startswith(SETTINGS):
            about = topic[len(SETTINGS) :]
            run = read_message(FirstMessage, about, "the first message of the run")
            if self.run_id in (None, run.run_id):
                self._begin(run)
            else:
                self._next_run = run
        elif topic == END:
            end = read_message(LastMessage, first, "the end of the run")
            self._check_run(end.run_id)
            self.ended = end.model_dump(exclude={"run_id"})
        elif topic == BATCH and self._schema is not None:
            header = read_message(BatchMessage, first, "a batch of the run")
            self._check_run(header.run_id)
            return self._batch(header, read_batch(second, self._schema, header.n_rows))
        return None

    def _check_run(self, run_id: str) -> None:
        if run_id != self.run_id:
            raise FileFormatError(f"a message is of run {run_id}, and this is {self.run_id}")

    def _begin(self, run: FirstMessage) -> None:
        self._schema = read_schema(run.arrow_schema)
        self.settings = run.model_dump(mode="json", exclude={"arrow_schema"})
        self.run_id, self.ended, self._next_run = run.run_id, None, None
        self._next_seq = None  # a restarted analysis process counts from 0 again

    def _batch(self, header: BatchMessage, localizations: Localizations) -> StreamBatch:
        if self._next_seq is not None:
            self.lost += max(0, header.seq - self._next_seq)
        self._next_seq = header.seq + 1
        return StreamBatch(
            localizations=localizations,
            first_frame=header.first_frame,
            last_frame=header.last_frame,
            n_frames=header.n_frames,
        )

    def close(self) -> None:
        """Close the socket. Safe to call more than once."""
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
