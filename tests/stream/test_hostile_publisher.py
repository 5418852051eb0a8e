"""A publisher that may be any program ends no subscriber and no window, and fills no memory."""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import zmq

from rtsmlm.errors import FileFormatError, RtsmlmError
from rtsmlm.files.tables.arrow_schema import schema, to_batch
from rtsmlm.localizations import Localizations
from rtsmlm.stream.batch_message import read_batch, read_schema
from rtsmlm.stream.messages import DensityMessage, RunMessage, StatusMessage, read_message
from rtsmlm.stream.subscriber import Subscriber
from rtsmlm.viewer.sources.stream_source import StreamSource

PATIENCE_S = 30.0
SCHEMA = schema({"pixel_nm": 100.0})
RUN: dict[str, Any] = {
    "run": "theirs", "run_id": "1f", "shape": [64, 48], "pixel_nm": 100.0, "history_port": None,
    "settings": {"acquisition": {"exposure_ms": 10.0}, "micromanager": {"roi": [0, 0, 64, 48]}},
    "arrow_schema": base64.b64encode(SCHEMA.serialize().to_pybytes()).decode(),
}  # fmt: skip
BATCH_HEAD = {
    "run_id": "1f", "seq": 0, "first_frame": 0, "last_frame": 0, "n_frames": 1, "n_rows": 20,
}  # fmt: skip
DENSITY = {"run_id": "1f", "last_frame": 3, "mean_per_um2": 0.1, "std_per_um2": 0.01}


@pytest.fixture
def message() -> bytes:
    """Return a batch message of twenty rows."""
    x = np.arange(20, dtype=np.float32)
    rows = Localizations.from_columns({"frame": np.zeros(20), "x_nm": x, "y_nm": x})
    return bytes(to_batch(rows, SCHEMA).serialize())


@pytest.fixture
def status() -> dict[str, Any]:
    totals = dict.fromkeys(
        ("camera", "received", "recorded", "localized", "skipped", "lost", "in_ring"), 7
    )
    return {
        "run_id": "1f", "totals": totals, "frames_per_s": 1.0, "localizations": 5,
        "emitters_per_frame": 2.0, "p50_ms": 1.0, "p99_ms": 2.0, "backlog": 0,
        "recorder_backlog": 0, "model": "ok", "loop": None, "latency_ms": {"total": {"p50": 1.0}},
        "validity": {"verdict": "ok", "findings": ["a"]}, "recording": True, "disk_free_mb": 9.0,
        "disk_mb_per_s": 1.0, "exposure_ms": 10.0, "warnings": ["b"],
    }  # fmt: skip


@pytest.fixture
def hostile() -> Iterator[zmq.Socket[Any]]:
    """Return the socket of a publisher that sends what the test sends."""
    context = zmq.Context()
    made = context.socket(zmq.XPUB)
    made.bind("tcp://127.0.0.1:*")
    yield made
    context.destroy(linger=0)


def address_of(socket: zmq.Socket[Any]) -> str:
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)


def first_message() -> list[bytes]:
    return [b"settings" + json.dumps(RUN).encode()]


def messages(
    foreign: Any, status: dict[str, Any], message: bytes, seed: int
) -> Iterator[list[bytes]]:
    """Yield messages that are almost right."""
    rng = random.Random(seed)
    frame = {"run_id": "1f", "index": 1, "shape": [3, 4], "binning": 1}
    changed, mutated = foreign.changed_json, foreign.mutated
    for _ in range(foreign.count):
        kind = rng.randrange(8)
        if kind == 0:
            yield [b"settings" + changed(rng, RUN)]
        elif kind == 1:
            yield [b"batch", changed(rng, BATCH_HEAD), message]
        elif kind == 2:
            yield [b"batch", json.dumps(BATCH_HEAD).encode(), mutated(rng, message)]
        elif kind == 3:
            yield [b"status", changed(rng, status)]
        elif kind == 4:
            yield [b"density", changed(rng, DENSITY)]
        elif kind == 5:
            yield [b"frame", changed(rng, frame), rng.randbytes(rng.choice((0, 23, 24, 25)))]
        elif kind == 6:
            yield [b"end", changed(rng, {"run_id": "no", "localizations": 3})]
        else:
            yield [rng.choice((b"batch", b"status", b"settings", b"end", b"frame", b"density"))] + [
                b""
            ] * rng.choice((0, 1, 300))


def test_a_subscriber_survives_every_message_and_goes_on(
    hostile: zmq.Socket[Any], foreign: Any, status: dict[str, Any], message: bytes
) -> None:
    before_mb = foreign.resident_mb()
    with Subscriber(address_of(hostile), timeout_s=0.02) as reader:
        while hostile.poll(100):
            hostile.recv()
        hostile.send_multipart(first_message())
        for k, parts in enumerate(messages(foreign, status, message, seed=5)):
            hostile.send_multipart(parts)
            reader.ended = None
            for batch in reader if k % 20 == 19 else ():
                assert len(batch.localizations) <= 20
        hostile.send_multipart(first_message())
        hostile.send_multipart([b"batch", json.dumps(BATCH_HEAD).encode(), message])
        deadline = time.monotonic() + PATIENCE_S
        found = None
        while time.monotonic() < deadline and (found is None or reader.run_id != "1f"):
            found = next(iter(reader), None)

    assert found is not None
    assert reader.damaged > 0
    assert foreign.resident_mb() - before_mb < 100


