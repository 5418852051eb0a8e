"""Subscriber: the results of a run, from any process or machine."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import zmq
import zmq.auth

from rtsmlm.files.tables.arrow_schema import from_batch
from rtsmlm.localizations import Localizations
from rtsmlm.stream.wire import _BATCH, _END, _SETTINGS


@dataclass(frozen=True, slots=True)
class StreamBatch:
    """What one `batch` message holds."""

    localizations: Localizations
    first_frame: int
    last_frame: int
    n_frames: int


class Subscriber:
    """Receive the results of a run, from this process or another.

    Iterating yields `StreamBatch` objects until the run ends. `settings` is filled with the
    first message, `lost` counts batches that this subscriber was too slow for, `ended` is the
    summary of the last message.

    Parameters
    ----------
    address
        Where the run publishes.
    timeout_s
        How long to wait for a message before iteration stops; None waits for ever.
    curve_keys
        Folder with `server.key` and this client's `client.key_secret`, for a remote run.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout_s: float | None = None,
        curve_keys: Path | None = None,
    ) -> None:
        self.settings: dict[str, Any] = {}
        self.ended: dict[str, Any] | None = None
        self.lost = 0
        self._next_seq: int | None = None
        self._schema: pa.Schema | None = None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.linger = 0
        if timeout_s is not None:
            self._socket.rcvtimeo = int(timeout_s * 1000)
        if curve_keys is not None:
            server, _ = zmq.auth.load_certificate(curve_keys / "server.key")
            public, secret = zmq.auth.load_certificate(curve_keys / "client.key_secret")
            self._socket.curve_serverkey = server
            self._socket.curve_publickey, self._socket.curve_secretkey = public, secret
        for topic in (_SETTINGS, _BATCH, _END):
            self._socket.subscribe(topic)
        self._socket.connect(address)

    def __iter__(self) -> Iterator[StreamBatch]:
        while self.ended is None:
            try:
                topic, *parts = self._socket.recv_multipart()
            except zmq.Again:
                return
            if topic.startswith(_SETTINGS):
                self._begin(json.loads(topic[len(_SETTINGS) :]))
            elif topic == _END:
                self.ended = json.loads(parts[0])
            elif topic == _BATCH and self._schema is not None:
                yield self._batch(json.loads(parts[0]), parts[1])

    def _begin(self, settings: dict[str, Any]) -> None:
        schema = base64.b64decode(settings.pop("arrow_schema"))
        self._schema = pa.ipc.read_schema(pa.py_buffer(schema))
        self.settings = settings
        self._next_seq = None  # a restarted analysis process counts from 0 again

    def _batch(self, header: dict[str, Any], message: bytes) -> StreamBatch:
        if self._next_seq is not None:
            self.lost += header["seq"] - self._next_seq
        self._next_seq = header["seq"] + 1
        batch = pa.ipc.read_record_batch(pa.py_buffer(message), self._schema)
        return StreamBatch(
            localizations=from_batch(batch),
            first_frame=header["first_frame"],
            last_frame=header["last_frame"],
            n_frames=header["n_frames"],
        )

    def close(self) -> None:
        """Close the socket. Safe to call more than once."""
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
