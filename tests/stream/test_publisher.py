"""What goes over the socket, byte by byte, who may be reached, and what a slow reader loses."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import zmq

from rtsmlm.errors import ConfigError, SinkError
from rtsmlm.files.tables.arrow_schema import from_batch, schema, to_batch
from rtsmlm.localizations import Localizations
from rtsmlm.stream.history import HistoryServer
from rtsmlm.stream.publisher import Publisher
from rtsmlm.stream.subscriber import StreamBatch, Subscriber
from rtsmlm.stream.wire import DENSITY, FRAME, STATUS

SCHEMA = schema({"pixel_nm": 100.0})


def publish(address: str, settings: dict[str, Any], **more: Any) -> Publisher:
    made = Publisher(address, schema=SCHEMA, settings=settings, **more)
    made.start()
    return made


@pytest.fixture
def out() -> Iterator[Publisher]:
    made = publish("tcp://127.0.0.1:*", {"run": "test"})
    yield made
    made.close()


class RawReader:
    """A subscriber that knows nothing of rtsmlm: topics in, parts out."""

    def __init__(self, address: str, *topics: bytes) -> None:
        self._topics = set(topics)
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.SUB)
        self.socket.linger, self.socket.rcvtimeo = 0, 5000
        for topic in topics:
            self.socket.subscribe(topic)
        self.socket.connect(address)

    def welcome(self, out: Publisher) -> dict[str, Any]:
        """Wait for the first message, and until nothing that is published is missed."""
        (first,) = self.socket.recv_multipart()
        assert first.startswith(b"settings")
        assert eventually(lambda: out._sender._n_topics >= len(self._topics))
        return dict(json.loads(first[len(b"settings") :]))

    def __enter__(self) -> RawReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self._context.term()


def rows(frame: int, n: int) -> Localizations:
    x = np.arange(n, dtype=np.float32)
    return Localizations.from_columns({"frame": np.full(n, frame), "x_nm": x, "y_nm": x})


def send(out: Publisher, frame: int, n: int = 1) -> None:
    batch = to_batch(rows(frame, n), SCHEMA)
    out.publish(batch, first_frame=frame, last_frame=frame, n_frames=1)


def eventually(condition: Callable[[], bool]) -> bool:
    for _ in range(500):
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_a_batch_is_readable_with_arrow_and_json_alone(out: Publisher) -> None:
    with RawReader(out.address, b"settings", b"batch") as reader:
        welcome = reader.welcome(out)
        send(out, 7, 3)
        topic, header, message = reader.socket.recv_multipart()

    assert topic == b"batch"
    assert json.loads(header) == {
        "run_id": out.run_id, "seq": 0, "first_frame": 7, "last_frame": 7, "n_frames": 1,
        "n_rows": 3,
    }  # fmt: skip
    stated = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(welcome["arrow_schema"])))
    batch = pa.ipc.read_record_batch(pa.py_buffer(message), stated)
    assert batch.column("frame").to_pylist() == [7, 7, 7]
    assert len(from_batch(batch)) == 3


def test_sequence_numbers_count_every_batch_from_zero(out: Publisher) -> None:
    with RawReader(out.address, b"settings", b"batch") as reader:
        reader.welcome(out)
        for frame in range(5):
            send(out, 100 + frame, frame)
        headers = [json.loads(reader.socket.recv_multipart()[1]) for _ in range(5)]

    assert [header["seq"] for header in headers] == [0, 1, 2, 3, 4]
    assert [header["n_rows"] for header in headers] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("topic", [DENSITY, STATUS])
def test_json_messages_come_under_their_topic(out: Publisher, topic: bytes) -> None:
    message = {"mean_per_um2": 0.07, "note": "µm", "none": None}
    with RawReader(out.address, b"settings", topic) as reader:
        reader.welcome(out)
        out.publish_json(topic, message)
        parts = reader.socket.recv_multipart()

    assert parts[0] == topic
    assert json.loads(parts[1]) == {"run_id": out.run_id, **message}


def test_a_message_states_its_run_though_its_sender_left_that_open(out: Publisher) -> None:
    with RawReader(out.address, b"settings", STATUS) as reader:
        reader.welcome(out)
        out.publish_json(STATUS, {"run_id": "", "backlog": 3})

        _, body = reader.socket.recv_multipart()

    assert json.loads(body) == {"run_id": out.run_id, "backlog": 3}


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_frame_is_little_endian_row_by_row_whatever_lies_in_memory(
    out: Publisher, order: str
) -> None:
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4) * 257
    stored = np.asarray(pixels.astype(">u2"), order=order)  # type: ignore[call-overload]
    with RawReader(out.address, b"settings", FRAME) as reader:
        reader.welcome(out)
        out.show(stored, index=41, binning=2)
        _, header, data = reader.socket.recv_multipart()

    assert json.loads(header) == {
        "run_id": out.run_id, "index": 41, "shape": [3, 4], "binning": 2,
    }  # fmt: skip
    np.testing.assert_array_equal(np.frombuffer(data, "<u2").reshape(3, 4), pixels)


def test_frames_are_wanted_as_long_as_there_is_a_subscriber_to_them(out: Publisher) -> None:
    assert not out.frame_is_wanted
    with RawReader(out.address, b"settings", b"batch") as reader:
        reader.welcome(out)
        assert not out.frame_is_wanted, "rows alone do not ask for frames"
        with RawReader(out.address, FRAME):
            assert eventually(lambda: out.frame_is_wanted)
            with RawReader(out.address, FRAME) as second:
                second.socket.unsubscribe(FRAME)
                assert out.frame_is_wanted, "another one is still there"
        assert eventually(lambda: not out.frame_is_wanted)


def test_who_connects_before_the_first_message_is_whole_gets_it_whole() -> None:
    made = Publisher("tcp://127.0.0.1:*", schema=SCHEMA, settings={"run": "test"})
    try:
        with RawReader(made.address, b"settings") as reader:
            assert not reader.socket.poll(200)
            made.add_to_first_message(history_port=4711)
            made.add_to_first_message(psf_sigma_nm=131.0)
            made.start()
            welcome = reader.welcome(made)
    finally:
        made.close()

    assert welcome["run"] == "test"
    assert (welcome["history_port"], welcome["psf_sigma_nm"]) == (4711, 131.0)


def test_a_slow_subscriber_loses_batches_and_knows_how_many(out: Publisher) -> None:
    sent, large = 3000, to_batch(rows(0, 150), SCHEMA)
    with Subscriber(out.address, timeout_s=1.0) as reader:
        found: list[StreamBatch] = []
        first = 0
        while not found:  # until the subscription has come through
            send(out, first)
            first += 1
            found += [batch for batch in [next(iter(reader), None)] if batch]
        for frame in range(first, sent):  # never waits, whatever the reader does
            out.publish(large, first_frame=frame, last_frame=frame, n_frames=1)
        assert eventually(lambda: reader._socket.poll(0) != 0)
        found += list(reader)
        send(out, sent)
        found += list(reader)

        frames = [batch.first_frame for batch in found]
        assert frames == sorted(set(frames))
        assert frames[-1] == sent
        assert reader.lost == sent + 1 - frames[0] - len(frames)
        assert reader.lost > 0, "the test did not try"


def test_a_restarted_publisher_counts_anew_and_nothing_is_reported_lost() -> None:
    first = publish("tcp://127.0.0.1:*", {"run": "first"}, run_id="42")
    with Subscriber(first.address, timeout_s=0.1) as reader:
        while next(iter(reader), None) is None:
            send(first, 5)
        for frame in range(6, 10):
            send(first, frame)
        assert len(list(reader)) == 4
        address = first.address
        first.close()
        second = publish(address, {"run": "second"}, run_id="42")
        try:
            for _ in range(100):
                send(second, 10)
                if next(iter(reader), None) is not None:
                    break
        finally:
            second.close()

        assert reader.settings == {"run": "second", "run_id": "42"}
        assert reader.lost == 0


def test_nobody_publishing_is_silence_and_no_error() -> None:
    with Subscriber("tcp://127.0.0.1:9", timeout_s=0.05) as reader:
        assert list(reader) == []
    reader.close()

    assert reader.settings == {}
    assert reader.ended is None


@pytest.mark.parametrize(
    "address",
    [
        "tcp://127.0.0.1.example.org:5757",
        "tcp://localhost.example.org:5757",
        "tcp://127.0.0.1@192.168.0.7:5757",
        "tcp://192.168.0.7:5757#127.0.0.1",
        "tcp://eth0:5757",
        "tcp://[::]:5757",
        "tcp://0:5757",
        "udp://239.0.0.1:5757",
        "",
    ],
)
def test_no_spelling_of_an_address_of_others_passes_for_this_machine(address: str) -> None:
    with pytest.raises(ConfigError, match=r"can be reached from other machines"):
        Publisher(address, schema=SCHEMA, settings={})


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:*", "tcp://localhost:*", "inproc://run", "ipc://{folder}/run"]
)
def test_this_machine_needs_no_keys(address: str, tmp_path: Path) -> None:
    if address.startswith("ipc") and sys.platform == "win32":
        pytest.skip("Windows has no ipc sockets")

    made = Publisher(address.format(folder=tmp_path), schema=SCHEMA, settings={})

    made.close()
    made.close()


def test_a_closed_publisher_says_so_instead_of_dropping_rows(out: Publisher) -> None:
    out.close()

    with pytest.raises(SinkError, match=r"the stream on tcp://127\.0\.0\.1:\d+ failed"):
        send(out, 1)


# -- history ---------------------------------------------------------------------------------


def ask(
    context: zmq.Context[Any], port: int, *requests: bytes
) -> list[tuple[dict[str, Any], bytes]]:
    answers = []
    with context.socket(zmq.DEALER) as socket:
        socket.linger, socket.rcvtimeo = 0, 5000
        socket.connect(f"tcp://127.0.0.1:{port}")
        # The last one reads to the end: the server waits for those who have not.
        for request in (*requests, b'{"offset": 1000000}'):
            socket.send(request)
            header, data = socket.recv_multipart()
            answers.append((json.loads(header), data))
    return answers[:-1]


@pytest.fixture
def history(out: Publisher, tmp_path: Path) -> Iterator[HistoryServer]:
    (tmp_path / "t.arrows").write_bytes(bytes(range(100)))
    made = HistoryServer(
        tmp_path / "t.arrows", "tcp://127.0.0.1", generation=5, context=out.context
    )
    yield made
    made.close()
    made.close()


@pytest.mark.parametrize("offset", [0, 1, 99, 100, 101, 10**30])
def test_history_gives_what_lies_behind_an_offset_and_nothing_beyond_the_end(
    out: Publisher, history: HistoryServer, offset: int
) -> None:
    ((header, data),) = ask(out.context, history.port, json.dumps({"offset": offset}).encode())

    assert data == bytes(range(100))[min(offset, 100) :]
    assert header == {"run_id": "", "offset": offset, "size": 100, "generation": 5}


@pytest.mark.parametrize(
    "request_", [b'{"offset": Infinity}', b'{"offset": 1e400}', b'{"offset": NaN}', b"null"]
)
def test_no_number_of_a_client_ends_the_history_for_the_others(
    out: Publisher, history: HistoryServer, request_: bytes
) -> None:
    (refused, nothing), (header, data) = ask(out.context, history.port, request_, b'{"offset": 90}')

    assert "error" in refused
    assert nothing == b""
    assert (header["size"], data) == (100, bytes(range(90, 100)))


def test_an_interface_that_is_not_there_is_a_wrong_setting(out: Publisher, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be served on tcp://203\.0\.113\.7"):
        HistoryServer(tmp_path / "t", "tcp://203.0.113.7", generation=0, context=out.context)
