"""Accounts while a run goes on: on the disk within a second or so, and their room kept for them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.errors import SinkError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.report import RunReport
from rtsmlm.files.run.reserve import RESERVE_NAME, AccountsReserve, reserve_bytes
from rtsmlm.files.run.state import run_state
from rtsmlm.pipeline.progress import PipelineProgress
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.session import running_accounts
from rtsmlm.session.notices import Notices
from rtsmlm.session.running_accounts import RunningAccounts

WAIT_S = 20.0


class FramesPath:
    """What the accounts ask of the way of the frames."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder, self.ledger = folder, Ledger()
        self.progress = PipelineProgress(localizations=7, sigma_nm=130.0)
        self.analysis_pid = None
        self.accounts_bytes = 3_000_000


class Rig:
    def __init__(self, tmp_path: Path) -> None:
        self.folder = RunFolder.create(tmp_path, "run")
        self.path = FramesPath(self.folder)
        self.report = RunReport(self.folder.path)
        self.accounts = RunningAccounts(self.path, Notices(self.report))  # type: ignore[arg-type]

    def written(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.folder.ledger.read_text())
        return found


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(running_accounts, "_PERIOD_S", 0.01)
    made = Rig(tmp_path)
    yield made
    made.accounts.stop()
    made.folder.release()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_ledger_is_there_from_the_start_and_follows_the_run(rig: Rig) -> None:
    rig.accounts.start()
    assert rig.written()["state"] == "running"
    assert run_state(rig.folder.path).stage == "running"

    for index in range(5):
        rig.path.ledger.receive(index, queued=True)
    rig.path.ledger.release(2)

    until(lambda: rig.written()["received"] == 5)
    written = rig.written()
    assert written["ranges"]["in_ring"] == [[2, 4]]
    assert written["run"]["localizations"] == 7
    assert written["run"]["psf_sigma_nm"] == 130.0


def test_a_run_whose_owner_is_gone_was_cut(rig: Rig) -> None:
    rig.accounts.start()
    rig.path.ledger.receive(0, queued=True)
    until(lambda: rig.written()["received"] == 1)
    rig.accounts.stop()

    rig.folder.release()

    state = run_state(rig.folder.path)
    assert (state.stage, state.last_frame) == ("cut", 0)


def test_the_room_is_held_until_the_accounts_are_written(rig: Rig) -> None:
    rig.accounts.start()
    held = rig.folder.path / RESERVE_NAME
    assert held.stat().st_size == 3_000_000

    rig.accounts.stop()

    assert not held.exists()


def test_a_disk_that_takes_no_ledger_is_named_once_and_tried_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.accounts.start()
    n_tries = 0

    def full(*_: object) -> None:
        nonlocal n_tries
        n_tries += 1
        raise SinkError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(running_accounts, "write_text", full)
        until(lambda: n_tries > 3)
    rig.path.ledger.receive(0, queued=True)
    until(lambda: rig.written()["received"] == 1)

    [warning] = rig.report.warnings
    assert "the disk is full" in warning


def test_a_disk_without_room_for_the_accounts_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rtsmlm.files.run.reserve.os.fsync", full)

    with pytest.raises(SinkError, match=r"no room for the 4 MB of image and report"):
        AccountsReserve(tmp_path, 4 << 20)

    assert not list(tmp_path.iterdir())


def test_the_room_grows_with_the_picture_and_not_beyond_the_largest() -> None:
    small = reserve_bytes((64, 64), 100.0, 10.0)
    large = reserve_bytes((4096, 4096), 100.0, 5.0)

    assert small < large < 64 << 20
