"""CURVE keys of the stream: made, read, and required of all that connect.

A folder of the run holds `server.key_secret` and the public key (`<name>.key`) of each machine that
may connect; the folder of such a machine holds `server.key` and its own `client.key_secret`. The
folder of the run holds those too, for the window of the run itself. The files are those of ZeroMQ's
own tools (ZPL).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

from rtsmlm.errors import ConfigError

_SERVER_SECRET, _SERVER_PUBLIC = "server.key_secret", "server.key"
_CLIENT_SECRET = "client.key_secret"  # noqa: S105 - the name of a file
_DOMAIN = "rtsmlm"
_PRIVATE, _PRIVATE_FOLDER, _PUBLIC = 0o600, 0o700, 0o644
_ALLOWED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"


def load_server_keys(folder: Path) -> tuple[bytes, bytes]:
    """Return public and secret key of the run.

    Raises
    ------
    ConfigError
        If they cannot be read.
    """
    return _load_pair(folder / _SERVER_SECRET)


def load_client_keys(folder: Path) -> tuple[bytes, bytes, bytes]:
    """Return the public key of the run, and public and secret key of this machine.

    Raises
    ------
    ConfigError
        If they cannot be read.
    """
    return (_load(folder / _SERVER_PUBLIC)[0], *_load_pair(folder / _CLIENT_SECRET))


def ask_for_keys(socket: zmq.Socket[Any], keys: tuple[bytes, bytes]) -> None:
    """Refuse every connection to a server socket that does not come with a known key.

    Parameters
    ----------
    socket
        Not yet bound.
    keys
        As `load_server_keys` returns them.
    """
    socket.curve_publickey, socket.curve_secretkey = keys
    socket.curve_server = True
    # Without the thread that compares the keys there is no connection, rather than any.
    socket.zap_domain = _DOMAIN.encode()
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


def show_keys(socket: zmq.Socket[Any], keys: tuple[bytes, bytes, bytes]) -> None:
    """Connect with keys from now on, as `load_client_keys` returns them."""
    socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = keys


def start_authenticator(context: zmq.Context[Any], folder: Path) -> ThreadAuthenticator:
    """Start the thread that compares keys with the public ones of a folder."""
    made = ThreadAuthenticator(context)
    made.start()
    made.configure_curve(domain=_DOMAIN, location=str(folder))
    return made


def make_keys(folder: Path, clients: Sequence[str]) -> list[Path]:
    """Make the keys of a run and of machines that may view it; existing ones stay as they are.

    Parameters
    ----------
    folder
        Gets one folder `server`, and one for each machine.
    clients
        Names of the machines.

    Returns
    -------
    :
        The folders that were made or got a new key.

    Raises
    ------
    ConfigError
        If a name cannot be one of a folder, or a folder cannot be written.
    """
    for name in clients:
        if not name or set(name) - set(_ALLOWED) or name[0] in ".-" or name in ("server", "client"):
            raise ConfigError(
                f"{name!r} cannot be the name of a machine here; take letters, digits, - and _, "
                "and neither server nor client"
            )
    try:
        return _make_keys(folder, clients)
    except OSError as error:
        raise ConfigError(f"the keys cannot be written: {error}") from error


def _make_keys(folder: Path, clients: Sequence[str]) -> list[Path]:
    server = _private_folder(folder / "server")
    made = []
    if not (server / _SERVER_SECRET).exists():
        public, secret = zmq.curve_keypair()
        _write(server / _SERVER_SECRET, public, secret)
        # For the window of the run itself, which connects like any other.
        _make_client(server, server, "client", public)
        made.append(server)
    public, _ = load_server_keys(server)
    for name in clients:
        client = _private_folder(folder / name)
        if not (client / _CLIENT_SECRET).exists():
            _make_client(client, server, name, public)
            made.append(client)
    return made


def _make_client(client: Path, server: Path, name: str, server_public: bytes) -> None:
    """Make the keys of one machine, and allow them."""
    public, secret = zmq.curve_keypair()
    _write(client / _SERVER_PUBLIC, server_public)
    _write(client / _CLIENT_SECRET, public, secret)
    _write(server / f"{name}.key", public)


def _private_folder(path: Path) -> Path:
    path.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    return path


def _write(path: Path, public: bytes, secret: bytes | None = None) -> None:
    """Write a key file that no other user can read, not even for a moment, if it is a secret."""
    lines = ["metadata", "curve", f'    public-key = "{public.decode()}"']
    if secret is not None:
        lines.append(f'    secret-key = "{secret.decode()}"')
    mode = _PUBLIC if secret is None else _PRIVATE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


def _load(path: Path) -> tuple[bytes, bytes | None]:
    try:
        return zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the key {path} cannot be read: {error}; rtsmlm keys makes all that is needed"
        ) from error


def _load_pair(path: Path) -> tuple[bytes, bytes]:
    public, secret = _load(path)
    if secret is None:
        raise ConfigError(f"{path} holds no secret key; rtsmlm keys makes all that is needed")
    return public, secret
