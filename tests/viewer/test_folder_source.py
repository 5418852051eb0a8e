"""A run folder, over or still growing, gives every row once and what its files tell."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.laser_log import LaserLog
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.localizations import Localizations
from rtsmlm.stream.messages import RunMessage
from rtsmlm.stream.settings_part import SettingsPart
from rtsmlm.viewer.series import RunSeries
from rtsmlm.viewer.sources import folder_source
from rtsmlm.viewer.sources.folder_source import FolderSource
from rtsmlm.viewer.sources.updates import RunUpdate

METADATA = {"run": "one", "shape": [64, 48], "pixel_nm": 100.0}


def _rows(first: int, n: int) -> Localizations:
    frame = np.arange(first, first + n, dtype=np.int64)
    return Localizations.from_columns({"frame": frame, "x_nm": frame * 1.5, "y_nm": frame * 2.0})


@pytest.fixture(autouse=True)
def read_the_files_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_source, "_FILES_S", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "one")
    folder.make()
    return folder


class Window:
    """Polls, and keeps what comes."""

    def __init__(self, path: Path) -> None:
        self.source = FolderSource(path)
        self.frames: list[int] = []
        self.restarts = 0
        self.densities: list[Any] = []
        self.status: Any = None

    def poll(self, most_rows: int = 100_000) -> RunUpdate:
        update = self.source.poll(most_rows)
        if update.restarted:
            self.restarts += 1
            self.frames.clear()
        for rows in update.rows:
            self.frames += rows.frame.tolist()
        self.densities += update.densities
        self.status = update.status or self.status
        return update

    def until(self, done: Callable[[RunUpdate], bool]) -> RunUpdate:
        deadline = time.monotonic() + 20
        while not done(update := self.poll()):
            if time.monotonic() > deadline:
                pytest.fail(f"in vain: {update.connection}, {len(self.frames)} rows")
        return update


def test_a_finished_run_gives_all_its_rows_and_ends(folder: RunFolder) -> None:
    with ArrowStreamFile(folder.localizations, METADATA) as file:
        for k in range(300):
            file.put(_rows(100 * k, 100))
    folder.settings.write_text(
        '[camera]\npixel_nm = 100.0\n[run]\nwarnings = ["dim"]\nfailures = []\n', encoding="utf-8"
    )
    folder.write_json(folder.ledger, {"camera": 900, "localized": 600, "balances": True})
    folder.write_json(folder.latency, {"total": {"p50": 4.5, "p99": 9.0}})
    folder.write_json(folder.validity, {"verdict": "model ok"})
    window = Window(folder.path)
    update = window.until(lambda update: update.connection == "ended")

    assert window.frames == list(range(30_000))
    assert update.behind_bytes == 0
    assert update.run == RunMessage(run="one", shape=(64, 48), pixel_nm=100.0)
    assert window.source.name == "one"
    status = window.status
    assert status.totals.camera == 900
    assert (status.p50_ms, status.p99_ms, status.model) == (4.5, 9.0, "model ok")
    assert status.warnings == ("dim",)
    assert status.loop is None
    assert status.resolution is None, "the window measures it"
    assert window.poll().rows == []
    window.source.close()
    window.source.close()


def test_rows_that_can_be_no_localizations_are_counted_once_in_the_window(
    folder: RunFolder,
) -> None:
    rows = _rows(0, 50)
    rows.x_nm[7] = np.nan
    with ArrowStreamFile(folder.localizations, METADATA) as file:
        file.put(rows)
    window = Window(folder.path)

    problems = [window.poll().problem for _ in range(4)]

    assert len(window.frames) == 49
    [told] = [problem for problem in problems if problem]
    assert "1 of 50 rows" in told
    assert "row 8 has frame 7, x_nm nan" in told


def test_no_poll_takes_more_rows_than_asked_for_by_more_than_a_piece(folder: RunFolder) -> None:
    with ArrowStreamFile(folder.localizations, METADATA) as file:
        for k in range(300):
            file.put(_rows(100 * k, 100))
    window = Window(folder.path)
    sizes = []
    behind = []
    for _ in range(100):
        update = window.poll(most_rows=1000)
        sizes.append(sum(map(len, update.rows)))
        behind.append(update.behind_bytes)
        if update.connection == "ended":
            break
    assert sum(sizes) == 30_000
    assert max(sizes) <= 1000 + (folder_source._PIECE_BYTES // 40)
    assert len([n for n in sizes if n]) > 3
    assert behind == sorted(behind, reverse=True)
    assert behind[0] > 0


def test_a_growing_table_is_followed_and_a_torn_tail_waits_for_its_rest(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_source, "SILENT_S", 0.2)
    window = Window(folder.path)
    assert window.poll().connection == "waiting"
    file = ArrowStreamFile(folder.localizations, METADATA)
    for k in range(20):
        file.put(_rows(10 * k, 10))
        assert window.poll().connection == "live"
        assert window.frames == list(range(10 * k + 10))
    window.until(lambda update: update.connection == "silent")
    file.put(_rows(200, 50))
    file.close()

    whole = folder.localizations.read_bytes()
    torn = Window(folder.path)
    folder.localizations.write_bytes(whole[:-500])
    update = torn.until(lambda update: update.connection == "silent")
    assert torn.frames == list(range(200))
    assert update.behind_bytes == 0
    folder.localizations.write_bytes(whole)
    torn.until(lambda update: update.connection == "ended")
    assert torn.frames == list(range(250))
    assert torn.restarts == 0


def test_a_killed_run_that_has_its_accounts_is_over(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_source, "SILENT_S", 0.1)
    with ArrowStreamFile(folder.localizations, METADATA) as file:
        file.put(_rows(0, 100))
        file.put(_rows(100, 100))
    folder.localizations.write_bytes(folder.localizations.read_bytes()[:-300])
    folder.write_json(folder.ledger, {"camera": 200, "localized": 200})
    window = Window(folder.path)
    window.until(lambda update: update.connection == "ended")
    assert window.frames == list(range(100))


@pytest.mark.parametrize("before_frame", [0, 50, 95])
def test_a_table_that_was_cut_and_grows_again_comes_from_its_first_row(
    folder: RunFolder, before_frame: int
) -> None:
    with ArrowStreamFile(folder.localizations, METADATA) as file:
        for k in range(10):
            file.put(_rows(10 * k, 10))
    window = Window(folder.path)
    window.until(lambda update: update.connection == "ended")
    with ArrowStreamFile.resume(folder.localizations, before_frame) as file:
        kept = file.n_rows
        # As long as before, or longer: only the bytes tell.
        for k in range(20):
            file.put(_rows(1000 + 10 * k, 10))
    window.until(lambda update: update.connection == "ended" and window.restarts == 1)
    assert window.frames == [*range(kept), *range(1000, 1200)]


def test_a_shortened_table_is_seen_even_before_it_grows(folder: RunFolder) -> None:
    with ArrowStreamFile(folder.localizations, METADATA) as file:
        file.put(_rows(0, 100))
        file.put(_rows(100, 100))
    window = Window(folder.path)
    window.until(lambda update: update.connection == "ended")
    file = ArrowStreamFile.resume(folder.localizations, 150)
    window.until(lambda update: window.restarts == 1 and len(window.frames) == 100)
    file.put(_rows(100, 3))
    file.close()
    window.until(lambda update: update.connection == "ended")
    assert window.frames == list(range(103))
    assert window.restarts == 1


def test_bytes_that_are_no_table_are_lost_until_there_is_one(folder: RunFolder) -> None:
    folder.localizations.write_bytes(b"something else " * 20)
    window = Window(folder.path)
    assert window.poll().connection == "lost"
    assert window.poll().connection == "lost"
    with ArrowStreamFile(folder.localizations, METADATA) as file:
        file.put(_rows(0, 10))
    window.until(lambda update: update.connection == "ended")
    assert window.frames == list(range(10))


def test_a_table_that_vanishes_is_lost_and_its_rows_stay(folder: RunFolder) -> None:
    with ArrowStreamFile(folder.localizations, METADATA) as file:
        file.put(_rows(0, 10))
    window = Window(folder.path)
    window.until(lambda update: update.connection == "ended")
    folder.localizations.unlink()
    update = window.poll()
    assert (update.connection, update.restarted) == ("lost", False)
    assert window.frames == list(range(10))


def _tick(frame: int, sent: float, kind: str = "command") -> dict[str, Any]:
    return {
        "t_s": frame / 50 + 0.01,
        "actuator": "activation",
        "kind": kind,
        "wanted": sent * 1.1,
        "sent": sent,
        "unit": "mW",
        "dose": frame * 0.1,
        "frame": frame,
        "latency_ms": 10.0,
        "estimate_per_um2": 0.5 + frame / 1000,
        "std_per_um2": 0.05,
        "target_per_um2": 0.6,
        "state": "steer",
        "reason": "too few, of the target",
    }


def test_lasers_and_densities_come_from_the_audit_while_it_grows(folder: RunFolder) -> None:
    window = Window(folder.path)
    log = LaserLog(folder.lasers)
    base = {"actuator": "readout", "unit": "mW", "dose": 0.0}
    log.write({**base, "t_s": 0.1, "kind": "arm", "sent": 0.0, "reason": "1 to 90 mW"})
    log.write({**base, "t_s": 0.2, "kind": "command", "wanted": 84.0, "sent": 84.0})
    log.write({"t_s": 0.3, "actuator": "z stage", "kind": "command", "sent": 2.0, "unit": "um"})
    for k in range(3):
        log.write(_tick(100 * k + 99, 1.0 + k))
    window.poll()
    assert [entry.last_frame for entry in window.densities] == [99, 199, 299]
    assert window.densities[1].powers == {"activation": 2.0, "readout": 84.0}
    assert window.densities[2].mean_per_um2 == pytest.approx(0.799)
    assert window.densities[2].t_exposure_end_ns == pytest.approx(299 / 50 * 1e9)
    assert window.status.loop.power == 3.0
    assert window.status.loop.state == "steer"
    assert window.status.loop.armed
    assert window.status.loop.tripped is None

    half = b"2026-01-01,9.0,activation,trip,,0,mW,,1,,,,,,,too"
    size = folder.lasers.stat().st_size
    log.write({**_tick(399, 0.0, "trip"), "frame": None, "reason": "too hot"})
    log.close()
    whole = folder.lasers.read_bytes()
    folder.lasers.write_bytes(whole[:size] + half)  # a row that is being written
    window.poll()
    assert window.status.loop.tripped is None
    folder.lasers.write_bytes(whole)
    window.poll()
    assert window.status.loop.tripped == "too hot"
    assert window.status.loop.power == 0.0
    assert len(window.densities) == 3


def test_the_audit_of_a_finished_run_makes_curves(folder: RunFolder) -> None:
    log = LaserLog(folder.lasers)
    for k in range(40):
        log.write(_tick(100 * k + 99, 1.0 + k))
    log.close()
    with ArrowStreamFile(folder.localizations, METADATA) as file:
        file.put(_rows(0, 5000))
    curves = RunSeries()
    source = FolderSource(folder.path)
    for _ in range(20):
        curves.add(source.poll())
    frames, density = curves.curves["density"].points()
    assert frames.tolist() == [100 * k + 99 for k in range(40)]
    assert density == pytest.approx(0.5 + frames / 1000, rel=1e-4)
    assert curves.curves["target"].last == 0.6
    powers = curves.powers["activation"].points()[1].tolist()
    assert powers[:40] == [1.0 + k for k in range(40)]
    assert powers[40:] == [40.0]  # of the status
    assert curves.frame_s == pytest.approx(1 / 50, rel=1e-3)
    assert len(curves.curves["emitters"].points()[0]) > 10


def test_damaged_small_files_are_left_out_and_named_once(folder: RunFolder) -> None:
    folder.settings.write_text("not [ toml", encoding="utf-8")
    folder.ledger.write_text(json.dumps([1, 2]), encoding="utf-8")
    folder.latency.write_text("{", encoding="utf-8")
    folder.validity.write_text('{"findings": 7}', encoding="utf-8")
    folder.lasers.write_bytes(b"\xff\xfe,,,\n1,2\nx,y,z,a,b,c,d,e,f,g,h\n")
    with ArrowStreamFile(folder.localizations, METADATA) as file:
        file.put(_rows(0, 10))
    window = Window(folder.path)
    problems = []
    for _ in range(20):
        update = window.poll()
        if update.problem is not None:
            problems.append(update.problem)
    assert update.connection == "ended"
    assert update.status is None
    assert update.run is not None
    assert update.run.settings == SettingsPart()
    assert window.densities == []
    assert len(problems) == 4
    for path, problem in zip(
        (folder.settings, folder.ledger, folder.latency, folder.validity), problems, strict=True
    ):
        assert str(path) in problem
        assert "\n" not in problem.strip()


def test_settings_of_another_version_show_what_is_known_of_them(folder: RunFolder) -> None:
    folder.settings.write_text(
        "[feedback]\ngain = 0.5\nnew_in_2030 = [1]\n[micromanager]\nroi = [8, 16, 32, 24]\n"
        "started = 2026-11-26T10:00:00Z\n[quantum]\nx = 1\n",
        encoding="utf-8",
    )
    with ArrowStreamFile(folder.localizations, METADATA) as file:
        file.put(_rows(0, 10))
    update = Window(folder.path).poll()
    assert update.problem is None
    assert update.run is not None
    assert update.run.settings.feedback.gain == 0.5
    assert update.run.settings.micromanager.roi == (8, 16, 32, 24)


@pytest.mark.parametrize("counts", [{"camera": "many"}, {"localized": 2.5}, {"lost": None}])
def test_a_ledger_with_counts_that_are_none_gives_a_sentence(
    folder: RunFolder, counts: dict[str, Any]
) -> None:
    folder.write_json(folder.ledger, counts)
    update = Window(folder.path).poll()
    assert update.problem is not None
    assert "ledger" in update.problem
    assert update.status is None
