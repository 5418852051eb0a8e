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
from rtsmlm.pipeline import in_force
from rtsmlm.protocols import ALL, AS_FOUND
from rtsmlm.session import finalize
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings

Make = Callable[..., RunSettings]
Spots = Callable[..., Any]
N_FRAMES = 60
WAIT_S = 120.0


class OneRowPerFrame:
    """Localizer that does some frames, and waits until it may go on."""

    name = "one"
    neighbours = 0
    uses_all_cores = False
    max_local_per_um2, recall = 0.3, AS_FOUND

    def __init__(self, before_waiting: int) -> None:
        self.reached, self.may_go_on = threading.Event(), threading.Event()
        self._left = before_waiting

    def warm_up(self, shape: tuple[int, int]) -> None:
        pass

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        if batch.index[0] >= 0:  # a frame of the run
            self._left -= len(batch)
        if self._left < 0:
            self.reached.set()
            assert self.may_go_on.wait(WAIT_S)
        place = np.full(len(batch), 700.0, np.float32)
        rows = Localizations.from_columns(
            {"frame": batch.index, "x_nm": place, "y_nm": place, "photons": place}
        )
        return rows.take(np.isin(rows.frame, batch.index[targets]))


def check(folder: Path) -> dict[str, Any]:
    """Return the ledger, after all that must be whole was read."""
    ledger: dict[str, Any] = json.loads((folder / "ledger.json").read_text())
    assert ledger["balances"]
    assert ledger["received"] == ledger["localized"] + ledger["skipped"]
    assert ledger["received"] == ledger["recorded"] == N_FRAMES
    table = read_arrow_table(folder / "localizations.arrows")[0]
    assert len(np.unique(table.frame)) == len(table) == ledger["localized"]
    return ledger


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> OneRowPerFrame:
    """Return the localizer of the run; the one of catching up does not wait."""
    localizer = OneRowPerFrame(before_waiting=10)
    monkeypatch.setattr(in_force, "open_localizer", lambda *_: localizer)
    monkeypatch.setattr(finalize, "open_localizer", lambda *_: OneRowPerFrame(10 * N_FRAMES))
    return localizer


def test_frames_that_wait_are_left_when_the_end_is_broken_off(
    spot_camera: Spots, quick_settings: Make, live: OneRowPerFrame
) -> None:
    settings = quick_settings(
        f"acquisition.frames={N_FRAMES}", 'results.export=["csv"]', "pipeline.validity=false"
    )
    session = Session(spot_camera(period_s=0.001), settings)
    session.start()
    assert session.wait(WAIT_S)
    assert live.reached.wait(WAIT_S)

    session.stop(at_once=True)
    threading.Timer(0.1, live.may_go_on.set).start()
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
    spot_camera: Spots,
    quick_settings: Make,
    live: OneRowPerFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catch_up, "_MOST_PX_AT_ONCE", 2 * 64 * 48)
    settings = quick_settings(
        f"acquisition.frames={N_FRAMES}", "pipeline.validity=false", "pipeline.ring_mb=0.05",
        "pipeline.when_behind=skip",
    )  # fmt: skip
    done: list[int] = []

    def on_progress(n: int, total: int) -> None:
        done.append(n)
        if len(done) == 2:
            session.stop(at_once=True)

    session = Session(spot_camera(period_s=0.001), settings, on_progress=on_progress)
    session.start()
    assert session.wait(WAIT_S)
    live.may_go_on.set()
    report = session.close()

    assert report.ok, report.failures
    ledger = check(report.folder)
    assert ledger["caught_up"] >= done[1], "what was done is kept"
    assert ledger["skipped"] > 0
