"""Where a run publishes: the first free port, or the stated one and no other."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from rtsmlm.errors import ConfigError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_schema import schema
from rtsmlm.settings.run import StreamSettings
from rtsmlm.stream import addresses
from rtsmlm.stream.addresses import bind_first, candidates, check_stream_address, port_of
from rtsmlm.stream.broadcast import Broadcast, history_port


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def default_at(monkeypatch: pytest.MonkeyPatch, taken: int) -> int:
    monkeypatch.setattr(addresses, "FIRST_PORT", taken)
    monkeypatch.setattr("rtsmlm.stream.broadcast.FIRST_PORT", taken)
    return taken


def test_a_run_takes_the_next_port_where_the_usual_one_is_taken_and_reports_it(
    default_at: int, tmp_path: Path
) -> None:
    warnings: list[str] = []
    broadcast = Broadcast(
        StreamSettings(), RunFolder(tmp_path), schema=schema({}), about={}, run_id="a",
        generation=0, warn=warnings.append,
    )  # fmt: skip
    try:
        assert broadcast.address is not None
        port = port_of(broadcast.address)
        assert port is not None
        assert default_at < port
        assert warnings == [
            f"port {default_at} is taken by another run or another program; this run is published "
            f"on tcp://127.0.0.1:{port}"
        ]
    finally:
        broadcast.close()


def test_where_all_usual_ports_are_taken_any_other_one_is() -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as first, context.socket(zmq.PUB) as two:
        place = bind_first(first, ["tcp://127.0.0.1:*"])
        other = bind_first(two, [place, place, "tcp://127.0.0.1:*"])
    assert port_of(place) != port_of(other)
    assert candidates(None)[0] == "tcp://127.0.0.1:5757"
    assert candidates(None)[-1] == "tcp://127.0.0.1:*"
    assert len(candidates(None)) == 11


def test_a_stated_address_that_is_taken_is_named_and_never_replaced(taken: int) -> None:
    address = f"tcp://127.0.0.1:{taken}"
    with pytest.raises(ConfigError, match=rf"stream\.address {address} is taken, by another run"):
        check_stream_address(StreamSettings(address=address))
    assert candidates(address) == [address]


def test_nothing_is_taken_where_nothing_is_stated_or_published(taken: int) -> None:
    check_stream_address(StreamSettings())
    check_stream_address(StreamSettings(address="tcp://127.0.0.1:*"))
    check_stream_address(StreamSettings(address=f"tcp://127.0.0.1:{taken}", enabled=False))


@pytest.mark.parametrize(
    ("address", "port"),
    [
        (None, None), ("tcp://127.0.0.1:*", None), ("tcp://0.0.0.0:6000", 6001),
        ("tcp://[::1]:6000", 6001), ("tcp://127.0.0.1:65535", None), ("ipc:///tmp/x", None),
    ],
)  # fmt: skip
def test_beside_a_stated_port_the_history_takes_the_next_one(
    address: str | None, port: int | None
) -> None:
    assert history_port(address) == port