def test_a_window_survives_every_message_and_goes_on(
    hostile: zmq.Socket[Any], foreign: Any, status: dict[str, Any], message: bytes
) -> None:
    before_mb = foreign.resident_mb()
    source = StreamSource(address_of(hostile))
    try:
        while hostile.poll(100):
            hostile.recv()
        hostile.send_multipart(first_message())
        for parts in messages(foreign, status, message, seed=6):
            hostile.send_multipart(parts)
            update = source.poll()
            assert update.problem is None or update.problem.isprintable()
            time.sleep(0.0005)
        hostile.send_multipart(first_message())
        deadline, backlog = time.monotonic() + PATIENCE_S, -1
        while backlog != 77 and time.monotonic() < deadline:
            hostile.send_multipart([b"status", json.dumps(status | {"backlog": 77}).encode()])
            update = source.poll()
            backlog = backlog if update.status is None else update.status.backlog
            time.sleep(0.01)

        assert backlog == 77
        assert source._worker.alive
    finally:
        source.close()
    assert foreign.resident_mb() - before_mb < 100


def test_no_damaged_batch_does_more_than_raise_an_error_of_ours(
    foreign: Any, message: bytes
) -> None:
    rng = random.Random(7)
    refused = 0
    for _ in range(5 * foreign.count):
        try:
            rows = read_batch(foreign.mutated(rng, message), SCHEMA, 20)
        except FileFormatError:
            refused += 1
        else:
            assert len(rows) <= len(message)
            assert all(len(column.tobytes()) for column in rows.columns().values() if len(rows))
    assert refused > foreign.count


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_a_compressed_batch_is_refused_before_it_is_unpacked(codec: str) -> None:
    rows = Localizations.from_columns(
        {name: np.zeros(100_000) for name in ("frame", "x_nm", "y_nm")}
    )
    options = pa.ipc.IpcWriteOptions(compression=codec)
    packed = to_batch(rows, SCHEMA)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA, options=options) as writer:
        writer.write_batch(packed)
    reader = pa.ipc.MessageReader.open_stream(sink.getvalue())
    reader.read_next_message()
    bomb = bytes(reader.read_next_message().serialize())
    assert len(bomb) < packed.nbytes / 10, "the test did not try"

    with pytest.raises(FileFormatError, match="is compressed"):
        read_batch(bomb, SCHEMA, 100_000)


@pytest.mark.parametrize(
    "columns",
    [
        pa.schema([("frame", pa.string())]),
        pa.schema([("frame", pa.list_(pa.int64()))]),
        pa.schema([("frame", pa.dictionary(pa.int8(), pa.string()))]),
        pa.schema([("frame", pa.int64()), ("frame", pa.int64())]),
        pa.schema([(f"c{k}", pa.int8()) for k in range(1000)]),
    ],
)
def test_a_schema_of_anything_but_numbers_is_refused(columns: pa.Schema) -> None:
    with pytest.raises(FileFormatError):
        read_schema(base64.b64encode(bytes(columns.serialize())).decode())


@pytest.mark.parametrize("text", ["", "AAAA", "not base64", "é", "/////wAAAAA="])
def test_a_schema_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(FileFormatError):
        read_schema(text)


def test_no_name_of_a_run_acts_on_a_terminal() -> None:
    data = json.dumps(RUN | {"run": "a\x1b[2J\x07\u202eb\ud800\r\n"})

    run = read_message(RunMessage, data, "it")

    assert run.run.isprintable()
    assert "\x1b" not in run.run


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (StatusMessage, "localizations", "1" + "0" * 400),
        (StatusMessage, "localizations", "1e999"),
        (StatusMessage, "totals", "[" * 100_000 + "]" * 100_000),
        (StatusMessage, "warnings", '{"a": ' * 30 + "1" + "}" * 30),
        (RunMessage, "shape", "[0, 0]"),
        (RunMessage, "shape", "[-1, 5]"),
        (RunMessage, "pixel_nm", "0"),
        (RunMessage, "pixel_nm", "NaN"),
        (RunMessage, "history_port", "70000"),
        (DensityMessage, "last_frame", "9223372036854775808"),
    ],
)
def test_a_value_that_nothing_can_show_is_refused_in_a_sentence(
    status: dict[str, Any], kind: Any, name: str, value: str
) -> None:
    data = {StatusMessage: status, RunMessage: RUN, DensityMessage: DENSITY}[kind] | {name: "@"}

    with pytest.raises(FileFormatError, match="cannot be read") as refused:
        read_message(kind, json.dumps(data).replace('"@"', value), "the message")
    assert len(str(refused.value)) < 500


def test_a_number_that_is_not_finite_is_not_known(status: dict[str, Any]) -> None:
    data = json.dumps(status | {"p50_ms": "@"}).replace('"@"', "1e999")

    assert np.isnan(read_message(StatusMessage, data, "the status").p50_ms)


def test_what_cannot_be_an_address_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(RtsmlmError, match="cannot listen to nowhere"):
        Subscriber("nowhere")
