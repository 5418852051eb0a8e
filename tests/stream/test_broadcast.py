"""Stream and history of a run: what is published arrives, and no failure of it costs the run."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from rtsmlm.errors import SinkError, WorkerError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_schema import schema
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.settings.run import StreamSettings
from rtsmlm.stream import broadcast as broadcast_module
from rtsmlm.stream.broadcast import Broadcast, binned
from rtsmlm.stream.history import HistoryServer
from rtsmlm.stream.publisher import Publisher
from rtsmlm.stream.subscriber import Subscriber
from rtsmlm.stream.wire import DENSITY, FRAME, FRAME_PX, STATUS

WAIT_S = 20.0
FREE = StreamSettings(address="tcp://127.0.0.1:*")
SECOND_NS = 1_000_000_000


class Rig:
    """A broadcast and the warnings that it gave."""

    def __init__(self, folder: Path, settings: StreamSettings = FREE, generation: int = 0) -> None:
        self.warnings: list[str] = []
        self.broadcast = Broadcast(
            settings,
            RunFolder(folder),
            schema=schema({"pixel_nm": 100.0}),
            about={"run": "test"},
            run_id="7",
            generation=generation,
            warn=self.warnings.append,
        )

    @property
    def address(self) -> str:
        assert self.broadcast.address is not None
        return self.broadcast.address


Make = Callable[..., Rig]


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Make]:
    made: list[Rig] = []

    def make(settings: StreamSettings = FREE, generation: int = 0) -> Rig:
        made.append(Rig(tmp_path, settings, generation))
        return made[-1]

    yield make
    for rig in made:
        rig.broadcast.close()


def frames(first: int, n: int, shape: tuple[int, int] = (8, 8)) -> FrameBatch:
    pixels = np.arange(n, dtype=np.uint16)[:, None, None] + np.zeros(shape, np.uint16)
    return FrameBatch.from_pixels(pixels, index=np.arange(first, first + n))


def rows(frame: int, n: int) -> Localizations:
    x = np.arange(n, dtype=np.float32)
    return Localizations.from_columns(
        {"frame": np.full(n, frame), "x_nm": x, "y_nm": x, "photons": x + 1}
    )


class Listener:
    """Receives raw messages of some topics."""

    def __init__(self, address: str, *topics: bytes) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.rcvtimeo = 50
        for topic in topics:
            self._socket.subscribe(topic)
        self._socket.connect(address)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._context.term()

    def until(self, topic: bytes, send: Callable[[], object]) -> list[bytes]:
        """Send again and again until a message of the topic has come; return its parts."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            send()
            try:
                received, *parts = self._socket.recv_multipart()
            except zmq.Again:
                continue
            if received == topic:
                return parts
        pytest.fail(f"no message {topic!r} came")


def test_rows_arrive_with_the_frames_they_are_of(make_rig: Make) -> None:
    rig = make_rig()

    with Subscriber(rig.address, timeout_s=0.05) as reader:
        batch = None
        deadline = time.monotonic() + WAIT_S
        while batch is None and time.monotonic() < deadline:
            rig.broadcast.rows(rows(3, 5), frames(2, 4))
            batch = next(iter(reader), None)

    assert batch is not None
    assert (batch.first_frame, batch.last_frame, batch.n_frames) == (2, 5, 4)
    assert batch.localizations.frame.tolist() == [3] * 5
    assert reader.settings["run"] == "test"


def test_the_first_message_names_the_port_of_the_history(make_rig: Make, tmp_path: Path) -> None:
    RunFolder(tmp_path).localizations.write_bytes(b"the table")
    rig = make_rig(generation=7)
    with Subscriber(rig.address, timeout_s=0.05) as reader:
        deadline = time.monotonic() + WAIT_S
        while "history_port" not in reader.settings and time.monotonic() < deadline:
            rig.broadcast.rows(rows(0, 1), frames(0, 1))
            next(iter(reader), None)

    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.rcvtimeo = int(WAIT_S * 1000)
        socket.connect(f"tcp://127.0.0.1:{reader.settings['history_port']}")
        socket.send(b'{"offset": 4}')
        header, data = socket.recv_multipart()

    assert json.loads(header)["generation"] == 7
    assert data == b"table"


def test_only_the_newest_status_is_published_and_only_once(make_rig: Make) -> None:
    rig = make_rig()
    sent: list[Any] = []
    publisher = rig.broadcast._publisher
    assert publisher is not None
    publisher._send = sent.append  # type: ignore[method-assign]

    rig.broadcast.hand_over({"n": 1})
    rig.broadcast.hand_over({"n": 2})
    rig.broadcast.refresh()
    rig.broadcast.refresh()

    assert [(parts[0], json.loads(parts[1])) for parts in sent] == [
        (STATUS, {"run_id": "7", "n": 2})
    ]


