"""History: the table of a running experiment, asked for byte by byte, read-only.

Beside the stream stands a ROUTER socket. A request is one JSON object, ``{"offset": 0}``; the
answer has two parts: a JSON header (``offset``, ``size`` of the table so far, ``generation``) and
at most a megabyte of `localizations.arrows` from there. Whoever joins late asks from 0 on, whoever
was cut off goes on where he was, and a new ``generation`` tells that the table was shortened after
a crash and has to be read from its first byte. Nothing else is understood, and nothing is obeyed.
"""

from __future__ import annotations

import json
import logging
import threading
from contextlib import suppress
from pathlib import Path

import zmq
import zmq.auth

from rtsmlm.errors import ConfigError
from rtsmlm.workers import Worker

CHUNK_BYTES = 1 << 20
_POLL_MS = 100
_END_S = 5.0

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
    ) -> None:
        self._path, self._generation = path, generation
        self._socket = context.socket(zmq.ROUTER)
        self._socket.linger = 0
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
        self._worker = Worker("history", self._serve)
        self._worker.start()

    def close(self) -> None:
        """Stop answering. Twice is fine."""
        self._worker.stop()
        self._worker.join(_END_S)

    def _serve(self, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                if self._socket.poll(_POLL_MS):
                    parts = self._socket.recv_multipart()
                    with suppress(zmq.Again):  # who does not read his answers gets no more
                        self._socket.send_multipart(
                            [parts[0], *self._answer(parts[-1])], flags=zmq.NOBLOCK
                        )
        finally:
            self._socket.close()

    def _answer(self, request: bytes) -> list[bytes]:
        try:
            offset = int(json.loads(request)["offset"])
            if offset < 0:
                raise ValueError(f"offset {offset} is negative")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
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
