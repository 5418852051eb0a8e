"""Written files are forced to the disk: in order, at a bounded rate, off the thread that writes."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rtsmlm.files.run import disk_sync
from rtsmlm.files.run.disk_sync import DiskSync, sync_file, sync_folder


def quiet(text: str) -> None:
    pytest.fail(text)


class Disk:
    """Notes what is forced to the disk, in its order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.forced: list[Path] = []
        self.threads: set[str] = set()
        monkeypatch.setattr(disk_sync, "sync_file", self._note)
        monkeypatch.setattr(disk_sync, "sync_folder", self._note)

    def _note(self, path: Path) -> None:
        self.forced.append(path)
        self.threads.add(threading.current_thread().name)


def wait_until(fact: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_file_is_forced_after_those_that_were_written_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, sync = Disk(monkeypatch), DiskSync("t", quiet)
    pixels, index = tmp_path / "pixels", tmp_path / "index"

    for path in (pixels, index, tmp_path / "next", index):
        sync.changed(path)
    sync.sync()

    assert disk.forced == [pixels, tmp_path / "next", index]


def test_a_new_file_is_forced_with_the_folders_that_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, sync = Disk(monkeypatch), DiskSync("t", quiet)
    file = tmp_path / "run" / "c" / "0"

    sync.created(file, tmp_path / "run")
    sync.sync()

    assert disk.forced == [file, tmp_path / "run" / "c", tmp_path / "run"]


def test_nothing_is_forced_twice_for_one_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, sync = Disk(monkeypatch), DiskSync("t", quiet)
    sync.changed(tmp_path / "a")

    sync.sync()
    sync.sync()

    assert disk.forced == [tmp_path / "a"]
    assert sync.n_rounds == 1


def test_a_thousand_changes_are_a_few_rounds_in_a_thread_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)

    with DiskSync("table-sync", quiet, period_s=0.05) as sync:
        for _ in range(1000):
            sync.changed(tmp_path / "a")
            time.sleep(0.0001)
        wait_until(lambda: sync.n_rounds > 0)
        n_rounds = sync.n_rounds

    assert 1 <= n_rounds < 100
    assert disk.threads == {"rtsmlm-table-sync"}


def test_what_was_written_last_is_forced_before_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)

    with DiskSync("t", quiet, period_s=60) as sync:
        sync.changed(tmp_path / "last")

    assert disk.forced == [tmp_path / "last"]


def test_a_disk_that_does_not_confirm_is_warned_of_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    tried: list[Path] = []

    def broken(path: Path) -> None:
        tried.append(path)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk_sync, "sync_file", broken)
    sync = DiskSync("t", warnings.append)

    for _ in range(3):
        sync.changed(tmp_path / "a")
        sync.sync()

    assert len(tried) == 3
    (text,) = warnings
    assert str(tmp_path / "a") in text
    assert "Input/output error" in text


def test_real_files_and_folders_are_forced(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"pixels")

    sync_file(file)
    sync_folder(tmp_path)

    assert file.read_bytes() == b"pixels"


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_file(tmp_path / "gone")


def test_windows_is_not_asked_to_force_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("a folder was opened"))

    sync_folder(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="opens a folder")
@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_share_that_forces_no_folders_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, "not for folders")

    monkeypatch.setattr(os, "fsync", refuse)

    sync_folder(tmp_path)
