"""A run folder has one owner: of any number that want it at once, one gets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rtsmlm.errors import ConfigError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.owner import NAME, RunLock, owner_of
from rtsmlm.realtime.process_identity import this_process
from rtsmlm.settings.run import RunSettings

WAIT_S = 60.0

TAKE = """
import sys
from pathlib import Path
from rtsmlm.errors import RtsmlmError
from rtsmlm.files.run.folder import RunFolder
print("ready", flush=True)
sys.stdin.readline()
try:
    folder = RunFolder.create(Path(sys.argv[1]), "run")
except RtsmlmError as error:
    print("refused", error, flush=True)
else:
    print("got it", flush=True)
    sys.stdin.readline()
"""


def start(out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", TAKE, str(out)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def line(process: subprocess.Popen[str], send: str = "") -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    if send:
        process.stdin.write(send)
        process.stdin.flush()
    return process.stdout.readline()


def test_of_several_processes_that_want_a_folder_at_once_one_gets_it(tmp_path: Path) -> None:
    processes = [start(tmp_path) for _ in range(4)]
    try:
        assert [line(p) for p in processes] == ["ready\n"] * 4
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        answers = [line(p) for p in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()

    assert answers.count("got it\n") == 1
    refusals = [answer for answer in answers if answer != "got it\n"]
    assert all("is in use by another run" in answer for answer in refusals)


def test_of_several_threads_that_want_a_folder_at_once_one_gets_it(tmp_path: Path) -> None:
    got: list[RunFolder] = []
    refused: list[str] = []
    gate = threading.Barrier(8)

    def take() -> None:
        gate.wait(WAIT_S)
        try:
            got.append(RunFolder.create(tmp_path, "run"))
        except ConfigError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)

    assert (len(got), len(refused)) == (1, 7)


def test_the_lock_of_a_killed_process_does_not_keep_its_folder(tmp_path: Path) -> None:
    process = start(tmp_path)
    line(process)
    assert line(process, "\n") == "got it\n"
    process.kill()
    process.communicate()

    folder = RunFolder.create(tmp_path, "run")

    owner = owner_of(folder.path)
    assert owner is not None
    assert owner.process == this_process()


def test_a_process_number_that_is_used_again_does_not_keep_a_folder(tmp_path: Path) -> None:
    entries = {"pid": os.getppid(), "host": this_process().host, "started": "long ago", "since": ""}
    (tmp_path / NAME).write_text(json.dumps(entries))

    RunLock(tmp_path).release()

    assert not (tmp_path / NAME).exists()


def test_the_lock_of_another_computer_is_believed_and_the_way_out_named(tmp_path: Path) -> None:
    entries = {"pid": 1, "host": "elsewhere", "started": "", "since": "noon"}
    (tmp_path / NAME).write_text(json.dumps(entries))

    with pytest.raises(ConfigError, match=r"process 1 on elsewhere since noon.*remove run\.lock"):
        RunLock(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"pid": "x"}', "\0\0\0\0"])
def test_a_lock_that_a_power_cut_left_empty_is_taken_over(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    os.utime(tmp_path / NAME, (1e9, 1e9))

    lock = RunLock(tmp_path)

    assert owner_of(tmp_path) is not None
    lock.release()


def test_a_run_that_ends_gives_its_folder_back_and_one_that_is_forgotten_too(
    tmp_path: Path,
) -> None:
    folder = RunFolder.create(tmp_path, "a")
    folder.localizations.write_bytes(b"rows")
    folder.release()
    folder.release()
    assert sorted(p.name for p in folder.path.iterdir()) == ["localizations.arrows"]

    RunFolder.create(tmp_path, "b")
    assert not (tmp_path / "b" / NAME).exists()


def test_a_refused_run_takes_nothing_of_the_one_that_goes_on(
    tmp_path: Path, quick_settings: Callable[..., RunSettings]
) -> None:
    first = RunFolder.create(tmp_path, "run")
    second = RunFolder(tmp_path / "run")
    with pytest.raises(ConfigError, match="in use by another run"):
        second.claim()
    first.write_settings(quick_settings(), {})
    first.raw.mkdir()

    second.discard()
    second.release()

    assert first.settings.exists()
    assert first.raw.exists()
    assert owner_of(first.path) is not None


def test_discarding_keeps_files_that_were_there_before(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir()
    (path / "accounts.reserve").write_text("of the user")
    folder = RunFolder.create(tmp_path, "run")
    folder.localizations.write_bytes(b"header")

    folder.discard()

    assert [p.name for p in path.iterdir()] == ["accounts.reserve"]
