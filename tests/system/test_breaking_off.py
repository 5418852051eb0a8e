"""A run whose end is broken off: nothing is waited for, everything is whole and accounted for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.offline import catch_up
from rtsmlm.pipeline import pipeline
from rtsmlm.protocols import ALL
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings

Make = Callable[..., RunSettings]
Spots = Callable[..., Any]
N_FRAMES = 60


class Gate:
    """Lets a localizer do some frames, and holds it up until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any, after: int) -> None:
        self.reached, self.open = threading.Event(), threading.Event()
        self.n_frames = 0
        localize_each = module.localize_each

        def wait(localizer: Any, batch: FrameBatch, on_failure: Any, targets: slice = ALL) -> Any:
            self.n_frames += len(batch)
            if self.n_frames > after:
                self.reached.set()
                assert self.open.wait(60)
            rows: Localizations = localize_each(localizer, batch, on_failure, targets)
            return rows

        monkeypatch.setattr(module, "localize_each", wait)


def check(folder: Path) -> dict[str, Any]:
    """Return the ledger, after all that must be whole was read."""
    ledger: dict[str, Any] = json.loads((folder / "ledger.json").read_text())
    assert ledger["balances"]
    assert ledger["received"] == ledger["localized"] + ledger["skipped"]
    assert ledger["received"] == ledger["recorded"] == N_FRAMES
    table = read_arrow_table(folder / "localizations.arrows")[0]
    frames = np.unique(table.frame)
    assert len(frames) == ledger["localized"], "rows of the frames that count as localized alone"
    return ledger


def test_frames_that_wait_are_left_when_the_end_is_broken_off(
    spot_camera: Spots, quick_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, pipeline, after=10)
    settings = quick_settings(
        f"acquisition.frames={N_FRAMES}", 'results.export=["csv"]', "pipeline.when_behind=skip"
    )
    session = Session(spot_camera(period_s=0.001), settings)
    session.start()
    assert session.wait(60)
    assert gate.reached.wait(60)

    session.stop(at_once=True)
    threading.Timer(0.2, gate.open.set).start()
    report = session.close()

    assert report.ok, report.failures
    ledger = check(report.folder)
    assert 0 < ledger["localized"] < N_FRAMES
    assert not (report.folder / "localizations.csv").exists()
    note = next(text for text in report.warnings if "broken off" in text)
    assert f"{ledger['skipped']} frames are not localized" in note
    assert "rtsmlm reconstruct" in note
    with open_movie(report.folder / "raw.ome.zarr", settings.movie) as movie:
        assert movie.n_frames == N_FRAMES


def test_catching_up_ends_when_the_end_is_broken_off(
    spot_camera: Spots, quick_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Gate(monkeypatch, pipeline, after=10)
    monkeypatch.setattr(catch_up, "_MOST_AT_ONCE", 2)
    settings = quick_settings(
        f"acquisition.frames={N_FRAMES}", "pipeline.when_behind=skip", "pipeline.ring_mb=0.05",
    )  # fmt: skip
    done: list[int] = []
    session: Session

    def on_progress(n: int, total: int) -> None:
        done.append(n)
        if len(done) == 2:
            session.stop(at_once=True)

    session = Session(spot_camera(period_s=0.001), settings, on_progress=on_progress)
    session.start()
    assert session.wait(60)
    live.open.set()
    report = session.close()

    assert report.ok, report.failures
    ledger = check(report.folder)
    assert ledger["caught_up"] >= done[1], "what was done is kept"
    assert ledger["skipped"] > 0
