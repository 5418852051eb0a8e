"""ZeroMQ stream of results: the publisher; the wire format is documented here.

The publisher binds an XPUB socket. Every message begins with its topic, and states in `run_id` the
run that it is of, so that rows of two runs are never mixed:

``settings`` (first to every new subscriber, also to a late one; one part)
    ``b"settings" + JSON``: `messages.RunMessage`, that is run, run_id, frame shape, pixel size, the
    few settings that a window shows, ``history_port`` (where earlier rows can be had, `history`),
    and ``arrow_schema``: the schema of the batches as a base64 Arrow IPC message.
``batch`` (three parts)
    ``b"batch"``, a JSON header (``run_id``, ``seq`` counts from 0 so that a slow subscriber sees
    what it missed, ``first_frame``, ``last_frame``, ``n_frames``, ``n_rows``), and an Arrow IPC
    record batch message: the very bytes that stand in ``localizations.arrows``.
``density`` (two parts)
    ``b"density"`` and a JSON object, once per tick: `feedback.records.DensityEstimate`.
``status`` (two parts)
    ``b"status"`` and a JSON object, four times a second: ledger, rates, latency, backlog, validity,
    disk, laser and warnings, see `messages.StatusMessage`.
``frame`` (three parts)
    ``b"frame"``, a JSON header (``index``, ``shape``, ``binning``), and the newest camera frame as
    little-endian uint16, binned to at most 512 pixels a side: sums over ``binning``² pixels divided
    by ``binning``². Sent at most 15 times a second, and only while there is a subscriber.
``layer`` (three parts)
    ``b"layer"``, a JSON header (`messages.LayerMessage`), and the image that a network predicts as
    far as it has grown, as little-endian uint16 of at most 1024 pixels a side. Every few seconds,
    for each network of `results.image_models` that takes frames.
``end`` (two parts)
    ``b"end"`` and a JSON object with what the sender knows of the end of the run.

The stream is read-only, nothing is ever unpickled, and it binds to loopback. Any other address
needs CURVE keys (``stream.curve_keys``, `keys`). A slow subscriber loses messages, never the run.

The socket belongs to a thread (`sender`): what others send to it costs the localizing thread
nothing, however much it is.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import zmq
from numpy.typing import NDArray
from zmq.auth.thread import ThreadAuthenticator

from rtsmlm.errors import ConfigError, SinkError, WorkerError
from rtsmlm.stream.addresses import HOST, bind_first, candidates, is_loopback
from rtsmlm.stream.keys import ask_for_keys, load_server_keys, start_authenticator
from rtsmlm.stream.messages import LayerMessage
from rtsmlm.stream.sender import Sender
from rtsmlm.stream.wire import BATCH, BATCH_BYTES, END, FRAME, LAYER, SETTINGS, new_run_id

_END_S = 10.0


class Publisher:
    """Publish batches to all subscribers, once it is started; never blocks. Of one thread.

    Parameters
    ----------
    address
        Where to bind, as `tcp://127.0.0.1:5757`; port `*` takes any free one, and None the first
        free one from 5757 on, on this machine.
    schema
        Arrow schema of the batches.
    settings
        Content of the first message; must be plain JSON data.
    run_id
        Number of the run, in every message.
    curve_keys
        Folder with `server.key_secret` and the public keys (`*.key`) of those allowed to
        listen; needed for any address but loopback.
    warn
        Called with one sentence, from any thread.

    Raises
    ------
    ConfigError
        If the address is not loopback and there are no keys, or it cannot be bound.
    """

    def __init__(
        self,
        address: str | None,
        *,
        schema: pa.Schema,
        settings: Mapping[str, Any],
        run_id: str | None = None,
        curve_keys: Path | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        if address is not None and curve_keys is None and not is_loopback(address):
            raise ConfigError(
                f"stream.address {address} can be reached from other machines; bind to "
                "tcp://127.0.0.1 or give stream.curve_keys"
            )
        self.run_id = run_id or new_run_id()
        arrow_schema = base64.b64encode(schema.serialize().to_pybytes()).decode()
        self._settings = {**settings, "run_id": self.run_id, "arrow_schema": arrow_schema}
        self._seq = 0
        self._closed = False
        self._authenticator: ThreadAuthenticator | None = None
        keys = None if curve_keys is None else load_server_keys(curve_keys)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        socket = self.context.socket(zmq.XPUB)
        try:
            if keys is not None and curve_keys is not None:
                self._authenticator = start_authenticator(self.context, curve_keys)
                ask_for_keys(socket, keys)
            self._sender = Sender(socket, warn, self._is_guarded)
            self.address = bind_first(socket, candidates(address))
        except (zmq.ZMQError, OSError, ValueError) as error:
            self._stop_authenticator()
            self.context.destroy(linger=0)
            raise ConfigError(
                f"cannot publish on {address or HOST}: {error}; choose another stream.address, "
                "or port * for any free one"
            ) from error

    def add_to_first_message(self, **more: Any) -> None:
        """Add to the first message of every subscriber, before `start`."""
        self._settings |= more

    def start(self) -> None:
        """Begin to publish; who has connected since the socket was bound gets all of it, too."""
        self._sender.start(SETTINGS + json.dumps(self._settings).encode())

    def _is_guarded(self) -> bool:
        return self._authenticator is None or self._authenticator.is_alive()

    @property
    def dropped(self) -> int:
        """Messages that found no room before the sending thread, and went to no subscriber."""
        return self._sender.dropped

    def publish(
        self, batch: pa.RecordBatch, *, first_frame: int, last_frame: int, n_frames: int
    ) -> None:
        """Send one batch; `batch` may have no rows. One that no subscriber takes goes in halves.

        Raises
        ------
        SinkError
            If the socket failed.
        """
        if batch.nbytes > BATCH_BYTES // 2:
            half = batch.num_rows // 2
            self.publish(
                batch.slice(0, half), first_frame=first_frame, last_frame=last_frame, n_frames=0
            )
            batch = batch.slice(half)
        header = {
            "run_id": self.run_id,
            "seq": self._seq,
            "first_frame": first_frame,
            "last_frame": last_frame,
            "n_frames": n_frames,
            "n_rows": batch.num_rows,
        }
        self._send([BATCH, json.dumps(header).encode(), batch.serialize()])
        self._seq += 1

    def publish_json(self, topic: bytes, message: Mapping[str, Any]) -> None:
        """Send `density` or `status`.

        Raises
        ------
        SinkError
            If the socket failed.
        """
        self._send([topic, json.dumps({**message, "run_id": self.run_id}).encode()])

    @property
    def is_watched(self) -> bool:
        """True while there is a subscriber to anything."""
        return self._sender.is_watched

    @property
    def frame_is_wanted(self) -> bool:
        """True while there is a subscriber to frames."""
        return self._sender.frame_is_wanted

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
            If the socket failed.
        """
        header = {
            "run_id": self.run_id,
            "index": index,
            "shape": list(pixels.shape),
            "binning": binning,
        }
        # A copy: the pixels lie in the ring, and are sent when they may have been overwritten.
        self._send([FRAME, json.dumps(header).encode(), pixels.astype("<u2").tobytes()])

    def show_layer(self, layer: LayerMessage, pixels: bytes) -> None:
        """Send an image that a network predicts.

        Raises
        ------
        SinkError
            If the socket failed.
        """
        header = layer.model_copy(update={"run_id": self.run_id})
        self._send([LAYER, header.model_dump_json().encode(), pixels])

    def end(self, summary: Mapping[str, Any]) -> None:
        """Notify the subscribers that the run is over."""
        self.publish_json(END, summary)

    def _send(self, parts: list[Any]) -> None:
        if self._closed or not self._sender.alive:
            raise SinkError(f"the stream on {self.address} failed: its socket is closed")
        self._sender.put(parts)

    def _stop_authenticator(self) -> None:
        authenticator, self._authenticator = self._authenticator, None
        if authenticator is not None:
            authenticator.stop()

    def close(self) -> None:
        """Send what waits and close the socket. Safe to call more than once.

        Raises
        ------
        WorkerError
            If the sending thread does not end.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._sender.close(_END_S)
        except WorkerError:
            self._stop_authenticator()
            raise  # and leave the context: to end it would wait for the thread
        self._stop_authenticator()
        self.context.term()
