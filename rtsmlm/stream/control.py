"""Control: lasers off, from any program of the user whose run it is, on the same machine.

An armed run listens on a free port of 127.0.0.1. Its address and a random token stand in a file
that only the user can read (`control_files`). A request is one line of JSON with two values,
``{"token": "...", "command": "lasers_off"}``; the answer is one line, ``{"ok": true}`` or
``{"ok": false, "error": "..."}``. There is no other command.

A connection is good for one request and is closed soon, so that no flood keeps a right request
waiting: in each turn all that has come is read, in its order, the oldest connection makes room for
a new one, and nothing waits for a peer.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rtsmlm.errors import ConfigError, WorkerError
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.process_identity import this_process
from rtsmlm.realtime.worker import Worker, one_line
from rtsmlm.stream import control_files
from rtsmlm.stream.control_files import ControlEntry, remove_stale
from rtsmlm.stream.wire import REQUEST_BYTES

HOST = "127.0.0.1"
LASERS_OFF = "lasers_off"
_TOKEN_BYTES = 32
_BACKLOG = 1024
_PER_TURN = 256
_MOST_OPEN = 512
_WAIT_S, _PAUSE_S = 0.05, 0.005
"""Longest wait for a request, and the rest after each turn, so that a flood costs little time."""
_PATIENCE_NS = 2_000_000_000
"""A connection that has not sent its request by then is closed."""
_END_S = 5.0

_log = logging.getLogger(__name__)


class ControlServer:
    """Takes the one request that every program of this user may send: lasers off.

    Parameters
    ----------
    run_id
        Number of the run.
    on_lasers_off
        Called in a thread with the reason; returns once the lasers are off.
    warn
        Called with one sentence, from any thread.
    run
        Name of the run, for those who ask.
    folder
        Where the file with the token is; by default the private folder of the user.
    """

    def __init__(
        self,
        run_id: str,
        on_lasers_off: Callable[[str], None],
        warn: Callable[[str], None],
        *,
        run: str = "",
        folder: Path | None = None,
    ) -> None:
        self._run_id, self._run, self._folder = run_id, run, folder
        self._on_lasers_off, self._warn = on_lasers_off, warn
        self._token = secrets.token_hex(_TOKEN_BYTES)
        self._listener: socket.socket | None = None
        self._selector = selectors.DefaultSelector()
        self._requests: dict[socket.socket, bytes] = {}
        """What each connection has sent so far, the oldest first."""
        self._since_ns: dict[socket.socket, int] = {}
        self._entry: ControlEntry | None = None
        self.refused = 0
        """Requests without the right token, or for anything but lasers off."""
        self._worker = Worker("control", self._serve, on_death=self._die)

    def start(self) -> None:
        """Listen. Where that is not possible the run goes on without, and a warning states why."""
        try:
            folder = self._folder or control_files.private_folder()
            remove_stale(folder)
            listener = self._listener = socket.create_server((HOST, 0), backlog=_BACKLOG)
            listener.setblocking(False)
            entry = ControlEntry(
                run_id=self._run_id,
                run=self._run,
                port=listener.getsockname()[1],
                token=self._token,
                process=this_process(),
            )
            entry.write(folder)
            self._entry = entry
        except (OSError, ConfigError) as error:
            self._release()
            self._warn(f"rtsmlm lasers-off cannot reach this run: {error}")
            return
        self._selector.register(listener, selectors.EVENT_READ)
        self._worker.start()

    def close(self) -> None:
        """Remove the file and stop listening. Safe to call more than once."""
        entry, self._entry = self._entry, None
        if entry is None:
            return
        entry.remove(self._folder or control_files.private_folder())
        self._worker.stop()
        try:
            self._worker.join(_END_S)
        except WorkerError as error:
            self._warn(str(error))

    # -- the thread ------------------------------------------------------------------------

    def _serve(self, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                ready = self._selector.select(_WAIT_S)
                for key, _ in ready[:_PER_TURN]:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.fileobj, socket.socket):
                        self._read(key.fileobj)
                self._close_late()
                if ready:
                    stop.wait(_PAUSE_S)
        finally:
            self._release()

    def _release(self) -> None:
        for peer in list(self._requests):
            self._close(peer)
        self._selector.close()
        if self._listener is not None:
            self._listener.close()

    def _accept(self) -> None:
        if self._listener is None:
            return
        with suppress(OSError):  # nothing waits any more, or no descriptor is left
            for _ in range(_PER_TURN):
                peer, _ = self._listener.accept()
                peer.setblocking(False)
                self._requests[peer] = b""
                self._since_ns[peer] = now_ns()
                self._selector.register(peer, selectors.EVENT_READ)
                if len(self._requests) > _MOST_OPEN:
                    self._close(next(iter(self._requests)))
                self._read(peer)

    def _close(self, peer: socket.socket) -> None:
        self._requests.pop(peer, None)
        self._since_ns.pop(peer, None)
        with suppress(KeyError, ValueError):
            self._selector.unregister(peer)
        peer.close()

    def _close_late(self) -> None:
        last_ns = now_ns() - _PATIENCE_NS
        for peer in [peer for peer, since in self._since_ns.items() if since < last_ns]:
            self._close(peer)

    def _read(self, peer: socket.socket) -> None:
        if peer not in self._requests:  # closed in this turn
            return
        try:
            part = peer.recv(REQUEST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._close(peer)
            return
        request = self._requests[peer] = self._requests[peer] + part
        if part and b"\n" not in request and len(request) < REQUEST_BYTES:
            return
        answer = self._answer(request)
        with suppress(OSError):
            peer.send(json.dumps(answer).encode() + b"\n")
        self._close(peer)

    def _answer(self, request: bytes) -> dict[str, object]:
        token, command = _read_request(request)
        if not hmac.compare_digest(token.encode(errors="replace"), self._token.encode()):
            return self._refuse("the token is wrong")
        if command != LASERS_OFF:
            return self._refuse(f"nothing but {LASERS_OFF} can be asked")
        try:
            self._on_lasers_off("lasers switched off by the user, from another program")
        except Exception as error:  # the thread must take the next request, too
            _log.exception("lasers off, asked by another program, failed")
            return {"ok": False, "error": one_line(error)}
        return {"ok": True}

    def _refuse(self, why: str) -> dict[str, object]:
        self.refused += 1
        if self.refused == 1:
            self._warn(
                "a program on this machine asked for the lasers to be switched off, and was "
                f"refused: {why}"
            )
        return {"ok": False, "error": why}

    def _die(self, error: BaseException) -> None:
        self._warn(f"rtsmlm lasers-off cannot reach this run any more: {one_line(error)}")


def _read_request(request: bytes) -> tuple[str, str]:
    """Return token and command, empty where the request has none."""
    if len(request) > REQUEST_BYTES:
        return "", ""
    try:
        data = json.loads(request.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(data, dict) or data.keys() != {"token", "command"}:
        return "", ""
    token, command = data["token"], data["command"]
    if not isinstance(token, str) or not isinstance(command, str):
        return "", ""
    return token, command
