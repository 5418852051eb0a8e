"""Sender: the thread that owns the socket of the stream, with a bounded queue before it.

Only here ZeroMQ handles what subscribers send. Subscriptions are taken a bounded number at a time.
Who sends more of them than any subscriber needs is disconnected, is reported once, and is forgotten
with all its subscriptions.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

import zmq

from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.worker import Worker, one_line
from rtsmlm.stream.connections import Connections
from rtsmlm.stream.wire import FRAME, HANDSHAKE_MS, REQUEST_BYTES

_HIGH_WATER_MARK = 1000
"""Messages per slow subscriber before it begins to lose them, and before the sending thread."""
_LINGER_MS = 500
_TICK_MS = 20
_PER_TURN, _PER_DRAIN = 256, 4096
"""Subscriptions, or messages, handled in one turn; and subscriptions after a flood."""
_MOST_PER_S = 1000
"""Subscriptions of all subscribers together; a window needs five."""
_MOST_TOPICS = 512
_CALM_NS, _REFUSE_NS = 100_000_000, 1_000_000_000
_MOST_IN_VAIN = 5
_BACKLOG = 128

_log = logging.getLogger(__name__)


class Sender:
    """Send what is put in, in its order, and handle the subscribers.

    Parameters
    ----------
    socket
        XPUB, not yet bound; belongs to the thread once that is started.
    warn
        Called with one sentence, from the thread.
    is_guarded
        Tells whether keys are still being compared.
    """

    def __init__(
        self,
        socket: zmq.Socket[Any],
        warn: Callable[[str], None],
        is_guarded: Callable[[], bool],
    ) -> None:
        self._socket, self._warn, self._is_guarded = socket, warn, is_guarded
        socket.set_hwm(_HIGH_WATER_MARK)
        socket.linger = _LINGER_MS
        socket.maxmsgsize = REQUEST_BYTES
        socket.handshake_ivl = HANDSHAKE_MS
        socket.backlog = _BACKLOG
        self._connections = Connections(socket)
        context = socket.context
        self._out, self._in = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        for end in (self._out, self._in):
            end.set_hwm(_HIGH_WATER_MARK // 2)
            end.linger = 0
        place = f"inproc://rtsmlm-sender-{id(self)}"
        self._out.bind(place)
        self._in.connect(place)
        self._watched: set[bytes] = set()  # prefixes of `frame` that are subscribed to
        self._n_topics = 0
        self._second, self._in_second = 0, 0
        self._calm_until_ns, self._is_draining = 0, False
        self._closed = self._in_vain = 0
        self._known: set[str] = set()
        self.dropped = 0
        """Messages for which there was no room."""
        self.floods = 0
        """How often subscribers were disconnected for sending too much."""
        self.is_watched = False
        """True while there is a subscriber."""
        self.frame_is_wanted = False
        """True while there is a subscriber to frames."""
        self._is_started = False
        self._worker = Worker("stream", self._run, on_death=self._die)

    def start(self, welcome: bytes) -> None:
        """Start the thread; the socket must have been bound.

        Parameters
        ----------
        welcome
            First message of every subscriber.
        """
        # ZeroMQ attaches a subscriber in the thread: none comes before its first message is set.
        self._socket.setsockopt(zmq.XPUB_WELCOME_MSG, welcome)
        self._is_started = True
        self._worker.start()

    @property
    def alive(self) -> bool:
        """True while messages are sent."""
        return self._worker.alive

    def put(self, parts: list[Any]) -> None:
        """Hand over a message; dropped and counted where too many wait."""
        try:
            self._in.send_multipart(parts, flags=zmq.NOBLOCK)
        except zmq.Again:
            self.dropped += 1

    def close(self, timeout_s: float) -> None:
        """Send what waits, and end.

        Raises
        ------
        WorkerError
            If the thread does not end.
        """
        if self._is_started:
            self._worker.stop()
            self._worker.join(timeout_s)
        else:
            self._release()
        self._in.close()

    # -- the thread ------------------------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        poller = zmq.Poller()
        for socket in (self._out, self._socket, self._connections.monitor):
            poller.register(socket, zmq.POLLIN)
        try:
            stopping = False
            while not stopping:
                poller.poll(_TICK_MS)
                stopping = stop.is_set()  # before sending: what was put in before is still sent
                self._follow_connections()
                self._take_subscriptions()
                self._send_waiting(_HIGH_WATER_MARK if stopping else _PER_TURN)
        finally:
            self._release()

    def _release(self) -> None:
        self._connections.release()
        self._socket.close()
        self._out.close()

    def _send_waiting(self, most: int) -> None:
        with contextlib.suppress(zmq.Again):
            for _ in range(most):
                parts = self._out.recv_multipart(flags=zmq.NOBLOCK, copy=False)
                self._socket.send_multipart(parts, flags=zmq.NOBLOCK, copy=False)

    def _follow_connections(self) -> None:
        if self._connections.update():
            self._note_flood()
        if self._connections.closed != self._closed:
            self._closed = self._connections.closed
            self._expect_remains()
        if not self._is_guarded():
            self._warn_once("the thread that compares the keys of the stream died: no remote "
                            "subscriber can connect any more")  # fmt: skip

    def _take_subscriptions(self) -> None:
        most, taken = _PER_DRAIN if self._is_draining else _PER_TURN, 0
        try:
            while taken < most:
                self._take(self._socket.recv(flags=zmq.NOBLOCK))
                taken += 1
        except zmq.Again:
            self._is_draining = False
        if self._is_draining or not taken:
            return
        second = now_ns() // 1_000_000_000
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += taken
        too_much = self._in_second > _MOST_PER_S or self._n_topics > _MOST_TOPICS
        if too_much and now_ns() > self._calm_until_ns:
            self._cut_off()
            self._note_flood()

    def _cut_off(self) -> None:
        """Close the connection that floods; where it cannot be told again and again, all."""
        if self._connections.close_flooding():
            self._in_vain = 0
            return
        self._in_vain += 1
        if self._in_vain >= _MOST_IN_VAIN:
            self._in_vain = 0
            self._connections.close_all()

    def _note_flood(self) -> None:
        self.floods += 1
        self._expect_remains()
        self._connections.refuse(_REFUSE_NS)
        self._warn_once("a program floods the stream with subscriptions; its connection is closed "
                        "whenever it does, and the run is not affected")  # fmt: skip

    def _expect_remains(self) -> None:
        """Take what comes next for no sign of another flood.

        Most of it is of closed connections, and what they had subscribed to is taken back in the
        next moment.
        """
        self._is_draining, self._in_second = True, 0
        self._calm_until_ns = now_ns() + _CALM_NS

    def _take(self, word: bytes) -> None:
        """Note a subscription or its end; anything else that comes is dropped."""
        if word[:1] not in (b"\x00", b"\x01"):
            return
        topic, is_new = word[1:], word[:1] == b"\x01"
        self._n_topics = max(0, self._n_topics + (1 if is_new else -1))
        self.is_watched = self._n_topics > 0
        if FRAME.startswith(topic):
            (self._watched.add if is_new else self._watched.discard)(topic)
            self.frame_is_wanted = bool(self._watched)

    def _warn_once(self, text: str) -> None:
        if text not in self._known:
            self._known.add(text)
            self._warn(text)

    def _die(self, error: BaseException) -> None:
        self._warn(f"nothing is published any more: the thread of the stream died: "
                   f"{one_line(error)}; table and recording go on")  # fmt: skip
