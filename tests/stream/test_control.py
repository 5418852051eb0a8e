"""Lasers off from another program of the user: only with the token, only that, whatever floods."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.errors import ConfigError
from rtsmlm.realtime.process_identity import ProcessIdentity, this_host, this_process
from rtsmlm.stream.control import ControlServer
from rtsmlm.stream.control_files import ControlEntry, check_private, entries, remove_stale
from rtsmlm.stream.lasers_off import lasers_off

PATIENCE_S = 10.0


class Run:
    """A server, and how often its lasers were switched off."""

    def __init__(self, folder: Path, run_id: str, act: Callable[[str], None] | None = None) -> None:
        self.reasons: list[str] = []
        self.warnings: list[str] = []
        self.folder = folder
        self.server = ControlServer(
            run_id, act or self.reasons.append, self.warnings.append, run=f"run {run_id}",
            folder=folder,
        )  # fmt: skip
        self.server.start()

    @property
    def entry(self) -> ControlEntry:
        [found] = [entry for entry in entries(self.folder) if entry.port]
        return found

    def send(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.entry.port), PATIENCE_S) as connection:
            connection.settimeout(PATIENCE_S)
            connection.sendall(request)
            answer = b""
            try:
                while part := connection.recv(4096):
                    answer += part
            except ConnectionResetError:
                pass
            return answer


Start = Callable[..., Run]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "private"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    runs: list[Run] = []

    def make(run_id: str = "a1", act: Callable[[str], None] | None = None) -> Run:
        runs.append(Run(folder, run_id, act))
        return runs[-1]

    yield make
    for run in runs:
        run.server.close()
        run.server.close()


def test_every_armed_run_of_the_user_is_switched_off_and_confirms(
    start: Start, folder: Path
) -> None:
    one, other = start("a1"), start("b2")

    answers = lasers_off(folder=folder)

    assert [answer.text for answer in answers] == [
        "run run a1: lasers off", "run run b2: lasers off",
    ]  # fmt: skip
    assert all(answer.is_off for answer in answers)
    assert len(one.reasons) == len(other.reasons) == 1
    assert one.warnings == other.warnings == []


def test_one_run_can_be_named_and_the_other_goes_on(start: Start, folder: Path) -> None:
    one, other = start("a1"), start("b2")

    assert len(lasers_off("b2", folder=folder)) == 1

    assert (len(one.reasons), len(other.reasons)) == (0, 1)


def test_without_an_armed_run_nothing_is_asked(folder: Path) -> None:
    assert lasers_off(folder=folder) == []


def test_a_laser_that_does_not_go_off_is_reported(start: Start, folder: Path) -> None:
    def fail(reason: str) -> None:
        raise RuntimeError("the port hangs")

    start("a1", fail)

    [answer] = lasers_off(folder=folder)

    assert not answer.is_off
    assert answer.text == "run run a1: the lasers may be on: RuntimeError: the port hangs"


def test_a_run_that_does_not_answer_is_reported_with_its_process(
    start: Start, folder: Path
) -> None:
    release = threading.Event()
    start("a1", lambda reason: release.wait(PATIENCE_S) and None)
    try:
        [answer] = lasers_off(timeout_s=0.3, folder=folder)
    finally:
        release.set()

    assert not answer.is_off
    assert f"end the process {os.getpid()}" in answer.text


@pytest.mark.parametrize(
    "request_",
    [
        b"", b"\n", b"{}\n", b"null\n", b"[]\n", b"\xff\xfe\n", b"[" * 900 + b"\n",
        b'{"token": 1, "command": "lasers_off"}\n',
        b'{"token": null, "command": null}\n',
        b'{"token": "", "command": "lasers_off"}\n',
        b'{"token": "\\ud800", "command": "lasers_off"}\n',
        b'{"token": "\xc3\xa9", "command": "lasers_off"}\n',
        b'{"token": 1e999, "command": Infinity}\n',
        b'{"command": "lasers_off"}\n',
        b"x" * 100_000,
    ],
)  # fmt: skip
def test_without_the_token_nothing_happens_and_it_is_counted(
    start: Start, request_: bytes, folder: Path
) -> None:
    run = start()
    if request_:
        run.send(request_)
    else:
        socket.create_connection(("127.0.0.1", run.entry.port)).close()
    deadline = time.monotonic() + PATIENCE_S
    while not run.server.refused and time.monotonic() < deadline:
        time.sleep(0.01)

    assert run.server.refused == 1
    assert run.reasons == []
    assert len(run.warnings) == 1
    assert lasers_off(folder=folder)[0].is_off, "and a right request is still taken"


@pytest.mark.parametrize("command", ["lasers_on", "stop", "LASERS_OFF", "lasers_off ", ""])
def test_with_the_token_nothing_but_lasers_off_is_taken(start: Start, command: str) -> None:
    run = start()

    answer = run.send(json.dumps({"token": run.entry.token, "command": command}).encode() + b"\n")

    assert json.loads(answer)["ok"] is False
    assert run.reasons == []


def test_a_request_with_more_in_it_is_refused(start: Start) -> None:
    run = start()
    data = {"token": run.entry.token, "command": "lasers_off", "power_mw": 100}

    assert json.loads(run.send(json.dumps(data).encode() + b"\n"))["ok"] is False
    assert run.reasons == []


def test_the_file_is_for_this_user_alone_and_gone_after_the_run(start: Start, folder: Path) -> None:
    run = start()
    [path] = folder.iterdir()
    if hasattr(os, "geteuid"):
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(run.entry.token)) == 32

    run.server.close()

    assert list(folder.iterdir()) == []


def test_files_of_dead_processes_are_removed_at_the_next_start(start: Start, folder: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    dead = ProcessIdentity(int(child.stdout), this_host(), "long ago")
    ControlEntry("dead", "old", 1, "00", dead).write(folder)
    (folder / "torn.control.json").write_text('{"run_id": ')

    start("a1")

    assert [path.name for path in folder.iterdir()] == ["a1.control.json"]


def test_a_number_used_again_is_not_taken_for_the_process_that_had_it(folder: Path) -> None:
    here = this_process()
    if not here.started:
        pytest.skip("the start of a process is not known here")
    ControlEntry("old", "old", 1, "00", ProcessIdentity(here.pid, here.host, "x")).write(folder)

    assert entries(folder) == []
    remove_stale(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="modes are of POSIX")
def test_a_file_or_folder_that_others_can_enter_is_not_trusted(start: Start, folder: Path) -> None:
    start("a1")
    [path] = folder.iterdir()
    path.chmod(0o644)
    assert entries(folder) == []
    check_private(folder)
    folder.chmod(0o755)
    with pytest.raises(ConfigError, match="of this user alone"):
        check_private(folder)
    folder.chmod(0o700)
    (folder.parent / "link").symlink_to(folder)
    with pytest.raises(ConfigError, match="of this user alone"):
        check_private(folder.parent / "link")


def test_where_it_cannot_listen_the_run_goes_on_and_the_user_knows(tmp_path: Path) -> None:
    run = Run(tmp_path / "there is none", "a1")

    [warning] = run.warnings
    assert warning.startswith("rtsmlm lasers-off cannot reach this run: ")
    run.server.close()


def test_no_message_ends_it(start: Start, folder: Path, foreign: Any) -> None:
    run = start()
    rng = random.Random(8)
    right = json.dumps({"token": "0" * 64, "command": "lasers_off"}).encode()
    for parts in foreign.requests(seed=9, n=foreign.count):
        data = foreign.mutated(rng, right) if rng.random() < 0.5 else b"".join(parts)
        peer = socket.create_connection(("127.0.0.1", run.entry.port), PATIENCE_S)
        with peer, contextlib.suppress(OSError):
            peer.sendall(data + rng.choice((b"", b"\n")))

    assert lasers_off(folder=folder, timeout_s=PATIENCE_S)[0].is_off
    assert len(run.reasons) == 1
    assert len(run.warnings) == 1, "the first one that was refused"


def _flood(port: int, stop: threading.Event, kind: str) -> None:
    held: list[socket.socket] = []
    while not stop.is_set():
        try:
            connection = socket.create_connection(("127.0.0.1", port), 1)
            if kind == "requests":
                connection.sendall(b'{"token": "00", "command": "lasers_off"}\n')
                connection.close()
            else:
                held.append(connection)
                if len(held) > 300:
                    held.pop(0).close()
        except OSError:
            stop.wait(0.001)
    for connection in held:
        connection.close()


@pytest.mark.parametrize("kind", ["requests", "connections"])
def test_a_flood_of_wrong_requests_does_not_keep_a_right_one_waiting(
    start: Start, folder: Path, kind: str
) -> None:
    run = start()
    stop = threading.Event()
    floods = [threading.Thread(target=_flood, args=(run.entry.port, stop, kind)) for _ in range(3)]
    for flood in floods:
        flood.start()
    try:
        time.sleep(0.3)
        took_s = []
        for _ in range(20):
            begin_s = time.monotonic()
            [answer] = lasers_off(folder=folder, timeout_s=PATIENCE_S)
            took_s.append(time.monotonic() - begin_s)
            assert answer.is_off
    finally:
        stop.set()
        for flood in floods:
            flood.join()

    assert len(run.reasons) == 20
    assert sorted(took_s)[10] < 0.25, "the flood is in this process, too: the middle counts"