def test_a_status_may_be_handed_over_from_any_thread(make_rig: Make) -> None:
    rig = make_rig()
    threads = [threading.Thread(target=rig.broadcast.hand_over, args=({"n": k},)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with Listener(rig.address, STATUS) as listener:

        def send() -> None:
            rig.broadcast.hand_over({"n": 100})
            rig.broadcast.refresh()

        [message] = listener.until(STATUS, send)
    assert json.loads(message) == {"run_id": "7", "n": 100}
    assert rig.warnings == []


def test_a_density_is_published_as_it_is(make_rig: Make) -> None:
    rig = make_rig()

    with Listener(rig.address, DENSITY) as listener:
        [message] = listener.until(DENSITY, lambda: rig.broadcast.density({"mean_per_um2": 0.2}))

    assert json.loads(message) == {"run_id": "7", "mean_per_um2": 0.2}


def test_a_frame_is_sent_to_who_asks_for_frames_and_is_the_newest(make_rig: Make) -> None:
    rig = make_rig()
    batch = frames(10, 3)
    t_ns = iter(range(SECOND_NS, 10**12, SECOND_NS))

    with Listener(rig.address, FRAME) as listener:
        header, pixels = listener.until(FRAME, lambda: rig.broadcast.frame(batch, next(t_ns)))

    assert json.loads(header) == {"run_id": "7", "index": 12, "shape": [8, 8], "binning": 1}
    assert np.frombuffer(pixels, "<u2").tolist() == [2] * 64


def test_frames_without_a_subscriber_are_not_even_binned(
    make_rig: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig()
    monkeypatch.setattr(broadcast_module, "binned", pytest.fail)

    for k in range(1, 5):
        rig.broadcast.frame(frames(0, 1), k * SECOND_NS)


def test_frames_are_sent_fifteen_times_a_second_at_most(
    make_rig: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig()
    shown: list[int] = []
    monkeypatch.setattr(Publisher, "frame_is_wanted", True)
    monkeypatch.setattr(Publisher, "show", lambda self, pixels, index, n: shown.append(index))

    for k in range(1000):  # a second at a thousand frames per second
        rig.broadcast.frame(frames(k, 1), SECOND_NS + k * 1_000_000)

    assert 14 <= len(shown) <= 15


def test_after_the_end_a_subscriber_knows_it(make_rig: Make) -> None:
    rig = make_rig()

    with Listener(rig.address, b"end") as listener:
        [message] = listener.until(b"end", lambda: rig.broadcast.end({"frames": 9}))

    assert json.loads(message) == {"run_id": "7", "frames": 9}


def test_without_a_stream_all_calls_do_nothing(make_rig: Make) -> None:
    rig = make_rig(StreamSettings(enabled=False))

    assert rig.broadcast.address is None
    rig.broadcast.rows(rows(0, 1), frames(0, 1))
    rig.broadcast.density({})
    rig.broadcast.hand_over({})
    rig.broadcast.refresh()
    rig.broadcast.frame(frames(0, 1), SECOND_NS)
    rig.broadcast.end({})
    assert rig.warnings == []


def test_an_address_that_is_taken_is_one_warning_and_no_stream(make_rig: Make) -> None:
    first = make_rig()

    second = make_rig(StreamSettings(address=first.address))

    assert second.broadcast.address is None
    [warning] = second.warnings
    assert warning.startswith(f"no live stream: cannot publish on {first.address}")
    second.broadcast.rows(rows(0, 1), frames(0, 1))
    assert len(second.warnings) == 1


def test_a_socket_that_fails_ends_the_stream_with_one_warning(
    make_rig: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig()

    def fail(self: Publisher, parts: list[Any]) -> None:
        raise SinkError("the stream failed: too many open files")

    monkeypatch.setattr(Publisher, "_send", fail)
    for frame in range(3):
        rig.broadcast.rows(rows(frame, 1), frames(frame, 1))
    rig.broadcast.end({})

    assert rig.warnings == ["the stream failed: too many open files"]
    assert rig.broadcast.address is None


def test_a_history_that_dies_is_warned_of_and_the_stream_goes_on(
    make_rig: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: HistoryServer) -> bool:
        raise MemoryError("no room for an answer")

    monkeypatch.setattr(HistoryServer, "_serve_some", fail)
    rig = make_rig()
    deadline = time.monotonic() + WAIT_S
    while not rig.warnings and time.monotonic() < deadline:
        time.sleep(0.002)

    [warning] = rig.warnings
    assert warning.startswith("a window that is opened from now on shows no earlier localizations")
    assert warning.endswith("MemoryError: no room for an answer")
    with Listener(rig.address, DENSITY) as listener:
        listener.until(DENSITY, lambda: rig.broadcast.density({"mean_per_um2": 0.2}))
    rig.broadcast.close()  # and its end is no second failure
    assert len(rig.warnings) == 1


def test_a_history_that_does_not_end_is_warned_of_and_the_socket_closed_all_the_same(
    make_rig: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig()
    close = HistoryServer.close

    def late(self: HistoryServer) -> None:
        close(self)
        raise WorkerError("the history thread did not end within 10 s; it is left behind")

    monkeypatch.setattr(HistoryServer, "close", late)
    rig.broadcast.close()
    rig.broadcast.close()

    assert rig.warnings == ["the history thread did not end within 10 s; it is left behind"]
    assert rig.broadcast.address is None


@pytest.mark.parametrize(
    ("shape", "size", "n"),
    [
        ((4, 6), (4, 6), 1),
        ((FRAME_PX, FRAME_PX), (FRAME_PX, FRAME_PX), 1),
        ((FRAME_PX + 1, 10), (256, 5), 2),
        ((2048, 2048), (512, 512), 4),
    ],
)
def test_a_large_frame_is_binned_to_what_a_window_shows(
    shape: tuple[int, int], size: tuple[int, int], n: int
) -> None:
    pixels, binning = binned(np.full(shape, 1234, np.uint16))

    assert (pixels.shape, binning, pixels.dtype) == (size, n, np.uint16)
    assert np.all(pixels == 1234)  # a mean, so that bright frames do not overflow
