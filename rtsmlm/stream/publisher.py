"""ZeroMQ stream of results: publisher and subscriber; the wire format is documented here.

The publisher binds an XPUB socket. Every message begins with its topic:

``settings`` (first to every new subscriber, also to a late one; one part)
    ``b"settings" + JSON``: version, run name, frame shape, settings of the run, and
    ``arrow_schema``: the schema of the batches as a base64 Arrow IPC message.
``batch`` (three parts)
    ``b"batch"``, a JSON header (``seq`` counts from 0 so that a slow subscriber sees what it
    missed, ``first_frame``, ``last_frame``, ``n_frames``, ``n_rows``), and an Arrow IPC record
    batch message: the very bytes that stand in ``localizations.arrows``.
``density`` (two parts)
    ``b"density"`` and a JSON object, once per tick: `feedback.records.DensityEstimate`.
``status`` (two parts)
    ``b"status"`` and a JSON object, four times a second: ledger, rates, latency, backlog, validity,
    disk, laser and warnings, see `messages.StatusMessage`.
``frame`` (three parts)
    ``b"frame"``, a JSON header (``index``, ``shape``, ``binning``), and the newest camera frame as
    little-endian uint16, binned to at most 512 pixels a side: sums over ``binning``² pixels divided
    by ``binning``². Sent at most 15 times a second, and only while there is a subscriber.
``end`` (two parts)
    ``b"end"`` and a JSON object with what the sender knows of the end of the run.

The first message also names ``history_port``: where earlier rows can be had (`history`).

The stream is read-only, nothing is ever unpickled, and it binds to loopback. Any other address
needs CURVE keys (``stream.curve_keys``). A slow subscriber loses messages, never the run.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import zmq
import zmq.auth
from numpy.typing import NDArray
from zmq.auth.thread import ThreadAuthenticator

from rtsmlm.errors import ConfigError, SinkError
from rtsmlm.stream.wire import _BATCH, _END, _SETTINGS, FRAME, _is_loopback

_HIGH_WATER_MARK = 1000  # messages per slow subscriber before it begins to lose them


class Publisher:
    """Publish batches to all subscribers; never blocks.

    Parameters
    ----------
    address
        Where to bind, as `tcp://127.0.0.1:5757`; port `*` takes any free one.
    schema
        Arrow schema of the batches.
    settings
        Content of the first message; must be plain JSON data.
    curve_keys
        Folder with `server.key_secret` and the public keys (`*.key`) of those allowed to
        listen; needed for any address but loopback.

    Raises
    ------
    ConfigError
        If the address is not loopback and there are no keys, or it cannot be bound.
    """

    def __init__(
        self,
        address: str,
        *,
        schema: pa.Schema,
        settings: Mapping[str, Any],
        curve_keys: Path | None = None,
    ) -> None:
        if curve_keys is None and not _is_loopback(address):
            raise ConfigError(
                f"stream.address {address} can be reached from other machines; bind to "
                "tcp://127.0.0.1 or give stream.curve_keys"
            )
        self.context = zmq.Context()
        self._watched: set[bytes] = set()
        self._authenticator: ThreadAuthenticator | None = None
        self._socket = self.context.socket(zmq.XPUB)
        self._socket.set_hwm(_HIGH_WATER_MARK)
        self._socket.linger = 500
        arrow_schema = base64.b64encode(schema.serialize().to_pybytes()).decode()
        self._settings = {**settings, "arrow_schema": arrow_schema}
        self.welcome()
        self._seq = 0
        try:
            if curve_keys is not None:
                self._lock_with(curve_keys)
            self._socket.bind(address)
        except (zmq.ZMQError, OSError) as error:
            self.close()
            raise ConfigError(
                f"cannot publish on {address}: {error}; choose another stream.address, "
                "or port * for any free one"
            ) from error
        self.address = str(self._socket.getsockopt_string(zmq.LAST_ENDPOINT))

    def welcome(self, **more: Any) -> None:
        """Add to the first message of every new subscriber."""
        self._settings |= more
        message = _SETTINGS + json.dumps(self._settings).encode()
        self._socket.setsockopt(zmq.XPUB_WELCOME_MSG, message)

    def _lock_with(self, keys: Path) -> None:
        self._authenticator = ThreadAuthenticator(self.context)
        self._authenticator.start()
        self._authenticator.configure_curve(domain="*", location=str(keys))
        public, secret = zmq.auth.load_certificate(keys / "server.key_secret")
        self._socket.curve_publickey, self._socket.curve_secretkey = public, secret
        self._socket.curve_server = True

    def publish(
        self, batch: pa.RecordBatch, *, first_frame: int, last_frame: int, n_frames: int
    ) -> None:
        """Send one batch; `batch` may have no rows.

        Raises
        ------
        SinkError
            If the socket fails.
        """
        header = {
            "seq": self._seq,
            "first_frame": first_frame,
            "last_frame": last_frame,
            "n_frames": n_frames,
            "n_rows": batch.num_rows,
        }
        self._send([_BATCH, json.dumps(header).encode(), batch.serialize()])
        self._seq += 1

    def publish_json(self, topic: bytes, message: Mapping[str, Any]) -> None:
        """Send `density` or `status`.

        Raises
        ------
        SinkError
            If the socket fails.
        """
        self._send([topic, json.dumps(dict(message)).encode()])

    @property
    def frame_is_wanted(self) -> bool:
        """True while there is a subscriber to frames."""
        with contextlib.suppress(zmq.Again):
            while True:
                word = self._socket.recv(flags=zmq.NOBLOCK)
                if word[:1] == b"\x01":
                    self._watched.add(word[1:])
                else:
                    self._watched.discard(word[1:])
        return FRAME in self._watched

    def show(self, pixels: NDArray[np.uint16], index: int, binning: int) -> None:
        """Send a frame.

        Parameters
        ----------
        pixels
            ADU, uint16, shape (height, width), after binning.
        index
            Its number.
        binning
            How many pixels a side went into one.

        Raises
        ------
        SinkError
            If the socket fails.
        """
        header = {"index": index, "shape": list(pixels.shape), "binning": binning}
        self._send([FRAME, json.dumps(header).encode(), np.ascontiguousarray(pixels, "<u2")])

    def end(self, summary: Mapping[str, Any]) -> None:
        """Notify the subscribers that the run is over."""
        self._send([_END, json.dumps(dict(summary)).encode()])

    def _send(self, parts: list[Any]) -> None:
        try:
            self._socket.send_multipart(parts, flags=zmq.NOBLOCK)
        except zmq.ZMQError as error:
            raise SinkError(f"the stream on {self.address} failed: {error}") from error

    def close(self) -> None:
        """Close the socket. Safe to call more than once."""
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None
        self._socket.close()
        self.context.term()
