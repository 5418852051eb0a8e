"""History: the table of a running experiment, asked for byte by byte, read-only.

Beside the stream stands a ROUTER socket. A request is one JSON object, ``{"offset": 0}``; the
answer has two parts: a JSON header (``offset``, ``size`` of the table so far, ``generation``) and
at most a megabyte of `localizations.arrows` from there. A late subscriber asks from 0 on, one
that was cut off continues where it was, and a new ``generation`` means that the table was shortened
after a crash and has to be read from its first byte. Any other request is answered with an error;
no request changes anything.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import zmq
import zmq.auth

from rtsmlm.errors import ConfigError
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.worker import Worker

CHUNK_BYTES = 1 << 20
_POLL_MS = 100
_LAST_NS, _GIVEN_UP_NS = 3_000_000_000, 1_000_000_000
"""After the end: how long the last rows may be fetched, and when a silent reader counts as gone."""
_LAST_POLL_MS = 20
_LINGER_MS = 500
_END_S = 10.0

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
        curve_keys: Path | None = None,
        on_death: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._path, self._generation = path, generation
        self._socket = context.socket(zmq.ROUTER)
        self._socket.linger = _LINGER_MS
        self._socket.set_hwm(16)
        try:
            if curve_keys is not None:
                public, secret = zmq.auth.load_certificate(curve_keys / "server.key_secret")
                self._socket.curve_publickey, self._socket.curve_secretkey = public, secret
                self._socket.curve_server = True
            self.port = self._socket.bind_to_random_port(host)
        except (zmq.ZMQError, OSError) as error:
            self._socket.close()
            raise ConfigError(
                f"the history of the run cannot be served on {host}: {error}"
            ) from error
        self._behind: dict[bytes, int] = {}
        """When each reader asked last, until it has read to the end."""
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
        try:
            while not stop.is_set():
                self._serve_one(_POLL_MS)
            deadline_ns = now_ns() + _LAST_NS
            while now_ns() < deadline_ns and self._has_reader():
                self._serve_one(_LAST_POLL_MS)
        finally:
            self._socket.close(linger=_LINGER_MS)

    def _has_reader(self) -> bool:
        """Return whether a reader is on his way to the end of the table."""
        since_ns = now_ns() - _GIVEN_UP_NS
        return any(asked_ns > since_ns for asked_ns in self._behind.values())

    def _serve_one(self, wait_ms: int) -> None:
        if not self._socket.poll(wait_ms):
            return
        parts = self._socket.recv_multipart()
        header, data = self._answer(parts[-1])
        self._behind[parts[0]] = now_ns()
        if not data:
            del self._behind[parts[0]]
        with suppress(zmq.Again):  # who does not read his answers gets no more
            self._socket.send_multipart([parts[0], header, data], flags=zmq.NOBLOCK)

    def _answer(self, request: bytes) -> list[bytes]:
        try:
            offset = int(json.loads(request)["offset"])
            if offset < 0:
                raise ValueError(f"offset {offset} is negative")
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            return [json.dumps({"error": f"not understood: {error}"}).encode(), b""]
        data, size = b"", 0
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(min(offset, size))
                data = file.read(CHUNK_BYTES)
        except OSError as error:
            _log.debug("no table yet: %s", error)
        header = {"offset": offset, "size": size, "generation": self._generation}
        return [json.dumps(header).encode(), data]
