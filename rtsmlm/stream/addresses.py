"""Addresses of the stream: which are of this machine, which port is free."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import zmq

from rtsmlm.errors import ConfigError
from rtsmlm.settings.run import StreamSettings

HOST, FIRST_PORT, N_PORTS = "tcp://127.0.0.1", 5757, 10
"""Where a run publishes that states no address: the first free one of these ports."""
_ANY = f"{HOST}:*"


def candidates(address: str | None) -> list[str]:
    """Return the addresses to try, in their order.

    Parameters
    ----------
    address
        As in the settings; None takes the first free port, and any other one if all are taken.
    """
    if address is not None:
        return [address]
    return [*(f"{HOST}:{port}" for port in range(FIRST_PORT, FIRST_PORT + N_PORTS)), _ANY]


def bind_first(socket: zmq.Socket[Any], addresses: Sequence[str]) -> str:
    """Bind to the first address that is free and return it, with its port.

    Raises
    ------
    zmq.ZMQError
        If none is free, or one cannot be bound for another reason.
    """
    *others, last = addresses
    for address in others:
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
        else:
            break
    else:
        socket.bind(last)
    return str(socket.getsockopt_string(zmq.LAST_ENDPOINT))


def check_stream_address(settings: StreamSettings) -> None:
    """Raise `ConfigError` if the address of the settings is taken, before anything is started.

    An address that is written into the settings is what other programs listen to: it is never
    replaced by another one.
    """
    address = settings.address
    if not settings.enabled or address is None or not address.startswith("tcp://"):
        return
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.linger = 0
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            if error.errno != errno.EADDRINUSE:
                return  # the stream reports it, and the run goes on without
            raise ConfigError(
                f"stream.address {address} is taken, by another run or another program; end that, "
                "choose another port, or leave stream.address out to take the first free one from "
                f"{FIRST_PORT} on"
            ) from error


def is_loopback(address: str) -> bool:
    """Return whether an address can be reached from this machine alone."""
    if address.startswith(("ipc://", "inproc://")):
        return True
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def port_of(address: str) -> int | None:
    """Return the port of a TCP address; None where it has none."""
    with contextlib.suppress(ValueError):
        return urlsplit(address).port
    return None
