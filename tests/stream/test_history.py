"""Late joiners: the table of a running experiment byte by byte, and rows out of cut bytes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.arrow_decoder import ArrowDecoder
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.localizations import Localizations
from rtsmlm.realtime.clock import now_ns
from rtsmlm.stream.history import CHUNK_BYTES, HistoryServer


def _rows(first: int, n: int) -> Localizations:
    frame = np.arange(first, first + n, dtype=np.int64)
    return Localizations.from_columns(
        {"frame": frame, "x_nm": frame * 1.5, "y_nm": frame * 2.0, "photons": frame + 1.0}
    )


def _table(path: Path, sizes: list[int], *, close: bool = True) -> Localizations:
    parts, first = [], 0
    file = ArrowStreamFile(path, {"pixel_nm": 108.0})
    for n in sizes:
        parts.append(_rows(first, n))
        file.put(parts[-1])
        first += n
    if close:
        file.close()
    return Localizations.concatenate(parts)


@given(
    cuts=st.lists(st.integers(1, 700), max_size=30), sizes=st.lists(st.integers(1, 9), max_size=5)
)
@settings(max_examples=60, deadline=None)
def test_rows_do_not_depend_on_how_the_bytes_are_cut(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], sizes: list[int]
) -> None:
    path = tmp_path_factory.mktemp("table") / "t.arrows"
    rows = _table(path, sizes)
    data = path.read_bytes()
    feed = ArrowDecoder()
    got: list[Localizations] = []
    while data:
        n = cuts.pop() if cuts else len(data)
        got += feed.feed(data[:n])
        data = data[n:]

    assert feed.ended
    assert feed.metadata["pixel_nm"] == 108.0
    assert feed.n_bytes == path.stat().st_size
    together = Localizations.concatenate(got)
    assert np.array_equal(together.frame, rows.frame)
    assert np.array_equal(together.x_nm, rows.x_nm)
    assert [len(part) for part in got] == sizes


@pytest.mark.parametrize(
    "data", [b"not a table at all", b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\0" * 64]
)
def test_bytes_that_are_no_table_are_named(data: bytes) -> None:
    with pytest.raises(FileFormatError):
        ArrowDecoder().feed(data)


@pytest.fixture
def context() -> Iterator[Any]:
    context = zmq.Context()
    yield context
    context.term()


def _ask(context: Any, port: int, request: bytes) -> tuple[dict[str, Any], bytes]:
    with context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.rcvtimeo = 5000
        socket.connect(f"tcp://127.0.0.1:{port}")
        socket.send(request)
        header, data = socket.recv_multipart()
    return json.loads(header), data


def test_who_joins_late_gets_all_rows_and_then_the_new_ones(context: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.arrows"
    server = HistoryServer(path, "tcp://127.0.0.1", generation=0, context=context)
    try:
        header, data = _ask(context, server.port, b'{"offset": 0}')
        assert (header["size"], data) == (0, b"")  # no table yet

        file = ArrowStreamFile(path, {})
        for k in range(30):
            file.put(_rows(1000 * k, 1000))
        feed, got = ArrowDecoder(), []
        while True:
            request = json.dumps({"offset": feed.n_bytes}).encode()
            header, data = _ask(context, server.port, request)
            assert len(data) <= CHUNK_BYTES
            if not data:
                break
            got += feed.feed(data)
        assert sum(len(part) for part in got) == 30_000
        assert not feed.ended

        file.put(_rows(30_000, 5))
        file.close()
        request = json.dumps({"offset": feed.n_bytes}).encode()
        [new] = feed.feed(_ask(context, server.port, request)[1])
    finally:
        server.close()
    assert new.frame.tolist() == list(range(30_000, 30_005))
    assert feed.ended


@pytest.mark.parametrize(
    "request_", [b"", b"{}", b"[1]", b'{"offset": -1}', b'{"offset": "x"}', b"\xff", b"[" * 1000]
)
def test_nothing_else_is_understood(context: Any, tmp_path: Path, request_: bytes) -> None:
    secret = tmp_path / "t.arrows"
    secret.write_bytes(b"rows")
    server = HistoryServer(secret, "tcp://127.0.0.1", generation=3, context=context)
    try:
        header, data = _ask(context, server.port, request_)
        after, rows = _ask(context, server.port, b'{"offset": 0}')
    finally:
        server.close()
    assert "error" in header
    assert data == b""
    assert (after["generation"], rows) == (3, b"rows")


def test_who_is_still_reading_when_the_run_ends_gets_the_rest(context: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.arrows"
    rows = _table(path, [5000] * 20)  # several chunks
    server = HistoryServer(path, "tcp://127.0.0.1", generation=0, context=context)
    feed, got = ArrowDecoder(), []
    with context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.rcvtimeo = 5000
        socket.connect(f"tcp://127.0.0.1:{server.port}")
        closing = threading.Thread(target=server.close)
        while not feed.ended:
            socket.send(json.dumps({"offset": feed.n_bytes}).encode())
            got += feed.feed(socket.recv_multipart()[1])
            if closing.ident is None:
                closing.start()  # after the first chunk
        socket.send(json.dumps({"offset": feed.n_bytes}).encode())
        closing.join()
    assert sum(len(part) for part in got) == len(rows)


def test_a_run_nobody_reads_ends_at_once(context: Any, tmp_path: Path) -> None:
    server = HistoryServer(tmp_path / "t.arrows", "tcp://127.0.0.1", generation=0, context=context)
    started_ns = now_ns()
    server.close()
    assert now_ns() - started_ns < 2_000_000_000
