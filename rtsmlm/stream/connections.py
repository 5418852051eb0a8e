"""Connections of a server socket: bounded in their number, and closed where one floods it.

ZeroMQ itself bounds the size of a message and, where messages are taken one by one, how many of
them wait. It bounds neither connections nor subscriptions, nor the parts of one message. So the
thread that owns the socket follows the connections by the events of the socket, and closes one by
shutting down its descriptor, which is for ZeroMQ as if the peer had left.
"""

from __future__ import annotations

import contextlib
import socket as sockets
from collections import deque
from collections.abc import Iterator
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from rtsmlm.realtime.clock import now_ns

MOST_CONNECTIONS = 64
_MOST_EVENTS = 1000
_SAMPLE_NS = 20_000_000
_SAMPLES, _BUSY = 16, 4
_WAITING_BYTES = 4096
"""A peer that behaves sends a few hundred bytes, and then few a second: even on a busy machine so
many never wait to be read. Of one that floods they do, nearly always."""


class Connections:
    """Follow and bound the connections of a socket; of one thread only.

    Parameters
    ----------
    socket
        A bound server socket, or one that is going to be bound.
    most
        Connections at the same time; one more is closed at once.
    """

    def __init__(self, socket: zmq.Socket[Any], most: int = MOST_CONNECTIONS) -> None:
        self._socket, self._most = socket, most
        self._monitor = socket.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self._open: dict[int, deque[bool]] = {}
        """By descriptor: whether many bytes waited, in the last samples."""
        self._peeked = bytearray(_WAITING_BYTES)
        self._sample_at_ns = 0
        self._refuse_until_ns = 0
        self.closed = 0
        """Connections that were closed from here."""

    @property
    def monitor(self) -> zmq.Socket[Any]:
        """Socket with the events, to be polled."""
        return self._monitor

    def __len__(self) -> int:
        return len(self._open)

    def update(self) -> bool:
        """Take the events, a bounded number; close what is too much. True if one was flooding."""
        with contextlib.suppress(zmq.Again):
            for _ in range(_MOST_EVENTS):
                event = recv_monitor_message(self._monitor, flags=zmq.NOBLOCK)
                self._take(int(event["event"]), int(event["value"]))
        if now_ns() < self._sample_at_ns:
            return False
        self._sample_at_ns = now_ns() + _SAMPLE_NS
        self._sample()
        return self._close_busy(_BUSY)

    def _take(self, event: int, descriptor: int) -> None:
        if event != zmq.EVENT_ACCEPTED:
            self._open.pop(descriptor, None)
        elif len(self._open) >= self._most or now_ns() < self._refuse_until_ns:
            self._close(descriptor)
        else:
            self._open[descriptor] = deque(maxlen=_SAMPLES)

    def _sample(self) -> None:
        for descriptor, samples in self._open.items():
            samples.append(self._has_many_bytes(descriptor))

    def _has_many_bytes(self, descriptor: int) -> bool:
        """Return whether many bytes wait to be read; they are left there."""
        with contextlib.suppress(OSError), _borrowed(descriptor) as peer:
            return peer.recv_into(self._peeked, _WAITING_BYTES, sockets.MSG_PEEK) == _WAITING_BYTES
        return False

    def _close_busy(self, least: int) -> bool:
        """Close those with many bytes waiting in so many samples; True if there were any."""
        busy = [descriptor for descriptor, was in self._open.items() if sum(was) >= least]
        for descriptor in busy:
            self._close(descriptor)
        return bool(busy)

    def close_flooding(self) -> bool:
        """Close what floods now: where many bytes wait; False if there is no such connection."""
        for samples in self._open.values():
            samples.clear()
        for _ in range(_SAMPLES):
            self._sample()
            self._monitor.poll(1)
        return self._close_busy(_BUSY) or self._close_busy(1)

    def refuse(self, for_ns: int) -> None:
        """Close every new connection for so long: a peer that was closed comes back at once."""
        self._refuse_until_ns = now_ns() + for_ns

    def close_all(self) -> None:
        """Close every connection; who has not flooded comes back by itself."""
        for descriptor in list(self._open):
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        self._open.pop(descriptor, None)
        self.closed += 1
        with contextlib.suppress(OSError), _borrowed(descriptor) as peer:
            if self._is_ours(peer):
                peer.shutdown(sockets.SHUT_RDWR)

    def _is_ours(self, peer: sockets.socket) -> bool:
        """Return whether it is still a connection of this socket: numbers are used again."""
        name = peer.getsockname()
        place = f":{name[1]}" if isinstance(name, tuple) else str(name)
        return self._socket.getsockopt_string(zmq.LAST_ENDPOINT).endswith(place)

    def release(self) -> None:
        """Stop following, before the socket is closed."""
        with contextlib.suppress(zmq.ZMQError):
            self.update()
            self._socket.disable_monitor()
        self._monitor.close(linger=0)


@contextlib.contextmanager
def _borrowed(descriptor: int) -> Iterator[sockets.socket]:
    """Yield the socket of a descriptor, which belongs to ZeroMQ and stays open.

    Raises
    ------
    OSError
        If it is no socket any more.
    """
    peer = sockets.socket(fileno=descriptor)
    try:
        yield peer
    finally:
        peer.detach()
