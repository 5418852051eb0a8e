"""A run read over its stream: all rows once, for a window that joins late, is cut off or slow."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
import zmq.auth

from rtsmlm.errors import ConfigError
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.files.tables.arrow_schema import schema
from rtsmlm.localizations import Localizations
from rtsmlm.stream.history import CHUNK_BYTES, HistoryServer
from rtsmlm.stream.messages import RunMessage
from rtsmlm.stream.publisher import Publisher
from rtsmlm.stream.wire import DENSITY, STATUS
from rtsmlm.viewer.sources import stream_source
from rtsmlm.viewer.sources.stream_inbox import AHEAD_ROWS
from rtsmlm.viewer.sources.stream_source import StreamSource
from rtsmlm.viewer.sources.updates import RunUpdate

PATIENCE_S = 20.0
DENSITY_DATA = {"mean_per_um2": 0.5, "std_per_um2": 0.1, "local_per_um2": None}


def _rows(first: int, n: int) -> Localizations:
    frame = np.arange(first, first + n, dtype=np.int64)
    return Localizations.from_columns({"frame": frame, "x_nm": frame * 1.5, "y_nm": frame * 2.0})


class Run:
    """The part of a run that publishes: stream and history."""

    def __init__(
        self,
        path: Path,
        address: str = "tcp://127.0.0.1:*",
        *,
        name: str = "one",
        generation: int = 0,
        keys: Path | None = None,
        run_id: str | None = None,
    ) -> None:
        about = {"run": name, "shape": [64, 48], "pixel_nm": 100.0, "settings": {"a": 1}}
        self.publisher = Publisher(
            address, schema=schema({}), settings=about, run_id=run_id or name, curve_keys=keys
        )
        self.history = HistoryServer(
            path,
            "tcp://127.0.0.1",
            generation=generation,
            context=self.publisher.context,
            run_id=self.publisher.run_id,
            curve_keys=keys,
        )
        self.publisher.add_to_first_message(history_port=self.history.port)
        self.publisher.start()
        self.address = self.publisher.address

    def close(self) -> None:
        self.history.close()
        self.publisher.close()


def _wait(seconds: float, done: Callable[[], bool] = lambda: False) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Window:
    """Polls, and keeps what comes."""

    def __init__(self, address: str, keys: Path | None = None) -> None:
        self.source = StreamSource(address, keys)
        self.frames: list[int] = []
        self.restarts = 0
        self.last = RunUpdate(connection="waiting")
        self.all: list[RunUpdate] = []

    def poll(self) -> RunUpdate:
        update = self.source.poll()
        if update.restarted:
            self.restarts += 1
            self.frames.clear()
        for rows in update.rows:
            self.frames += rows.frame.tolist()
        self.all.append(update)
        self.last = update
        return update

    def until(self, done: Callable[[], bool]) -> RunUpdate:
        if not _wait(PATIENCE_S, lambda: self.poll() is not None and done()):
            pytest.fail(f"in vain: {self.last.connection}, {len(self.frames)} rows")
        return self.last

    def until_it_is(self, connection: str) -> RunUpdate:
        return self.until(lambda: self.last.connection == connection)

    def until_rows(self, n: int) -> RunUpdate:
        return self.until(lambda: len(self.frames) >= n)


@pytest.fixture
def window() -> Iterator[Callable[..., Window]]:
    opened: list[Window] = []

    def open_window(*arguments: Any) -> Window:
        opened.append(Window(*arguments))
        return opened[-1]

    yield open_window
    for each in opened:
        each.source.close()
        each.source.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(*arguments: Any, **options: Any) -> Run:
        runs.append(Run(*arguments, **options))
        return runs[-1]

    yield start
    for each in runs:
        each.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "localizations.arrows"


def test_who_joins_late_gets_all_rows_once_and_the_end(
    path: Path, window: Callable[..., Window], run: Callable[..., Run]
) -> None:
    file = ArrowStreamFile(path, {})
    for k in range(300):  # more than is fetched ahead of what the window takes
        file.put(_rows(1000 * k, 1000))
    assert path.stat().st_size > 10 * CHUNK_BYTES
    one = run(path)
    late = window(one.address)
    late.until_rows(300_000)
    assert late.last.run == RunMessage(
        run_id="one", run="one", shape=(64, 48), pixel_nm=100.0, history_port=one.history.port
    )
    assert late.source.name == f"one at {one.address}"
    assert any(update.behind_bytes > 0 for update in late.all)

    file.put(_rows(300_000, 5))
    late.until_rows(300_005)
    assert late.last.connection == "live"
    file.close()
    late.until_it_is("ended")
    assert late.frames == list(range(300_005))
    assert late.last.behind_bytes == 0
    assert late.restarts == 0


def test_a_run_that_starts_later_is_waited_for(
    path: Path, window: Callable[..., Window], run: Callable[..., Run]
) -> None:
    first = Run(path)
    first.close()
    early = window(first.address)
    _wait(0.3)
    assert early.poll().connection == "waiting"
    run(path, first.address)
    assert early.until_it_is("live").rows == []


def test_a_cut_connection_is_said_and_rows_go_on_where_they_were(
    path: Path, window: Callable[..., Window], run: Callable[..., Run]
) -> None:
    file = ArrowStreamFile(path, {})
    file.put(_rows(0, 500))
    first = Run(path)
    one = window(first.address)
    one.until_rows(500)
    first.close()
    one.until_it_is("lost")
    file.put(_rows(500, 700))

    run(path, first.address)
    one.until_rows(1200)
    one.until_it_is("live")
    assert one.frames == list(range(1200))
    assert one.restarts == 0
    file.close()


def test_a_table_that_was_cut_comes_again_from_its_first_row(
    path: Path, window: Callable[..., Window], run: Callable[..., Run]
) -> None:
    file = ArrowStreamFile(path, {})
    file.put(_rows(0, 500))
    file.put(_rows(500, 500))
    first = Run(path)
    one = window(first.address)
    one.until_rows(1000)
    first.close()
    file._file.close()
    with ArrowStreamFile.resume(path, 500) as file:
        file.put(_rows(500, 10))
        run(path, first.address, generation=500)
        one.until(lambda: one.restarts == 1 and len(one.frames) == 510)
    assert one.frames == list(range(510))
    one.until_it_is("ended")
    assert one.restarts == 1


def test_a_table_with_other_bytes_comes_again_even_under_the_same_generation(
    path: Path, window: Callable[..., Window], run: Callable[..., Run]
) -> None:
    with ArrowStreamFile(path, {}) as file:
        for k in range(10):
            file.put(_rows(30 * k, 30))
    length = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-8])
    first = Run(path)
    one = window(first.address)
    one.until_rows(300)
    first.close()
    with ArrowStreamFile(path, {}) as file:
        for k in range(10):
            file.put(_rows(7000 + 30 * k, 30))
    assert path.stat().st_size == length
    run(path, first.address)
    one.until_it_is("ended")
    assert one.restarts == 1
    assert one.frames == list(range(7000, 7300))


def test_another_run_at_the_same_address_begins_anew(
    tmp_path: Path,
    path: Path,
    window: Callable[..., Window],
    run: Callable[..., Run],
    status: Callable[..., Any],
) -> None:
    with ArrowStreamFile(path, {}) as file:
        file.put(_rows(0, 300))
    first = Run(path)
    one = window(first.address)
    one.until_it_is("ended")
    first.publisher.publish_json(STATUS, status(backlog=1))
    first.close()
    other = tmp_path / "other.arrows"
    with ArrowStreamFile(other, {}) as file:
        file.put(_rows(9000, 50))
        run(other, first.address, name="two")
        one.until(lambda: one.restarts == 1 and len(one.frames) == 50)
        assert one.last.run is not None
        assert one.last.run.run == "two"
        assert one.last.connection == "live"
        assert one.source.name.startswith("two at ")


def test_two_runs_of_one_name_on_one_port_are_never_mixed(
    tmp_path: Path,
    path: Path,
    window: Callable[..., Window],
    run: Callable[..., Run],
    status: Callable[..., Any],
) -> None:
    with ArrowStreamFile(path, {}) as file:
        file.put(_rows(0, 300))
        first = Run(path, run_id="a")
        one = window(first.address)
        one.until_rows(300)
        first.close()
    other = tmp_path / "other.arrows"
    with ArrowStreamFile(other, {}) as file:
        file.put(_rows(9000, 50))
        second = run(other, first.address, run_id="b")
        one.until(lambda: one.restarts == 1 and len(one.frames) == 50)
        second.publisher._send([b"status", json.dumps(status(run_id="a", backlog=7)).encode()])
        second.publisher.publish_json(STATUS, status(backlog=8))
        update = one.until(lambda: one.last.status is not None)
        assert update.status is not None
        assert update.status.backlog == 8, "a status of the first run is dropped"
        assert one.frames == list(range(9000, 9050))
        [problem] = [update.problem for update in one.all if update.problem is not None]
        assert problem.startswith("another run has begun on tcp://127.0.0.1:")


def test_a_window_of_one_run_shows_no_other_and_names_it(
    path: Path, run: Callable[..., Run], status: Callable[..., Any]
) -> None:
    with ArrowStreamFile(path, {}) as file:
        file.put(_rows(0, 300))
    other = run(path, name="theirs")
    own = StreamSource(other.address, only_run_id="mine")
    try:
        update = RunUpdate(connection="waiting")
        problems: list[str] = []

        def is_named() -> bool:
            nonlocal update
            other.publisher.publish_json(STATUS, status())
            update = own.poll()
            assert update.status is None
            assert not update.rows
            problems.extend([update.problem] if update.problem else [])
            return bool(problems)

        assert _wait(PATIENCE_S, is_named)
        assert problems[0].startswith("another program publishes the run theirs on tcp://127.0.0.1")
        assert update.connection == "waiting"
        assert update.run is None
    finally:
        own.close()


def test_rows_of_another_run_s_history_are_refused(
    tmp_path: Path, path: Path, window: Callable[..., Window], run: Callable[..., Run]
) -> None:
    other = tmp_path / "other.arrows"
    for table in (path, other):
        with ArrowStreamFile(table, {}) as file:
            file.put(_rows(0, 30))
    theirs = run(other, name="theirs")
    mine = Publisher("tcp://127.0.0.1:*", schema=schema({}), run_id="mine", settings={
        "run": "mine", "shape": [64, 48], "pixel_nm": 100.0,
    })  # fmt: skip
    mine.add_to_first_message(history_port=theirs.history.port)
    mine.start()
    try:
        one = window(mine.address)
        one.until(lambda: any(update.problem for update in one.all))
        assert one.frames == []
        problems = [update.problem for update in one.all if update.problem]
        assert problems[0] == f"the history on port {theirs.history.port} is of another run"
    finally:
        mine.close()


def test_of_frames_and_status_only_the_newest_is_kept_and_of_densities_all(
    path: Path,
    window: Callable[..., Window],
    run: Callable[..., Run],
    status: Callable[..., Any],
) -> None:
    one = run(path)
    seer = window(one.address)
    seer.until_it_is("live")
    seer.until(lambda: one.publisher.frame_is_wanted)
    for k in range(30):
        one.publisher.show(np.full((8, 6), k, np.uint16), 10 * k, 2)
        one.publisher.publish_json(STATUS, status(backlog=k))
        one.publisher.publish_json(DENSITY, DENSITY_DATA | {"last_frame": k})
    _wait(0.5)
    update = seer.poll()
    assert update.frame is not None
    assert (update.frame.index, update.frame.binning) == (290, 2)
    assert np.array_equal(update.frame.pixels, np.full((8, 6), 29))
    assert update.status is not None
    assert update.status.backlog == 29
    assert [entry.last_frame for entry in update.densities] == list(range(30))
    empty = seer.poll()
    assert (empty.frame, empty.status, empty.densities) == (None, None, ())


def test_a_window_that_never_looks_costs_bounded_memory_and_loses_no_row(
    path: Path, window: Callable[..., Window], run: Callable[..., Run]
) -> None:
    n = 20 * (CHUNK_BYTES // 1000)
    file = ArrowStreamFile(path, {})
    for k in range(n // 50):
        file.put(_rows(20 * 50 * k, 1000))
    total = n // 50 * 1000
    assert total > 3 * AHEAD_ROWS
    one = run(path)
    slow = window(one.address)
    assert _wait(PATIENCE_S, lambda: slow.source._inbox._n_rows >= AHEAD_ROWS)
    for k in range(3000):
        one.publisher.publish_json(DENSITY, DENSITY_DATA | {"last_frame": k})
        if k % 50 == 0:
            _wait(0.01)
    waiting = slow.source._inbox._n_rows
    assert AHEAD_ROWS <= waiting <= AHEAD_ROWS + CHUNK_BYTES // 40
    assert len(slow.source._inbox._densities) <= 1000

    first = slow.source.poll(most_rows=1000)
    taken = sum(map(len, first.rows))
    assert 1000 <= taken <= CHUNK_BYTES // 40
    slow.until_rows(total - taken)
    file.close()
    slow.until_it_is("ended")
    assert len(slow.frames) == total - taken
    assert slow.restarts == 0


def test_silence_is_said_and_ends(
    path: Path,
    window: Callable[..., Window],
    run: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_source, "SILENT_S", 0.3)
    one = run(path)
    quiet = window(one.address)
    quiet.until_it_is("live")
    quiet.until_it_is("silent")  # though the history answers all the time
    one.publisher.publish_json(DENSITY, DENSITY_DATA | {"last_frame": 1})
    quiet.until_it_is("live")


def test_the_end_is_reached_where_the_stream_states_it_and_no_row_is_missing(
    path: Path, window: Callable[..., Window], run: Callable[..., Run]
) -> None:
    file = ArrowStreamFile(path, {})
    file.put(_rows(0, 100))
    one = run(path)
    late = window(one.address)
    late.until_rows(100)
    file.put(_rows(100, 11))
    one.publisher.end({"localizations": 111})
    late.until_it_is("ended")
    assert late.frames == list(range(111))
    file.close()


def test_rows_that_the_stream_states_and_the_history_does_not_give_are_missed(
    path: Path, window: Callable[..., Window]
) -> None:
    file = ArrowStreamFile(path, {})
    file.put(_rows(0, 100))
    one = Run(path)
    late = window(one.address)
    late.until_rows(100)
    one.history.close()
    file.put(_rows(100, 11))
    file.close()
    one.publisher.end({"localizations": 111})
    one.close()
    _wait(0.3)
    late.until_it_is("lost")
    assert late.frames == list(range(100))


def test_who_could_not_read_to_the_end_is_not_told_that_it_is_all(
    path: Path, window: Callable[..., Window]
) -> None:
    file = ArrowStreamFile(path, {})
    for k in range(300):
        file.put(_rows(1000 * k, 1000))
    file.close()
    one = Run(path)
    slow = window(one.address)
    assert _wait(PATIENCE_S, lambda: slow.source._inbox._n_rows >= AHEAD_ROWS)
    one.publisher.end({})
    one.close()
    _wait(0.3)
    slow.until_it_is("lost")
    assert slow.last.behind_bytes > 0
    assert AHEAD_ROWS <= len(slow.frames) < 300_000


def test_a_history_that_does_not_answer_is_lost(
    path: Path, window: Callable[..., Window], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_source, "_ANSWER_S", 0.2)
    one = Run(path)
    one.history.close()
    try:
        window(one.address).until_it_is("lost")
    finally:
        one.close()


def test_bytes_that_are_no_table_are_lost_and_nothing_dies(
    path: Path, window: Callable[..., Window], run: Callable[..., Run]
) -> None:
    path.write_bytes(b"no table at all, but long enough to look at" * 4)
    one = run(path)
    puzzled = window(one.address)
    puzzled.until_it_is("lost")
    assert puzzled.source._worker.alive
    assert puzzled.frames == []


def test_messages_that_are_not_understood_are_left_out_and_named(
    path: Path,
    window: Callable[..., Window],
    run: Callable[..., Run],
    status: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = run(path)
    calm = window(one.address)
    calm.until_it_is("live")
    for parts in (
        [b"status", b"{"],
        [b"density"],
        [b"density", b"{}"],
        [b"frame", json.dumps({"index": 1, "shape": [9, 9], "binning": 1}).encode(), b"xy"],
        [b"settings[]"],
        [b'settings"run"'],
        [b"end"],
        [b"end", b"[]"],
        *[[b"status", json.dumps(status(run_id="one", totals=[])).encode()]] * 5,
        [b"status", json.dumps(status(run_id="one", backlog=5)).encode()],
    ):
        one.publisher._send(parts)
    calm.until(lambda: calm.last.status is not None and calm.last.status.backlog == 5)
    assert calm.source._worker.alive
    problems = [update.problem for update in calm.all if update.problem is not None]
    assert problems, "the window shows what it could not read"
    assert caplog.text.count("the status of the run cannot be read: totals") == 1


def test_keys_open_both_sockets(
    tmp_path: Path, path: Path, window: Callable[..., Window], run: Callable[..., Run]
) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    for who in ("server", "client"):
        zmq.auth.create_certificates(keys, who)
    with ArrowStreamFile(path, {}) as file:
        file.put(_rows(0, 40))
    one = run(path, keys=keys)
    known, unknown = window(one.address, keys), window(one.address)
    known.until_it_is("ended")
    assert known.frames == list(range(40))
    assert unknown.poll().connection == "waiting"
    with pytest.raises(ConfigError, match="cannot be read"):
        StreamSource(one.address, tmp_path / "no keys")


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match="cannot listen to nowhere"):
        StreamSource("nowhere")


def test_importing_it_loads_no_qt() -> None:
    code = (
        "import sys, rtsmlm.viewer.sources.stream_source, rtsmlm.viewer.sources.folder_source, "
        "rtsmlm.viewer.series; "
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('PySide6', 'PyQt6', 'PyQt5', 'qtpy', 'pyqtgraph')])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
