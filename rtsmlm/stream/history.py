"""History: the table of a running experiment, asked for byte by byte, read-only.

Beside the stream stands a ROUTER socket. A request is one JSON object, ``{"offset": 0}``; the
answer has two parts: a JSON header (``run_id``, ``offset``, ``size`` of the table so far,
``generation``) and at most a megabyte of `localizations.arrows` from there. A late subscriber asks
from 0 on, one that was cut off continues where it was, and a new ``generation`` means that the
table was shortened after a crash and has to be read from its first byte. Any other request is
answered with an error; no request changes anything.

ZeroMQ takes requests from all connections in turn and leaves what is not taken with its sender. So
it is enough to take a bounded number a second: who asks too much waits longer, the others do not.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import zmq

from rtsmlm.errors import ConfigError
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.worker import Worker
from rtsmlm.stream.addresses import bind_first
from rtsmlm.stream.connections import Connections
from rtsmlm.stream.keys import ask_for_keys, load_server_keys
from rtsmlm.stream.wire import HANDSHAKE_MS, REQUEST_BYTES

CHUNK_BYTES = 1 << 20
_POLL_MS, _IDLE_POLL_MS = 20, 200
"""While there are connections, to see one that floods in time; and while there are none."""
_PER_TURN, _TURN_S = 4, 0.02
"""At most two hundred requests a second, and as many megabytes."""
_LAST_NS, _GIVEN_UP_NS = 3_000_000_000, 1_000_000_000
"""After the end: how long the last rows may be fetched, and when a silent reader counts as gone."""
_LAST_POLL_MS = 20
_LINGER_MS = 500
_END_S = 10.0
_WAITING = 16
"""Requests and answers of one reader that may wait."""
_BACKLOG = 128
_MOST_READERS = 64
_REFUSED = b'{"error": "a request is {\\"offset\\": N} with a whole number N from 0 on"}'

_log = logging.getLogger(__name__)


class HistoryServer:
    """Answer requests in a thread of its own.

    Parameters
    ----------
    path
        The table; it need not be there yet.
    host
        Address of the interface to bind, as `tcp://127.0.0.1`.
    generation
        A number that changes when the table is cut.
    context
        Context of the stream's publisher, which also checks the keys.
    run_id
        Number of the run, in every answer.
    port
        Port to take if it is free; otherwise any other.
    curve_keys
        As for the stream.
    on_death
        As for `Worker`.

    Raises
    ------
    ConfigError
        If it cannot be bound.
    """

    def __init__(
        self,
        path: Path,
        host: str,
        *,
        generation: int,
        context: zmq.Context[zmq.Socket[bytes]],
        run_id: str = "",
        port: int | None = None,
        curve_keys: Path | None = None,
        on_death: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._path, self._generation, self._run_id = path, generation, run_id
        self._socket = context.socket(zmq.ROUTER)
        self._socket.linger = _LINGER_MS
        self._socket.set_hwm(_WAITING)
        self._socket.maxmsgsize = REQUEST_BYTES
        self._socket.handshake_ivl = HANDSHAKE_MS
        self._socket.backlog = _BACKLOG
        try:
            if curve_keys is not None:
                ask_for_keys(self._socket, load_server_keys(curve_keys))
            wanted = [] if port is None else [f"{host}:{port}"]
            address = bind_first(self._socket, [*wanted, f"{host}:*"])
        except (zmq.ZMQError, OSError) as error:
            self._socket.close()
            raise ConfigError(
                f"the history of the run cannot be served on {host}: {error}"
            ) from error
        self.port = int(address.rpartition(":")[2])
        self._connections = Connections(self._socket)
        self._behind: dict[bytes, int] = {}
        """When each reader asked last, until it has read to the end."""
        self.refused = 0
        """Requests that were none."""
        self._worker = Worker("history", self._serve, on_death=on_death)
        self._worker.start()

    def close(self) -> None:
        """Stop answering once the last reader has the rest. Safe to call more than once.

        Raises
        ------
        WorkerError
            If the thread does not end, or if it died and no `on_death` was given.
        """
        self._worker.stop()
        self._worker.join(_END_S)

    def _serve(self, stop: threading.Event) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._connections.monitor, zmq.POLLIN)
        try:
            while not stop.is_set():
                poller.poll(_POLL_MS if len(self._connections) else _IDLE_POLL_MS)
                self._connections.update()
                if self._serve_some():
                    stop.wait(_TURN_S)
            deadline_ns = now_ns() + _LAST_NS
            while now_ns() < deadline_ns and self._has_reader():
                poller.poll(_LAST_POLL_MS)
                self._connections.update()
                self._serve_some()
        finally:
            self._connections.release()
            self._socket.close(linger=_LINGER_MS)

    def _has_reader(self) -> bool:
        """Return whether a reader is on his way to the end of the table."""
        since_ns = now_ns() - _GIVEN_UP_NS
        return any(asked_ns > since_ns for asked_ns in self._behind.values())

    def _serve_some(self) -> bool:
        """Answer what waits; True if there may be more than may be answered now."""
        for _ in range(_PER_TURN):
            try:
                parts = self._socket.recv_multipart(flags=zmq.NOBLOCK)
            except zmq.Again:
                return False
            self._serve_one(parts)
        return True

    def _serve_one(self, parts: list[bytes]) -> None:
        reader = parts[0]
        offset = read_offset(parts[1:])
        if offset is None:
            self.refused += 1
            header, data = _REFUSED, b""
        else:
            header, data = self._answer(offset)
        self._behind.pop(reader, None)
        if data:
            self._behind[reader] = now_ns()
            if len(self._behind) > _MOST_READERS:
                del self._behind[next(iter(self._behind))]
        with suppress(zmq.Again):  # who does not read his answers gets no more
            self._socket.send_multipart([reader, header, data], flags=zmq.NOBLOCK)

    def _answer(self, offset: int) -> tuple[bytes, bytes]:
        data, size = b"", 0
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(min(offset, size))
                data = file.read(CHUNK_BYTES)
        except OSError as error:
            _log.debug("no table yet: %s", error)
        header = {
            "run_id": self._run_id,
            "offset": offset,
            "size": size,
            "generation": self._generation,
        }
        return json.dumps(header).encode(), data


def read_offset(parts: list[bytes]) -> int | None:
    """Return the offset that a request states; None if it is no request."""
    if len(parts) != 1 or len(parts[0]) > REQUEST_BYTES:
        return None
    try:
        request = json.loads(parts[0])
    except (ValueError, RecursionError):
        return None
    offset = request.get("offset") if isinstance(request, dict) else None
    if type(offset) is not int or offset < 0:  # bool is an int for Python
        return None
    return offset
