"""StreamSource: a run of another process, read from its stream.

Rows are not taken from the stream but fetched, byte by byte, out of the run's table
(`rtsmlm.stream.history`): a window that joins late, was cut off or is slow gets all of them, in the
same way. The next bytes are asked for only when the window has taken those before.

What comes is of a program that may be any: every message is checked, one that cannot be read or is
of another run is dropped and reported, and none ends the thread.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from pathlib import Path

import zmq
from zmq.utils.monitor import recv_monitor_message

from rtsmlm.errors import ConfigError, FileFormatError, WorkerError
from rtsmlm.files.tables.table_tail import TableTail
from rtsmlm.realtime.worker import Worker, one_line
from rtsmlm.stream.keys import load_client_keys, show_keys
from rtsmlm.stream.messages import EndMessage, HistoryMessage, RunMessage, read_message
from rtsmlm.stream.wire import VIEW_BYTES
from rtsmlm.viewer.sources.stream_inbox import StreamInbox
from rtsmlm.viewer.sources.topics import TOPICS, read_topic
from rtsmlm.viewer.sources.updates import Connection, RunUpdate

SILENT_S = 3.0
_TICK_MS = 20
_ASK_S = 0.1
"""How often the table is asked for more while all of it is here; after the end at once."""
_ANSWER_S = 2.0
"""No answer for so long, and the history is given up and tried again."""
_HEARTBEAT_MS = 1000
_MOST_MESSAGES = 64
_LEAVE_S = 5.0
_AGAIN_S = 1.0

_log = logging.getLogger(__name__)


class StreamSource:
    """Updates of a run, on this machine or another; implements `updates.Source`.

    Parameters
    ----------
    address
        Where the run publishes, as `tcp://127.0.0.1:5757`. The run may start later.
    curve_keys
        Folder with `server.key` and this client's `client.key_secret`, for a remote run.
    only_run_id
        Number of the run to show; None shows whichever is published there, one after another.

    Raises
    ------
    ConfigError
        If the address is none, or the keys cannot be read.
    """

    def __init__(
        self, address: str, curve_keys: Path | None = None, *, only_run_id: str | None = None
    ) -> None:
        self._address, self._only = address, only_run_id
        self._keys = None if curve_keys is None else load_client_keys(curve_keys)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._history: zmq.Socket[bytes] | None = None
        self._port: int | None = None
        self._inbox = StreamInbox(address)
        self._tail = TableTail()
        self._run: RunMessage | None = None
        self._generation: int | None = None
        self._size = 0
        self._asked_s: float | None = None  # when a request went out that is not answered yet
        self._ask_at_s = 0.0
        self._newest_s: float | None = None  # when something new came last
        self._cut_s: float | None = None  # when the connection broke
        self._mute = self._damaged = False
        self._over_s: float | None = None  # when the stream stated the end of the run
        self._n_rows, self._stated_rows = 0, 0  # that came, and that the stream has stated
        self._read_on = False  # the table was read to its end after the stream's
        self._whole = False
        try:
            self._stream = self._socket(zmq.SUB)
            self._stream.set_hwm(_MOST_MESSAGES)
            for topic in TOPICS:
                self._stream.subscribe(topic)
            self._monitor = self._stream.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            self._stream.connect(address)
        except (zmq.ZMQError, OSError, ValueError) as error:
            self._context.destroy(linger=0)
            raise ConfigError(f"cannot listen to {address}: {error}") from error
        self._worker = Worker("listen", self._listen, on_death=self._die)
        self._worker.start()

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._context.socket(kind)
        socket.linger = 0
        socket.heartbeat_ivl = _HEARTBEAT_MS  # a pulled cable closes nothing
        socket.heartbeat_timeout = 2 * _HEARTBEAT_MS
        socket.maxmsgsize = VIEW_BYTES
        if self._keys is not None:
            show_keys(socket, self._keys)
        return socket

    # -- for the window --------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the run and its address."""
        return f"{self._run.run} at {self._address}" if self._run else self._address

    def poll(self, most_rows: int = 100_000) -> RunUpdate:
        """Return what is new, at once; at most about so many rows, the rest comes next time."""
        return self._inbox.take(self._connection(), self._behind_bytes, most_rows)

    def close(self) -> None:
        """Stop listening. Safe to call more than once."""
        self._worker.stop()
        try:
            self._worker.join(_LEAVE_S)
        except WorkerError as error:
            _log.warning("%s", error)

    @property
    def _behind_bytes(self) -> int:
        return max(0, self._size - self._tail.n_bytes)

    def _connection(self) -> Connection:
        if self._newest_s is None:
            return "waiting"
        if self._whole:
            return "ended"
        if self._cut_s is not None or self._mute or self._damaged:
            return "lost"
        return "live" if time.monotonic() - self._newest_s < SILENT_S else "silent"

    # -- the thread ------------------------------------------------------------------------

    def _listen(self, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                self._wait()
                self._read_monitor()
                self._read_stream()
                self._read_history()
                self._ask()
                self._whole = self._all_is_here()
        finally:
            with contextlib.suppress(zmq.ZMQError):
                self._stream.disable_monitor()
            self._context.destroy(linger=0)

    def _wait(self) -> None:
        poller = zmq.Poller()
        for socket in (self._stream, self._monitor, self._history):
            if socket is not None:
                poller.register(socket, zmq.POLLIN)
        poller.poll(_TICK_MS)

    def _all_is_here(self) -> bool:
        if self._tail.ended:
            return True
        if self._over_s is None or self._behind_bytes:
            return False
        gone = self._cut_s is not None or self._mute or self._port is None
        return self._read_on or (gone and self._n_rows >= self._stated_rows)

    def _die(self, error: BaseException) -> None:
        self._damaged = True
        self._inbox.report(f"nothing more is received, the thread died: {one_line(error)}")

    def _read_stream(self) -> None:
        with contextlib.suppress(zmq.Again):
            for _ in range(_MOST_MESSAGES):
                topic, *parts = self._stream.recv_multipart(flags=zmq.NOBLOCK)
                try:
                    self._take_message(topic, parts)
                except Exception as error:  # no message ends the thread
                    self._inbox.report(one_line(error))

    def _take_message(self, topic: bytes, parts: list[bytes]) -> None:
        now_s = time.monotonic()
        first, second = (*parts, b"", b"")[:2]
        message = read_topic(topic, first)
        is_first = isinstance(message, RunMessage)
        if isinstance(message, RunMessage):
            if not self._begin(message):
                return
        elif message is None or self._run is None or message.run_id != self._run.run_id:
            return  # of a run that was there before, or that is not shown
        if isinstance(message, EndMessage):
            self._over_s, self._stated_rows = now_s, message.localizations
        elif not isinstance(message, RunMessage):
            self._inbox.note_message(message, second)
        self._newest_s = now_s
        # What was on its way when the connection broke still comes, and means nothing.
        if is_first or (self._cut_s is not None and now_s - self._cut_s > _AGAIN_S):
            self._cut_s = None

    def _begin(self, run: RunMessage) -> bool:
        """Take a first message, of this run or of another at the same address; False if refused."""
        if self._only is not None and run.run_id != self._only:
            self._inbox.report(
                f"another program publishes the run {run.run} on {self._address}; it is not shown "
                "here, and the buttons of this window do not act on it"
            )
            return False
        before, self._run = self._run, run
        is_new = before is not None and before.run_id != run.run_id
        if before is not None and is_new:
            self._inbox.report(
                f"another run has begun on {self._address}: {run.run} is shown from now on, "
                f"{before.run} is not any more"
            )
        if is_new or (self._tail.ended and not run.is_over):
            self._restart(new_run=is_new)
        if is_new or not run.is_over:
            self._over_s, self._stated_rows, self._read_on = None, 0, False
        self._inbox.note(run=run)
        self._port = run.history_port
        self._connect_history()
        return True

    def _connect_history(self) -> None:
        if self._history is not None:
            self._history.close()
            self._history = None
        self._asked_s, self._ask_at_s = None, 0.0
        if self._port is not None:
            self._history = self._socket(zmq.DEALER)
            self._history.connect(f"{self._address.rpartition(':')[0]}:{self._port}")

    def _restart(self, *, new_run: bool) -> None:
        self._tail, self._generation, self._size = TableTail(), None, 0
        self._n_rows = 0
        self._damaged = self._whole = self._read_on = False
        self._ask_at_s = 0.0
        self._inbox.restart(new_run=new_run)

    def _read_monitor(self) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                recv_monitor_message(self._monitor, flags=zmq.NOBLOCK)
                self._cut_s = time.monotonic()

    # -- the table -------------------------------------------------------------------------

    def _ask(self) -> None:
        now_s = time.monotonic()
        if self._history is None or self._damaged or self._tail.ended:
            return
        if self._asked_s is not None:
            if now_s - self._asked_s > _ANSWER_S:
                self._mute = True
                self._connect_history()
            return
        is_time = now_s >= self._ask_at_s or (self._over_s is not None and not self._read_on)
        if not is_time or self._inbox.is_full:
            return
        with contextlib.suppress(zmq.Again):
            request = json.dumps({"offset": self._tail.offset}).encode()
            self._history.send(request, flags=zmq.NOBLOCK)
            self._asked_s = now_s

    def _read_history(self) -> None:
        if self._history is None or self._asked_s is None:
            return
        with contextlib.suppress(zmq.Again):
            parts = self._history.recv_multipart(flags=zmq.NOBLOCK)
            # Rows are written before the end is stated.
            after_end = self._over_s is not None and self._asked_s >= self._over_s
            self._asked_s, self._mute = None, False
            try:
                head = read_message(HistoryMessage, parts[0], "the history of the run")
                if self._run is None or head.run_id != self._run.run_id:
                    raise FileFormatError(f"the history on port {self._port} is of another run")
            except FileFormatError as error:
                self._inbox.report(str(error))
                self._ask_at_s = time.monotonic() + _ASK_S
                return
            try:
                self._take(head, b"".join(parts[1:2]))
                self._read_on = after_end and not self._behind_bytes
            except Exception as error:  # no answer ends the thread
                self._damaged = True
                self._inbox.report(f"the rows of the run cannot be read: {one_line(error)}")

    def _take(self, head: HistoryMessage, data: bytes) -> None:
        before = self._tail.n_bytes
        is_same = self._generation in (None, head.generation)
        rows = self._tail.take(data) if is_same else None
        if rows is None:
            self._restart(new_run=False)
            self._generation = head.generation
            return
        self._generation, self._size = head.generation, head.size
        self._inbox.put(rows)
        self._n_rows += len(rows)
        now_s = time.monotonic()
        if self._tail.n_bytes > before:
            self._newest_s = now_s
        self._ask_at_s = now_s if self._behind_bytes else now_s + _ASK_S
