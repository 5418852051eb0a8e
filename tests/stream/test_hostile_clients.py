"""No message of any program ends a service, fills the memory or delays the localizing thread."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from rtsmlm.files.tables.arrow_schema import schema
from rtsmlm.stream.history import HistoryServer
from rtsmlm.stream.publisher import Publisher
from rtsmlm.stream.wire import FRAME, STATUS

PATIENCE_S = 20.0
TABLE = bytes(range(200))


class Run:
    """Stream and history, and what they warned of."""

    def __init__(self, folder: Path) -> None:
        self.warnings: list[str] = []
        self.deaths: list[BaseException] = []
        (folder / "t.arrows").write_bytes(TABLE)
        self.publisher = Publisher(
            "tcp://127.0.0.1:*", schema=schema({}), settings={"run": "test"},
            warn=self.warnings.append,
        )  # fmt: skip
        self.history = HistoryServer(
            folder / "t.arrows", "tcp://127.0.0.1", generation=1, context=self.publisher.context,
            run_id="7", on_death=self.deaths.append,
        )  # fmt: skip
        self.publisher.add_to_first_message(history_port=self.history.port)
        self.publisher.start()
        self.port = int(self.publisher.address.rpartition(":")[2])

    def close(self) -> None:
        self.history.close()
        self.publisher.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    yield made
    made.close()


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    made = zmq.Context()
    yield made
    made.destroy(linger=0)


def connect(context: zmq.Context[Any], kind: int, port: int) -> zmq.Socket[Any]:
    made = context.socket(kind)
    made.linger, made.rcvtimeo, made.sndtimeo = 0, 5000, 5000
    made.connect(f"tcp://127.0.0.1:{port}")
    return made


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def is_served(context: zmq.Context[Any], run: Run) -> bool:
    """Return whether a new reader gets rows, and a new subscriber what is published."""
    with connect(context, zmq.DEALER, run.history.port) as reader:
        reader.send(b'{"offset": 190}')
        header, data = reader.recv_multipart()
        assert (json.loads(header)["size"], data) == (len(TABLE), TABLE[190:])
        reader.send(b'{"offset": 200}')  # has read to the end: is not waited for
        reader.recv_multipart()
    with connect(context, zmq.SUB, run.port) as subscriber:
        subscriber.subscribe(b"settings")
        subscriber.subscribe(STATUS)
        return bool(subscriber.recv_multipart()[0].startswith(b"settings"))


def test_no_request_ends_the_history(context: zmq.Context[Any], run: Run, foreign: Any) -> None:
    before_mb = foreign.resident_mb()
    with connect(context, zmq.DEALER, run.history.port) as reader:
        for k, parts in enumerate(foreign.requests(seed=1, n=foreign.count)):
            reader.send_multipart(parts)
            while reader.poll(0 if k % 10 else 20):
                reader.recv_multipart(flags=zmq.NOBLOCK)

    assert is_served(context, run)
    assert run.deaths == run.warnings == []
    assert run.history.refused > 0
    assert foreign.resident_mb() - before_mb < 100


def test_no_message_to_the_publisher_ends_it(
    context: zmq.Context[Any], run: Run, foreign: Any
) -> None:
    before_mb = foreign.resident_mb()
    rng = random.Random(2)
    with connect(context, zmq.XSUB, run.port) as peer:
        for parts in foreign.requests(seed=3, n=foreign.count):
            first = rng.choice((b"", b"\x00", b"\x01", b"\x02", b"\x01frame", b"\x00frame"))
            peer.send_multipart([first + parts[0], *parts[1:]], flags=zmq.NOBLOCK)
            time.sleep(0.001)  # below what counts as a flood: each is taken

    assert is_served(context, run)
    assert not any("died" in warning for warning in run.warnings)
    assert foreign.resident_mb() - before_mb < 100


@pytest.mark.parametrize("service", ["history", "publisher"])
def test_no_bytes_on_the_wire_end_a_service(
    context: zmq.Context[Any], run: Run, service: str, foreign: Any
) -> None:
    port = run.history.port if service == "history" else run.port
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
    rng = random.Random(4)
    for _ in range(foreign.count // 10):
        with socket.create_connection(("127.0.0.1", port), 5) as peer:
            data = rng.choice((b"", greeting, greeting[:20])) + rng.randbytes(rng.randrange(200))
            peer.sendall(data)

    assert is_served(context, run)
    assert run.deaths == []
    assert not any("died" in warning for warning in run.warnings)


def test_a_message_of_a_hundred_megabytes_costs_no_memory(
    context: zmq.Context[Any], run: Run, foreign: Any
) -> None:
    large = bytes(100 << 20)
    before_mb = foreign.resident_mb()
    for port in (run.history.port, run.port):
        with socket.create_connection(("127.0.0.1", port), 5) as peer:
            _shake_hands(peer, "DEALER" if port == run.history.port else "SUB")
            peer.settimeout(5)
            assert is_cut_off(peer, b"\x02" + len(large).to_bytes(8, "big") + large, times=2)

    assert is_served(context, run)
    assert foreign.resident_mb() - before_mb < 20


def is_cut_off(peer: socket.socket, data: bytes, times: int) -> bool:
    """Send the same bytes again and again; return whether the connection was closed before all."""
    try:
        for _ in range(times):
            peer.sendall(data)
    except OSError:
        return True
    return False


def _shake_hands(peer: socket.socket, kind: str) -> None:
    """Open a connection as ZeroMQ does (ZMTP 3.0)."""
    peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48))
    ready = b"\x05READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind.encode()
    peer.sendall(b"\x04" + bytes([len(ready)]) + ready)
    peer.recv(64, socket.MSG_WAITALL)
    peer.recv(4096)


def test_a_message_without_end_is_cut_off_before_it_fills_the_memory(
    context: zmq.Context[Any], run: Run, foreign: Any
) -> None:
    before_mb = foreign.resident_mb()
    part = (b"\x01\xff" + bytes(255)) * 200  # each with more to come
    with socket.create_connection(("127.0.0.1", run.history.port), 5) as peer:
        _shake_hands(peer, "DEALER")
        assert is_cut_off(peer, part, times=40_000), "2 GB were taken"

    assert is_served(context, run)
    assert foreign.resident_mb() - before_mb < 600


class Flood:
    """Subscribes to one topic after another, as fast as it goes, and comes back when cut off."""

    def __init__(self, context: zmq.Context[Any], port: int) -> None:
        self._stop = threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._run, args=(context, port))
        self._thread.start()

    def _run(self, context: zmq.Context[Any], port: int) -> None:
        with connect(context, zmq.XSUB, port) as peer:
            peer.sndtimeo = 50
            while not self._stop.is_set():
                try:
                    peer.send(b"\x01topic %d" % self.sent)
                    self.sent += 1
                except zmq.Again:
                    continue

    def end(self) -> None:
        self._stop.set()
        self._thread.join()


def test_a_flood_of_subscriptions_is_cut_off_and_the_others_stay(
    context: zmq.Context[Any], run: Run, foreign: Any
) -> None:
    with connect(context, zmq.SUB, run.port) as viewer:
        for topic in (b"settings", FRAME, STATUS):
            viewer.subscribe(topic)
        viewer.recv_multipart()
        assert until(lambda: run.publisher.frame_is_wanted)
        before_mb = foreign.resident_mb()
        flood = Flood(context, run.port)
        try:
            assert until(lambda: run.publisher._sender.floods > 0)
            longest_s = 0.0
            for k in range(200):
                begin_s = time.monotonic()
                run.publisher.publish_json(STATUS, {"n": k})
                longest_s = max(longest_s, time.monotonic() - begin_s)
                time.sleep(0.005)
        finally:
            flood.end()
        assert until(lambda: len(run.publisher._sender._connections) == 1)
        run.publisher.publish_json(STATUS, {"n": "last"})
        newest: object = None
        while newest != "last":
            topic, *parts = viewer.recv_multipart()
            assert topic == STATUS, "the viewer was cut off, too"
            newest = json.loads(parts[0])["n"]

    assert longest_s < 0.2, "publishing never waits for those who subscribe"
    assert run.publisher.frame_is_wanted is not None
    assert [warning for warning in run.warnings if "floods the stream" in warning]
    assert len(run.warnings) == 1
    assert foreign.resident_mb() - before_mb < 200


def test_no_more_connections_than_a_lab_needs_are_kept(run: Run) -> None:
    held = [socket.create_connection(("127.0.0.1", run.port), 5) for _ in range(100)]
    try:
        assert until(lambda: run.publisher._sender._connections.closed >= 36)
        assert len(run.publisher._sender._connections) <= 64
    finally:
        for peer in held:
            peer.close()


def test_who_asks_too_often_waits_longer_and_the_others_do_not(
    context: zmq.Context[Any], run: Run
) -> None:
    stop = threading.Event()

    def ask_and_ask() -> None:
        with connect(context, zmq.DEALER, run.history.port) as greedy:
            while not stop.is_set():
                greedy.send(b'{"offset": 0}')
                while greedy.poll(0):
                    greedy.recv_multipart()

    greedy = threading.Thread(target=ask_and_ask)
    greedy.start()
    try:
        time.sleep(0.3)
        begin_s = time.monotonic()
        for _ in range(5):
            assert is_served(context, run)
        assert time.monotonic() - begin_s < PATIENCE_S / 2
    finally:
        stop.set()
        greedy.join()
