"""The resolution of a running table, as the stop criterion asks for it."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.errors import WorkerError
from rtsmlm.feedback.law.stopping import StopCriteria
from rtsmlm.feedback.resolution_monitor import ResolutionMonitor
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.localizations import Localizations
from rtsmlm.settings.feedback import StopSettings

SHAPE = (100, 100)
PIXEL_NM = 100.0
PART_FRAMES = 2000


def part(rng: np.random.Generator, k: int, n: int = 20_000) -> Localizations:
    """The k-th part of a run: localizations along sixty lines that stay where they are."""
    lines = np.random.default_rng(7)
    angle, x0, y0 = (lines.uniform(0, top, 60) for top in (np.pi, 10_000, 10_000))
    line, along = rng.integers(0, 60, n), rng.uniform(-1700, 1700, n)
    x = (x0[line] + along * np.cos(angle[line])) % 10_000 + rng.normal(0, 8, n)
    y = (y0[line] + along * np.sin(angle[line])) % 10_000 + rng.normal(0, 8, n)
    frame = np.sort(rng.integers(k * PART_FRAMES, (k + 1) * PART_FRAMES, n))
    return Localizations.from_columns({"frame": frame, "x_nm": x, "y_nm": y})


def test_a_growing_table_gives_a_history_that_falls(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    path = tmp_path / "localizations.arrows"
    monitor = ResolutionMonitor(path, SHAPE, PIXEL_NM)
    monitor.measure()
    assert monitor.history == [], "the table is not there yet"

    with ArrowStreamFile(path) as table:
        for k in range(4):
            table.put(part(rng, k))
            monitor.measure()

    frames, found_nm = zip(*monitor.history, strict=True)
    assert [round(frame / PART_FRAMES) for frame in frames] == [1, 2, 3, 4]
    assert all(b < a for a, b in pairwise(found_nm)), found_nm
    assert 15 < found_nm[-1] < found_nm[0] < 200


def test_a_table_that_is_cut_starts_anew(tmp_path: Path, rng: np.random.Generator) -> None:
    parts = [part(rng, k) for k in range(3)]
    path = tmp_path / "localizations.arrows"
    monitor = ResolutionMonitor(path, SHAPE, PIXEL_NM)
    with ArrowStreamFile(path) as table:
        for rows in parts:
            table.put(rows)
    monitor.measure()

    with ArrowStreamFile.resume(path, 2 * PART_FRAMES):
        monitor.measure()

    other = ResolutionMonitor(path, SHAPE, PIXEL_NM)
    other.measure()
    assert monitor.history[-1] == other.history[-1], "rows that were cut off count no more"
    assert monitor.history[-1][0] < 2 * PART_FRAMES < monitor.history[0][0]


def test_rows_without_a_resolution_leave_no_trace(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "localizations.arrows"
    with ArrowStreamFile(path) as table:
        table.put(part(rng, 0, n=1))
    monitor = ResolutionMonitor(path, SHAPE, PIXEL_NM)

    monitor.measure()

    assert monitor.history == []


def test_a_table_that_cannot_be_read_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "localizations.arrows"
    path.write_bytes(b"no table of ours at all")
    monitor = ResolutionMonitor(path, SHAPE, PIXEL_NM, pause_s=0.01)

    monitor.start()
    monitor._worker.wait(0.5)
    alive = monitor._worker.alive
    monitor.close()

    assert alive
    assert "could not be measured" in caplog.text
    assert monitor.history == []


def test_a_resolution_that_stands_still_ends_the_run(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    criteria = StopCriteria(StopSettings(resolution_change=0.05))
    path = tmp_path / "localizations.arrows"
    monitor = ResolutionMonitor(path, SHAPE, PIXEL_NM)
    reasons: list[str | None] = []

    with ArrowStreamFile(path) as table:
        for k in range(12):
            table.put(part(rng, k))
            monitor.measure()
            reasons.append(criteria.check(resolution=monitor.history))

    assert all(math.isfinite(nm) for _, nm in monitor.history)
    assert reasons[:3] == [None] * 3, "it still falls"
    assert any(reason is not None and "the resolution of" in reason for reason in reasons)


def test_the_death_of_its_thread_is_logged_and_raised_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "localizations.arrows"
    path.write_bytes(b"no table of ours at all")
    monitor = ResolutionMonitor(path, SHAPE, PIXEL_NM, pause_s=0.001)

    def fail() -> None:
        raise MemoryError("no room for a map")

    monkeypatch.setattr(monitor, "_start", fail)  # what follows on a table that cannot be read
    monitor.start()
    assert monitor._worker.wait(20.0)

    assert "the resolution thread died" in caplog.text
    with pytest.raises(WorkerError, match="the resolution thread died: MemoryError: no room"):
        monitor.close()
